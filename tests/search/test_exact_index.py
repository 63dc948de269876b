"""ExactIndex: what an index keeps, finds and forgets."""

import json

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from skmetric.retrieval import nearest
from skmetric.search import ExactIndex

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
IDS = np.random.default_rng(1).permutation(1000)[:60]


def filled(ids=IDS):
    return ExactIndex().add(ids, X)


def assert_same_answers(index, other, k=5):
    for ours, theirs in zip(index.query(X, k), other.query(X, k), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_finds_what_the_kernel_finds_under_the_ids_given():
    found, expected = filled().query(X[:7] + 0.1, 5), nearest(X[:7] + 0.1, X, 5)
    np.testing.assert_array_equal(found.distances, expected.distances)
    np.testing.assert_array_equal(found.indices, IDS[expected.indices])


@pytest.mark.parametrize("ids", [IDS, np.arange(60)])
def test_added_in_parts_and_removed_is_as_never_there(ids):
    index = ExactIndex()
    for part in np.array_split(np.arange(60), 7):
        index.add(ids[part], X[part])
    gone = np.arange(0, 60, 3)
    kept = np.setdiff1d(np.arange(60), gone)
    assert_same_answers(index.remove(ids[gone]), ExactIndex().add(ids[kept], X[kept]))
    np.testing.assert_array_equal(index.vectors(), X[kept])
    np.testing.assert_array_equal(index.vectors(ids[kept[::-1]]), X[kept[::-1]])
    assert len(index) == len(kept)


def test_what_is_added_is_a_copy():
    mine = X.copy()
    index = ExactIndex().add(IDS, mine)
    mine[:] = 0
    assert_same_answers(index, filled())


def test_removing_everything_leaves_an_index_that_can_be_filled():
    index = filled().remove(IDS)
    with pytest.raises(ValueError, match="the index is empty"):
        index.query(X, 1)
    assert_same_answers(index.add(IDS, X), filled())


def test_clone_is_empty_and_the_pickle_is_not(tmp_path):
    assert len(clone(filled())) == 0
    joblib.dump(filled(), tmp_path / "index.joblib")
    assert_same_answers(joblib.load(tmp_path / "index.joblib"), filled())


def test_save_and_load_without_reading_or_pickle(tmp_path):
    filled().save(tmp_path / "index")
    loaded = ExactIndex.load(tmp_path / "index")
    assert isinstance(loaded.vectors().base.base, np.memmap) or not loaded.vectors().flags.owndata
    assert_same_answers(loaded, filled())
    loaded.add([5000], X[:1]).remove([5000, IDS[0]])  # a loaded index can change; its file does not
    assert len(loaded) == 59
    assert_same_answers(ExactIndex.load(tmp_path / "index"), filled())


def test_saving_again_replaces_and_leaves_nothing_behind(tmp_path):
    filled().save(tmp_path)
    before = ExactIndex.load(tmp_path)
    filled().remove(IDS[:30]).save(tmp_path)
    assert len(ExactIndex.load(tmp_path)) == 30
    assert len(list(tmp_path.iterdir())) == 2  # manifest and one folder of arrays
    assert_same_answers(before, filled())  # whoever has the old one open keeps it


def test_a_save_that_fails_leaves_the_old_state(tmp_path, monkeypatch):
    filled().save(tmp_path)

    def full_disk(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr("skmetric._folder._safetensors.write", full_disk)
    with pytest.raises(OSError, match="No space"):
        filled().remove(IDS[:30]).save(tmp_path)
    assert_same_answers(ExactIndex.load(tmp_path), filled())
    assert len(list(tmp_path.iterdir())) == 2


def test_load_says_what_it_does_not_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"has no manifest\.json"):
        ExactIndex.load(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="was not written by save"):
        filled().save(tmp_path)
    filled().save(tmp_path / "index")
    manifest = json.loads((tmp_path / "index/manifest.json").read_text())
    (tmp_path / "index/manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(
        ValueError, match="format version 99, newer than version 5, which this skmetric reads: upgrade"
    ):
        ExactIndex.load(tmp_path / "index")
    (tmp_path / "index/manifest.json").write_text(json.dumps(manifest | {"format": "other"}))
    with pytest.raises(ValueError, match="holds 'other'"):
        ExactIndex.load(tmp_path / "index")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: i.add([IDS[3]], X[:1]), f"id {IDS[3]} is in the index already"),
        (lambda i: i.add([2000, 2000], X[:2]), "id 2000 comes 2 times"),
        (lambda i: i.add([2000], X[:2]), "one for each of the 2 embeddings"),
        (lambda i: i.add(["a"], X[:1]), "must be integers"),
        (lambda i: i.add([2000], X[:1, :3]), "have 3 dimensions and the index holds 4"),
        (lambda i: i.add([2000], [[np.nan] * 4]), "contains NaN in row 0"),
        (lambda i: i.query(X[:1, :3], 1), "have 3 dimensions and the index holds 4"),
        (lambda i: i.query(X[:1], 61), "k=61 is more than the 60 items"),
        (lambda i: ExactIndex().save("nowhere"), "the index is empty"),
        (lambda i: ExactIndex().vectors(), "the index is empty"),
    ],
)
def test_bad_input(call, message):
    index = filled()
    with pytest.raises(ValueError, match=message):
        call(index)
    assert_same_answers(index, filled())


def test_an_unknown_id_removes_nothing():
    index = filled()
    with pytest.raises(KeyError, match="id 5000 is not in the index"):
        index.remove([IDS[0], 5000])
    assert len(index) == 60


def test_one_more_item_costs_no_copy_of_the_others():
    many = np.zeros((200_000, 32), dtype=np.float32)
    index = ExactIndex().add(np.arange(len(many)), many)
    before = index.vectors()
    index.add([len(many)], many[:1] + 1)
    assert np.shares_memory(index.vectors(), before)
    assert index.query(many[:1] + 1, 1).indices == len(many)


def test_embeddings_are_held_once():
    many = np.random.default_rng(0).normal(size=(20_000, 16)).astype(np.float32)
    index = ExactIndex().add(np.arange(len(many)), many)
    index.query(many[:3], 2)
    index.add([len(many)], many[:1])
    index.query(many[:3], 2)
    held = [part for part in reachable(index) if isinstance(part, np.ndarray) and part.size >= many.size]
    owners = {id(part if part.base is None else part.base) for part in held}
    assert len(owners) == 1
    assert np.shares_memory(index.vectors(), held[0])


def reachable(thing, seen=None):
    """Everything that is reached from an object through attributes and containers."""
    seen = {} if seen is None else seen
    if id(thing) not in seen:
        seen[id(thing)] = thing
        parts = (
            thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
        )
        for part in (*parts, *getattr(thing, "__dict__", {}).values()):
            reachable(part, seen)
    return list(seen.values())


@pytest.mark.parametrize(
    "shift_and_scale", [(1e4, 1.0), (0.0, 1e-9), (0.0, 1e9)], ids=["far off", "small", "large"]
)
def test_embeddings_that_float32_cannot_search_as_they_are(shift_and_scale):
    shift, scale = shift_and_scale
    X = (scale * np.random.default_rng(0).normal(size=(300, 4)) + shift).astype(np.float32)
    index = ExactIndex().add(np.arange(200), X[:200]).add(np.arange(200, 250), X[200:250])
    expected = nearest(X[250:].astype(float), X[:250].astype(float), 5)
    found = index.query(X[250:], 5)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances)
