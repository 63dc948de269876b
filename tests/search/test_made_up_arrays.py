"""Arrays of a gallery that were made up, with digests that fit: loading names what does not go together."""

import numpy as np
import pytest

from skmetric._folder import _arrays
from skmetric._folder._folder import read_folder, write_folder
from skmetric.search import FaissIndex, SimilaritySearch

POINTS = np.array([[0.0], [5.0], [9.0]])[np.arange(12) % 3] + np.arange(12)[:, None] / 20


def folder_of(path, index=None):
    """What a folder of a calibrated search holds."""
    search = SimilaritySearch(index=index).fit(
        POINTS, list("abc" * 4), ids=list("ABCDEFGHIJKL"), metadata={"note": list("xyz" * 4), "n": range(12)}
    )
    search.calibrate(per_class=True, n_resamples=2)
    search.save(path)
    content, stored = read_folder(path, None)
    kind = content["format"]
    own = ("format", "version", "data", "files", "arrays", "types")
    content = {name: value for name, value in content.items() if name not in own}
    return kind, content, {name: np.array(stored[name]) for name in stored}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("keys", lambda a: a[::-1], "keys must ascend"),
        ("keys", lambda a: a - 1, "keys must ascend"),
        ("keys", lambda a: a[None], r"keys has the shape \[1, 12\]"),
        ("keys", lambda a: a + 0.5, "keys has the shape .* and the type float64"),
        ("keys", lambda a: a[:5], "ids has 12 rows where 5 are needed"),
        ("ids", lambda a: a[:5], "ids has 5 rows where 12 are needed"),
        ("metadata_0", lambda a: a[1:], "metadata_0 has 11 rows"),
        ("metadata_1", lambda a: a[None], r"metadata_1 has the shape \[1, 12\]"),
        ("codes", lambda a: a + 2**30, "codes must be from 0 to 2"),  # would have taken 8 GB
        ("codes", lambda a: a - 1, "codes must be from 0 to 2"),
        ("labels", lambda a: a[:2], "codes must be from 0 to 1"),
        ("labels", lambda a: np.array(["a", "a", "b"]), "labels has names that are equal"),
        ("index_ids", lambda a: a + 1, "index_ids must have the numbers of keys"),
        ("index_vectors", lambda a: a[:, [0, 0]], "index_vectors has 2 columns, and n_components is 1"),
        ("index_vectors", lambda a: a.astype(int), "index_vectors has the shape .* int64"),
        ("index_vectors", lambda a: a[0], r"index_vectors has the shape \[1\]"),
        ("threshold_precision", lambda a: a[None], r"threshold_precision has the shape \[1, "),
        ("factors", lambda a: a[1:], "factors has 2 rows where 3 are needed"),
        ("factors", lambda a: a * np.nan, "factors has values that are not finite"),
    ],
)
def test_arrays_that_do_not_go_together_are_named(name, change, message, tmp_path):
    kind, content, arrays = folder_of(tmp_path)
    write_folder(tmp_path, kind, content, arrays | {name: change(arrays[name])})
    with pytest.raises(ValueError, match=rf"manifest\.json is damaged \(TypeError: the array {message}"):
        SimilaritySearch.load(tmp_path)


def test_equal_ids_are_named_when_they_are_first_used(tmp_path):
    kind, content, arrays = folder_of(tmp_path)
    arrays["ids"][3] = arrays["ids"][4]
    write_folder(tmp_path, kind, content, arrays)
    with pytest.raises(ValueError, match="two items have one id: the folder is damaged"):
        SimilaritySearch.load(tmp_path).remove(["A"])


def test_an_index_of_faiss_with_other_items_is_named(tmp_path):
    pytest.importorskip("faiss")
    kind, content, arrays = folder_of(tmp_path, FaissIndex("Flat"))
    write_folder(tmp_path, kind, content, arrays | {"index_serials": arrays["index_serials"][1:]})
    with pytest.raises(ValueError, match="index_serials has 11 rows where 12 are needed"):
        SimilaritySearch.load(tmp_path)


# Text that is read when it is first needed


@pytest.fixture
def late(tmp_path, monkeypatch):
    """A folder whose text is read at its first use, and its search."""
    monkeypatch.setattr(_arrays, "_PARSED", 0)
    folder_of(tmp_path)
    return tmp_path


def count_reads(monkeypatch):
    reads, decoded = [], _arrays.decoded
    monkeypatch.setattr(_arrays, "decoded", lambda *args: reads.append(1) or decoded(*args))
    return reads


def test_text_is_read_at_its_first_use_alone(late, monkeypatch):
    reads = count_reads(monkeypatch)
    search = SimilaritySearch.load(late)
    n_names = len(reads)  # those of the classes
    assert search.predict(POINTS[:3]).tolist() == ["a", "b", "c"]
    assert search.predict(POINTS[:3], where={"n": slice(0, 6)}).tolist() == ["a", "b", "c"]
    assert len(reads) == n_names
    assert search.lookup(POINTS[:1], 1)["note"].tolist() == ["x"]
    assert len(reads) == n_names + 2  # ids and notes
    assert (
        search.partial_fit([[0.0]], ["a"], ids=["new"], metadata={"note": ["w"], "n": [9]}).ids_[-1] == "new"
    )
    assert len(reads) == n_names + 2


def test_text_that_was_made_up_is_named_with_its_file(late, monkeypatch):
    kind, content, arrays = folder_of(late)
    encoded = _arrays.encoded

    def swapped(texts):
        data, ends = encoded(texts)
        return data, ends[::-1].copy() if "aa" in texts else ends

    monkeypatch.setattr(_arrays, "encoded", swapped)
    write_folder(late, kind, content, arrays | {"metadata_0": np.array(["aa", "b"] * 6)})
    search = SimilaritySearch.load(late)
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"metadata_0\.safetensors is damaged .*'metadata_0': the places"
        ):
            search.lookup(POINTS[:1], 1)
    with pytest.raises(ValueError, match=r"metadata_0\.safetensors is damaged"):
        SimilaritySearch.load(late, verify=True)
