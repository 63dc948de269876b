"""No text of a removed person stays behind: in the gallery, in a pickle, in a folder."""

import pickle

import numpy as np
import pytest

from skmetric.search import ExactIndex, FaissIndex, SimilaritySearch
from skmetric.search._gallery._labels import LabelColumn
from skmetric.search._index._growing import GrowingArray

X = (np.random.default_rng(0).normal(size=(40, 4)) + 5 * np.repeat(np.eye(4), 10, axis=0)).astype(np.float32)
CLASSES = np.repeat(["ann", "bob", "cid", "mallory-the-label"], 10)
INDEXES = [None, FaissIndex("Flat")]


def filled(index=None):
    ids = [f"item {i}" for i in range(30)] + [f"mallory-the-id-{i}" for i in range(10)]
    notes = ["a note"] * 30 + ["mallory-the-note"] * 10
    search = SimilaritySearch(index=index, matcher="center").fit(
        X, CLASSES, ids=ids, metadata={"note": notes}
    )
    search.calibrate(per_class=True, n_resamples=2)
    search.predict(X)  # makes what is kept between searches
    return search


def forget(search):
    return search.remove([f"mallory-the-id-{i}" for i in range(10)])


def replace(search):
    ids = [f"mallory-the-id-{i}" for i in range(10)]
    search.upsert(ids, X[:10], ["ann"] * 10, metadata={"note": ["a note"] * 10})
    return search.remove(ids)


@pytest.mark.parametrize("index", INDEXES, ids=["exact", "faiss"])
@pytest.mark.parametrize("leave", [forget, replace])
def test_a_removed_person_is_in_no_pickle_and_in_no_folder(tmp_path, index, leave):
    search = filled(index)
    assert b"mallory" in pickle.dumps(search)
    search.save(tmp_path / "folder")
    leave(search)
    assert b"mallory" not in pickle.dumps(search)
    assert b"mallory" not in pickle.dumps(search.calibration_)
    search.save(tmp_path / "folder")
    assert all(
        b"mallory" not in file.read_bytes() for file in (tmp_path / "folder").rglob("*") if file.is_file()
    )
    assert search.classes_.tolist() == ["ann", "bob", "cid"]


def test_names_that_an_earlier_version_left_are_dropped_when_a_folder_is_opened():
    codes = np.repeat(np.arange(3, dtype=np.int32), 10)  # and none of code 3
    column = LabelColumn.of_file(np.unique(CLASSES), GrowingArray.of_file(codes))
    assert column.classes.tolist() == ["ann", "bob", "cid"]
    assert b"mallory" not in pickle.dumps(column)


@pytest.mark.parametrize("index", [ExactIndex(), FaissIndex("Flat")], ids=repr)
def test_cycles_with_new_labels_leave_nothing(index):
    search = SimilaritySearch(index=index).fit(X[:10], CLASSES[:10], ids=[f"item {i}" for i in range(10)])
    for cycle in range(200):
        search.partial_fit(X[:2], [f"one {cycle:9}", f"two {cycle:9}"], ids=[f"a{cycle:9}", f"b{cycle:9}"])
        search.remove([f"a{cycle:9}", f"b{cycle:9}"])
        if cycle == 20:
            size = len(pickle.dumps(search))
    assert len(pickle.dumps(search)) < size + 2000
    assert len(search._gallery.labels) == 1
    assert search.predict(X[:3]).tolist() == ["ann"] * 3


def test_classes_keep_their_codes_apart_after_others_left():
    search = SimilaritySearch().fit(X[:6], ["a", "b", "c", "d", "b", "d"])
    search.remove([0, 2]).partial_fit(X[6:8], ["e", "a"])
    assert search.labels_.tolist() == ["b", "d", "b", "d", "e", "a"]
    assert search.predict(X[[1, 3, 6, 7]]).tolist() == ["b", "d", "e", "a"]
    assert search.classes_.tolist() == ["a", "b", "d", "e"]


@pytest.mark.parametrize("text", ["ann\0", "ann\ud800"], ids=["NUL", "surrogate"])
def test_text_that_no_folder_holds_is_refused_everywhere(text):
    search = SimilaritySearch().fit(X[:2], ["ann", "bob"], ids=["ann", "bob"], metadata={"note": ["x", "y"]})
    new = {"ids": ["new"], "metadata": {"note": ["z"]}}
    for call in (
        lambda: search.partial_fit(X[:1], [text], **new),
        lambda: search.partial_fit(X[:1], ["cid"], **new | {"ids": [text]}),
        lambda: search.partial_fit(X[:1], ["cid"], **new | {"metadata": {"note": [text]}}),
        lambda: search.upsert([text], X[:1], ["cid"], metadata={"note": ["z"]}),
        lambda: search.update(["ann"], metadata={"note": [text]}),
        lambda: search.predict(X[:1], where={"note": text}),
        lambda: search.predict(X[:1], where={"label": text}),
        lambda: search.lookup(X[:1], where={"note": ["x", text]}),
        lambda: SimilaritySearch().fit(X[:1], ["ann"], metadata={text: [1]}),
        lambda: SimilaritySearch(no_match_label=text).fit(X[:1], ["ann"]),
        lambda: SimilaritySearch(review_label=text).fit(X[:1], ["ann"]),
        lambda: SimilaritySearch().fit(X[:2], ["ann", "bob"], groups=[text, "mon"]),
        lambda: SimilaritySearch().fit(X, CLASSES).calibrate(targets={text: ("recall", 0.9)}),
    ):
        with pytest.raises(ValueError, match=r"NUL|surrogate"):
            call()
    for call in (
        lambda: search.remove([text]),
        lambda: search.update([text], X[:1], ["ann"], metadata={"note": ["z"]}),
        lambda: search.items([text]),
        lambda: search.predict(X[:1], among=[text]),
    ):
        with pytest.raises(KeyError, match=r"NUL|surrogate"):
            call()
    assert search.ids_.tolist() == ["ann", "bob"]


# Embeddings: FAISS only hides what was removed, until a folder or a pickle leaves the process


@pytest.mark.parametrize(
    "factory", ["Flat", "SQ8", "HNSW8", "HNSW8,SQ8", "IVF2,Flat", "PCA3,Flat", "PQ2x4fs"]
)
def test_no_embedding_of_a_removed_item_leaves_the_process(factory, tmp_path):
    pytest.importorskip("faiss")
    search = SimilaritySearch(index=FaissIndex(factory)).fit(X, CLASSES)
    search.partial_fit([[91.0, 92.0, 93.0, 94.0]], ["ann"]).remove([40])
    before = search.kneighbors(X)[1].tolist()
    search.save(tmp_path)
    for other in (SimilaritySearch.load(tmp_path), pickle.loads(pickle.dumps(search))):
        index = other.index_._held.engine.index
        entries = index.reconstruct_batch(other.index_._held.serials.values)
        if "IVF" not in factory:  # whose entries are known by serials
            entries = index.reconstruct_n(0, index.ntotal)
        assert np.abs(entries).max() < 50
        assert other.kneighbors(X)[1].tolist() == before
        other.partial_fit([[50.0] * 4], ["eve"]).remove([0])
        assert other.predict([[50.0] * 4]).tolist() == ["eve"]
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*.safetensors"))
    assert np.float32([91.0, 92.0, 93.0, 94.0]).tobytes() not in written + pickle.dumps(search)


def test_an_embedding_that_is_there_is_found_by_this_test():
    search = SimilaritySearch().fit(X, CLASSES)
    assert X[7].tobytes() in pickle.dumps(search)
