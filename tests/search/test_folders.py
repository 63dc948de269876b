"""Folders of a gallery: what a kill, a full disk or a damaged file does to them."""

import contextlib
import itertools
import json
import os
import shutil
import tempfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from skmetric._folder import _safetensors
from skmetric._folder._folder import read_folder, write_folder
from skmetric._folder._manifest import sealed
from skmetric.search import ExactIndex, FaissIndex, KReciprocal, SimilaritySearch

from .test_indexes import OwnIndex

# A process that forks for each moment of a save, kills the fork there and reads what is left. Embeddings,
# labels and metadata of a state all tell its number.
KILLED = """
import os, shutil, signal, sys
import numpy as np
from skmetric._folder import _safetensors
from skmetric.search import SimilaritySearch

path = sys.argv[1]

def state(number):
    metadata = {"number": np.full(40, number)}
    return SimilaritySearch().fit(np.full((40, 3), number), [str(number)] * 40, metadata=metadata)

def number_of(search):
    table = search.lookup([[0.0] * 3], 40)
    found = {*search.index_.vectors().ravel(), *table["number"], *map(int, table["label"])}
    assert len(found) == 1, found
    return int(found.pop())

class Moments:
    def __init__(self, last):
        self.left, self.names = last, []

    def watch(self, owner, name):
        function = getattr(owner, name)

        def watched(*args, **options):
            self.names.append(name)
            self.left -= 1
            if self.left == 0:
                if name == "write":
                    args[0].write(b"half a file")
                    args[0].flush()
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **options)

        setattr(owner, name, watched)

state(0).save(path)
before, moment, seen = 0, 0, {"old": 0, "new": 0}
while True:
    moment += 1
    child = os.fork()
    if child == 0:
        moments = Moments(moment)
        watched = [(_safetensors, "write"), (os, "fsync"), (os, "replace"), (shutil, "rmtree")]
        for owner, name in watched:
            moments.watch(owner, name)
        state(moment).save(path)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    now = number_of(SimilaritySearch.load(path))
    assert now in (before, moment), (before, moment, now)
    seen["new" if now == moment else "old"] += 1
    before = now
    if not os.WIFSIGNALED(status):
        break
print(moment, seen["old"], seen["new"], now)
"""
# A process that may write small files only, as on a full disk; later as another user where this one is
# root, whom no permission holds back.
CROWDED = """
import os, resource, sys
from pathlib import Path
import numpy as np
from skmetric.search import SimilaritySearch

path = Path(sys.argv[1])
SimilaritySearch().fit(np.zeros((9, 3))).save(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    SimilaritySearch().fit(np.ones((9_000, 3))).save(path)
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(list(path.iterdir())), SimilaritySearch.load(path).index_.vectors().shape)
path.chmod(0o555)
if os.geteuid() == 0:
    path.parent.chmod(0o755)
    os.seteuid(65534)
try:
    SimilaritySearch().fit(np.ones((5, 3))).save(path)
except PermissionError as error:
    print(error)
print(len(list(path.iterdir())), SimilaritySearch.load(path).index_.vectors().shape)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks and kills, as POSIX has them")
def test_a_killed_save_leaves_the_old_state_or_the_new_one(process_without_torch, tmp_path):
    moments, old, new, last = map(int, process_without_torch.run(KILLED, tmp_path / "folder").split())
    # 7 files of arrays are written and synced, then their folder; the manifest is synced and renamed:
    # these leave the old state. The folder is synced and the old arrays are swept; the last fork sweeps all.
    assert (old, new) == (2 * 7 + 3, moments - 17)
    assert last == moments
    assert len(list((tmp_path / "folder").iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits and users, as POSIX has them")
def test_a_full_disk_and_a_folder_that_may_not_be_written(process_without_torch):
    with tempfile.TemporaryDirectory() as parent:
        path = os.path.join(parent, "folder")
        full, after, forbidden, last = process_without_torch.run(CROWDED, path).splitlines()
    assert "could not be written" in full
    assert f"{path}/data-" in full
    assert "What was saved before is as it was" in full
    assert after == last == "2 (9, 3)"
    assert f"Permission denied: '{path}/data-" in forbidden


@pytest.fixture
def saved(tmp_path):
    """A folder, its manifest file, and the folder of its arrays."""
    X = np.random.default_rng(0).normal(size=(50, 4)) + 3 * np.eye(4)[np.arange(50) % 4]
    search = SimilaritySearch().fit(X, ["a", "b"] * 25, metadata={"shop": ["A", "B"] * 25})
    search.calibrate()
    search.save(tmp_path / "gallery")
    manifest = tmp_path / "gallery/manifest.json"
    return tmp_path / "gallery", manifest, manifest.parent / json.loads(manifest.read_text())["data"]


@pytest.mark.parametrize("length", [0, 5, 100, 300])
def test_a_truncated_array_is_named(saved, length):
    path, _, data = saved
    for file in data.iterdir():
        whole = file.read_bytes()
        if length < len(whole):
            file.write_bytes(whole[:length])
            with pytest.raises(ValueError, match=rf"{file.name} is damaged .*: take it from a copy"):
                SimilaritySearch.load(path)
        file.write_bytes(whole)
    assert len(SimilaritySearch.load(path).ids_) == 50


def test_an_array_that_was_exchanged_or_is_missing_is_named(saved):
    path, _, data = saved
    whole = (data / "codes.safetensors").read_bytes()
    save_file({"codes": np.zeros(49, dtype=np.int32)}, data / "codes.safetensors")
    with pytest.raises(
        ValueError, match=r"codes\.safetensors holds <i4 \[49\], and manifest\.json tells of <i4 \[50\]"
    ):
        SimilaritySearch.load(path)
    (data / "codes.safetensors").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"codes\.safetensors is missing: the folder was copied in part"
    ):
        SimilaritySearch.load(path)
    (data / "codes.safetensors").write_bytes(whole)
    assert len(SimilaritySearch.load(path).ids_) == 50


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text[: len(text) // 2], r"manifest\.json is damaged"),
        (lambda text: "[]", r"manifest\.json is damaged"),
        (lambda text: "{}", r"manifest\.json is damaged \('format'\)"),
        (lambda text: text.replace('"n_neighbors": 5', '"n_neighbors": 6'), r"manifest\.json was edited"),
        (
            lambda text: text.replace('"version": 5', '"version": 6'),
            "version 6, newer than .*: upgrade skmetric",
        ),
        (lambda text: text.replace('"version": 5', '"version": 1'), "version 1, older than .*: fit anew"),
    ],
)
def test_an_edited_manifest_is_named(saved, edit, message):
    path, manifest, _ = saved
    manifest.write_text(edit(manifest.read_text()))
    with pytest.raises(ValueError, match=message):
        SimilaritySearch.load(path)


def test_a_reader_follows_a_save_that_comes_in_between(saved, monkeypatch):
    path, _, _ = saved
    read, others = _safetensors.read, [SimilaritySearch().fit(np.ones((3, 4)))]

    def slow(file):
        if others:
            others.pop().save(path)  # and so what the manifest named is gone
        return read(file)

    monkeypatch.setattr(_safetensors, "read", slow)
    assert SimilaritySearch.load(path).index_.vectors().tolist() == [[1.0] * 4] * 3


def test_two_saves_at_once_leave_one_whole(saved, monkeypatch):
    path, _, _ = saved
    write, others = _safetensors.write, [SimilaritySearch().fit(np.ones((3, 4)))]

    def slow(*args, **options):
        if others:
            others.pop().save(path)
        return write(*args, **options)

    monkeypatch.setattr(_safetensors, "write", slow)
    SimilaritySearch().fit(np.zeros((6, 4))).save(path)
    assert SimilaritySearch.load(path).index_.vectors().shape == (6, 4)


def test_loading_maps_the_embeddings(saved):
    path, _, data = saved
    loaded = SimilaritySearch.load(path)
    array = loaded.index_.vectors()
    while not isinstance(array, np.memmap):
        array = array.base
    assert os.path.samefile(array.filename, data / "index_vectors.safetensors")


@pytest.mark.parametrize("index", [None, FaissIndex("IVF2,Flat")])
def test_an_emptied_gallery_is_saved(index, tmp_path):
    search = SimilaritySearch(index=index).fit(np.eye(4), ["a", "b"] * 2).remove([0, 1, 2, 3])
    search.save(tmp_path)
    loaded = SimilaritySearch.load(tmp_path)
    assert len(loaded.ids_) == 0
    assert loaded.partial_fit([[0.0] * 4], ["c"]).predict([[1.0] * 4]).tolist() == ["c"]
    assert loaded.ids_.tolist() == [4]


# Damage: every byte counts


def files_of(folder):
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_a_flipped_bit_anywhere_is_named(saved):
    path, _, _ = saved
    rng, files = np.random.default_rng(0), files_of(path)
    for _ in range(100):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"gallery.* (damaged|edited|holds|version|tells)"):
            SimilaritySearch.load(path)
        file.write_bytes(whole)
    assert len(SimilaritySearch.load(path).ids_) == 50


def test_exchanged_files_are_named(saved):
    path, _, data = saved
    wholes = {file: file.read_bytes() for file in files_of(data)}
    for first, second in itertools.combinations(wholes, 2):
        if wholes[first] != wholes[second]:
            first.write_bytes(wholes[second])
            second.write_bytes(wholes[first])
            with pytest.raises(ValueError, match="take it from a copy, or save anew"):
                SimilaritySearch.load(path)
            first.write_bytes(wholes[first])
            second.write_bytes(wholes[second])


def test_a_large_array_is_checked_at_its_first_use_or_when_asked_for(saved, monkeypatch):
    path, _, data = saved
    monkeypatch.setattr("skmetric._folder._arrays._SMALL", 0)
    whole = bytearray((data / "index_vectors.safetensors").read_bytes())
    whole[-3] ^= 1
    (data / "index_vectors.safetensors").write_bytes(whole)
    loaded = SimilaritySearch.load(path)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"index_vectors\.safetensors is damaged"):
            loaded.lookup(np.zeros((1, 4)), 1)
    with pytest.raises(ValueError, match=r"index_vectors\.safetensors is damaged"):
        SimilaritySearch.load(path, verify=True)


def reseal(manifest, change):
    """Change a manifest and give it the checksum that fits."""
    content = json.loads(manifest.read_text())
    del content["digest"]
    change(content)
    manifest.write_bytes(sealed(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("index"),
        lambda m: m.pop("arrays"),
        lambda m: m.pop("n_neighbors"),
        lambda m: m.update(data="../elsewhere"),
        lambda m: m.update(data=7),
        lambda m: m.update(arrays=[]),
        lambda m: m["arrays"].update(ids=["<i8"]),
        lambda m: m["arrays"].update(ids=["<i8", [50], "/etc/passwd"]),
        lambda m: m["files"].update({"../ids.safetensors": m["files"]["ids.safetensors"]}),
        lambda m: m["files"].update({"ids.safetensors": 5}),
        lambda m: m["arrays"].update({"../ids": ["<i8", [50], "ids.safetensors"]}),
        lambda m: m.update(types={"absent": "text"}),
        lambda m: m.update(gallery=None),
        lambda m: m.update(calibration=3),
        lambda m: m["calibration"].pop("cutpoints"),
        lambda m: m.update(index={"class": "ExactIndex", "content": {}}, rates=None),
        lambda m: m.update(matcher={}),
    ],
)
def test_a_manifest_that_was_made_up_is_named(saved, change):
    path, manifest, _ = saved
    reseal(manifest, change)
    with pytest.raises(ValueError, match=r"manifest\.json (is damaged|tells)"):
        SimilaritySearch.load(path)


def test_a_manifest_that_is_too_deep_is_named(saved):
    path, manifest, _ = saved
    manifest.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        SimilaritySearch.load(path)


@pytest.mark.parametrize("step", range(1, 19))
def test_a_first_save_that_was_killed_is_no_obstacle(step, tmp_path, monkeypatch):
    """What is left of it is removed by the next save."""
    calls = iter(range(1, step))

    def killed(*args, **options):
        raise Killed

    with monkeypatch.context() as patch:
        for owner, name in ((_safetensors, "write"), (os, "fsync"), (os, "replace")):
            function = getattr(owner, name)
            patch.setattr(
                owner, name, lambda *a, f=function, **o: f(*a, **o) if next(calls, None) else killed()
            )
        patch.setattr(shutil, "rmtree", lambda *args, **options: None)  # who is killed tidies nothing
        with contextlib.suppress(Killed):
            SimilaritySearch().fit(np.eye(4), list("abab")).save(tmp_path / "new")
    SimilaritySearch().fit(np.eye(3)).save(tmp_path / "new")
    assert len(SimilaritySearch.load(tmp_path / "new").ids_) == 3
    assert len(list((tmp_path / "new").iterdir())) == 2


class Killed(BaseException):
    """Stands for a signal that ends the process."""


# Text (deepchecks #2642, ray #46298)


def test_text_takes_the_room_of_text(tmp_path):
    texts = [f"short message number {i}, ä€𝄞" + "!" * (i % 40) for i in range(3200)]
    texts[7] = "one long message " * 1200
    search = SimilaritySearch().fit(np.zeros((3200, 1)), texts, ids=texts, metadata={"note": texts})
    search.save(tmp_path / "gallery")
    size = sum(file.stat().st_size for file in files_of(tmp_path / "gallery"))
    assert size < 3.5 * sum(len(text.encode()) for text in texts) + 3200 * 100
    loaded = SimilaritySearch.load(tmp_path / "gallery")
    assert loaded.ids_.tolist() == texts
    assert loaded.labels_.tolist() == texts


@pytest.mark.parametrize(
    "values",
    [
        np.array(["", "a", "ä€𝄞", "long " * 50]),
        np.array(["a\0", "a"], dtype=object),
        np.array([2**60 + 1, None, "text", 1.5, True], dtype=object),
        np.array([], dtype="<U5"),
        np.array(["a", "b\0c"], dtype=np.dtypes.StringDType()),
        np.array(["\ud800"]),
    ],
    ids=repr,
)
def test_arrays_of_text_and_values_come_back_equal(values, tmp_path):
    write_folder(tmp_path / "new", "kind", {}, {"values": values})
    back = read_folder(tmp_path / "new", "kind")[1]["values"]
    assert back.dtype == values.dtype
    assert back.tolist() == values.tolist()
    assert list(map(type, back.tolist())) == list(map(type, values.tolist()))


# An index of a user's own class


def test_an_index_of_a_users_own_class_is_named_to_load(tmp_path):
    search = SimilaritySearch(index=OwnIndex()).fit(np.eye(4), ["a", "b"] * 2)
    search.save(tmp_path / "gallery")
    with pytest.raises(ValueError, match=r"index of the class OwnIndex, .*: load\(path, index=\.\.\.\)"):
        SimilaritySearch.load(tmp_path / "gallery")
    with pytest.raises(ValueError, match="got a ExactIndex"):
        SimilaritySearch.load(tmp_path / "gallery", index=ExactIndex())
    loaded = SimilaritySearch.load(tmp_path / "gallery", index=OwnIndex())
    assert repr(loaded.duplicates(2.0)) == repr(search.duplicates(2.0))
    assert loaded.partial_fit([[5.0] * 4], ["c"]).predict([[5.0] * 4]).tolist() == ["c"]


def test_what_a_folder_cannot_hold_of_an_index_is_named(tmp_path):
    index = OwnIndex().add([1], [[0.0]])
    index.names = {1: "one"}
    with pytest.raises(TypeError, match="cannot hold 'names' of OwnIndex, a dict: override to_arrays"):
        index.save(tmp_path / "index")


WRONG = [None, True, -1, 2**70, 1.5, "x", "", [], ["x"], {}, {"x": 1}, [[]]]
MAY_BE = {  # values that a search may have too, or that say less
    "no_match_label": WRONG[:7],
    "no_match_label_used": WRONG[1:7],
    "review_label": WRONG[:7],
    "embedder": [None, "x", ""],
    "embedder_steps": [[], ["x"]],
    "fingerprint": [None, []],
    "cutpoint": [None],
    "review": [None],
    "is_stale": [True],
    "adapt_metric": [True],
    "n_features_in": [None],
    "rates": [[]],
    "ranking": [{}],
    "calibration": [None],
    "index.arrays": [[], ["x"]],
    "index.content": [{}, {"x": 1}],
    "gallery.has_own_ids": [True],
    "calibration.metric": ["x", ""],
    "calibration.intervals": [{}],
    "calibration.probability": [{}],
    "calibration.thresholds": WRONG,  # which arrays hold
    "calibration.class_factors": WRONG,
}


def test_values_of_other_types_are_named(tmp_path):  # with a digest that fits
    points = np.array([[0.0], [5.0], [9.0]])[np.arange(12) % 3] + np.arange(12)[:, None] / 20
    search = SimilaritySearch(n_neighbors=2, rerank=KReciprocal()).fit(points, list("abc" * 4))
    search.calibrate(n_resamples=5)
    search.save(tmp_path)
    manifest, whole = tmp_path / "manifest.json", json.loads((tmp_path / "manifest.json").read_text())
    del whole["digest"]
    places = [(name,) for name in whole] + [
        (name, inner) for name in ("index", "gallery", "calibration", "ranking") for inner in whole[name]
    ]
    said = []
    for at in places:
        for value in WRONG:
            changed = json.loads(json.dumps(whole))
            holder = changed if len(at) == 1 else changed[at[0]]
            if holder[at[-1]] == value or value in MAY_BE.get(".".join(at), []):
                continue
            holder[at[-1]] = value
            manifest.write_bytes(sealed(changed))
            try:
                loaded = SimilaritySearch.load(tmp_path)
            except (ValueError, FileNotFoundError) as error:
                said.append(str(error))
            else:
                for call in (loaded.predict, loaded.kneighbors, loaded.match_probability):
                    call(points)
                loaded.partial_fit([[7.0]], ["d"])
                assert repr(loaded)
    assert len(said) > 250
    assert not [text for text in said if str(tmp_path) not in text and "of the class" not in text]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(n_neighbors="5"), "n_neighbors must be an integer from 1; got '5'"),
        (lambda m: m.update(cutpoint="strict"), "cutpoint is 'strict', and there is no cutpoint"),
        (lambda m: m["gallery"].update(next_key=3), "gallery.next_key is 3, and items have that key"),
        (
            lambda m: m["calibration"].update(n_gallery=None),
            "n_gallery must be an integer from 1",
        ),
        (lambda m: m["calibration"]["cutpoints"]["optimal"].pop("distance"), "each with a .distance."),
        (
            lambda m: m["calibration"]["probability"].pop("slope"),
            "probability must be an interce",
        ),
        (lambda m: m.update(matcher={"name": "center", "n_centers": 0}), "matcher must be one of nearest, "),
        (lambda m: m["ranking"].update(rerank=["KReciprocal", {"k1": "x"}]), "The 'k1' parameter of KRecip"),
    ],
)
def test_a_value_of_another_type_is_named_with_what_it_must_be(saved, change, message):
    path, manifest, _ = saved
    reseal(manifest, change)
    with pytest.raises(ValueError, match=rf"manifest\.json is damaged \(TypeError: .*{message}"):
        SimilaritySearch.load(path)
