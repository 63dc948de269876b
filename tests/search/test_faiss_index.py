"""FaissIndex: what it hides, and what it finds as it grows."""

import pickle
import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmetric.retrieval import nearest
from skmetric.search import FaissIndex, SimilaritySearch
from skmetric.search._index._growing import GrowingArray

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
FACTORIES = ["HNSW16", "HNSW16,SQ8", "IVF8,Flat", "SQ8", "PCA16,PQ8x4"]


def recall(index, ids, rows, queries, k=10):
    found, expected = index.query(queries, k).indices, ids[nearest(queries, rows, k).indices]
    return np.mean([len(set(a) & set(b)) / k for a, b in zip(found, expected, strict=True)])


@pytest.mark.parametrize("factory", FACTORIES)  # facebookresearch/faiss #1784, #3339
def test_removing_and_updating_in_parts_finds_what_is_left(factory):
    index = FaissIndex(factory, n_probe=8, rescore=20).add(np.arange(1000), X[:1000])
    rng, rows = np.random.default_rng(0), X[:1000].copy()
    left = np.arange(1000)
    for step in range(12):
        gone = rng.choice(left, 40, replace=False)
        left = np.setdiff1d(left, gone)
        index.remove(gone)
        moved = rng.choice(left, 20, replace=False)
        rows[moved] = X[1000 + 20 * step : 1020 + 20 * step]
        index.update(moved, rows[moved])
        assert len(index) == len(left)
        assert recall(index, left, rows[left], X[1500:1600]) > 0.97
    assert set(index.query(X[:1], len(left)).indices.ravel()) == set(left)


def test_a_whole_class_that_was_removed_does_not_stand_in_the_way():
    """Every candidate that a graph looks at first is hidden."""
    index = FaissIndex("HNSW16").add(np.arange(1500), X[:1500])
    kept = np.flatnonzero(y[:1500] != 3)
    index.remove(np.flatnonzero(y[:1500] == 3))
    assert index._held.engine.n_issued == 1500  # hidden, not yet built again
    queries = X[1500:][y[1500:] == 3]
    never_there = FaissIndex("HNSW16").add(kept, X[kept])
    assert recall(index, kept, X[kept], queries) > recall(never_there, kept, X[kept], queries) - 0.03


@pytest.mark.parametrize("keep_vectors", [True, False])
def test_hidden_items_stay_hidden_in_files_and_pickles(keep_vectors, tmp_path):
    index = FaissIndex("HNSW16", keep_vectors=keep_vectors).add(np.arange(500), X[:500]).remove(range(60))
    index.save(tmp_path / "index")
    for copy in (pickle.loads(pickle.dumps(index)), FaissIndex.load(tmp_path / "index", verify=True)):
        assert len(copy) == 440
        np.testing.assert_array_equal(copy.query(X[:20], 5).indices, index.query(X[:20], 5).indices)
        assert copy.query(X[:60], 1).indices.min() >= 60
        copy.remove(range(60, 200))  # built again
        assert copy.query(X[:200], 1).indices.min() >= 200
        np.testing.assert_array_equal(copy.vectors(), X[200:500])


def test_a_gallery_over_a_graph_removes_and_updates():
    search = SimilaritySearch(index=FaissIndex("HNSW16")).fit(X[:600], y[:600])
    search.remove(np.flatnonzero(y[:600] == 3))
    assert 3 not in search.predict(X[600:700])
    search.update([0], X[700:701] + 5, [9])
    assert search.lookup(X[700:701] + 5, 1)["id"].tolist() == [0]


@pytest.mark.parametrize("n_at_once", [1, 50])
@pytest.mark.parametrize("shift", [3, 20])
def test_old_items_are_found_after_many_others_came_in_another_region(shift, n_at_once):
    rng = np.random.default_rng(0)
    old = rng.normal(size=(200, 32)).astype(np.float32)
    new = (rng.normal(size=(1500, 32)) + shift).astype(np.float32)
    index = FaissIndex("HNSW8").add(np.arange(200), old)
    for start in range(0, len(new), n_at_once):
        part = new[start : start + n_at_once]
        index.add(np.arange(200 + start, 200 + start + len(part)), part)
    ids, rows = np.arange(1700), np.vstack([old, new])
    assert recall(index, ids, rows, old) > 0.97
    assert recall(index, ids, rows, new[::15]) > 0.9


def test_codes_are_trained_again_where_they_suit_later_items_badly():
    rng = np.random.default_rng(0)
    old = rng.normal(size=(300, 16)).astype(np.float32)
    new = (0.1 * rng.normal(size=(1200, 16)) + 5).astype(np.float32)
    ids, rows, found = np.arange(1500), np.vstack([old, new]), {}
    for loss in (None, 0.1):
        index = FaissIndex("PQ8x4", rescore=2, max_recall_loss=loss).add(ids[:300], old)
        for start in range(300, 1500, 50):
            index.add(ids[start : start + 50], rows[start : start + 50])
        found[loss] = recall(index, ids, rows, new[::12])
    again = recall(index.reindex(), ids, rows, new[::12])
    assert found[None] < again - 0.2
    assert found[0.1] > found[None] + 0.15


@pytest.mark.parametrize("where", [None, {"half": 1}])
def test_all_items_within_a_radius_are_found_whatever_the_index(where):
    # an index that looks into one list of 64 finds some neighbours; "all" is what radius_neighbors says
    half = {"half": np.arange(1500) % 2}
    few = SimilaritySearch(index=FaissIndex("IVF64,Flat", n_probe=1)).fit(X[:1500], y[:1500], metadata=half)
    exact = SimilaritySearch().fit(X[:1500], y[:1500], metadata=half)
    found = few.radius_neighbors(X[1500:1550], 1.6, where=where)
    expected = exact.radius_neighbors(X[1500:1550], 1.6, where=where)
    assert max(map(len, expected[1])) > 20
    for mine, right in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(mine, right)


@pytest.mark.parametrize("factory", ["HNSW4", "HNSW8"])
def test_a_query_ends_where_a_graph_cannot_reach_all_items(factory):
    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    rows[:25] = rows[0]  # equal items: links of a graph that lead nowhere else
    index = FaissIndex(factory).add(np.arange(50), rows).remove(np.arange(0, 50, 5))
    assert index.query(rows[26:29], 1).indices.ravel().tolist() == [26, 27, 28]
    assert (index.query(rows[:1], 5).indices < 25).all()


def test_removing_one_item_copies_no_embeddings():
    rows = np.random.default_rng(0).normal(size=(20_000, 64)).astype(np.float32)  # 5 MB
    index = FaissIndex("Flat").add(np.arange(20_000), rows)
    tracemalloc.start()
    index.remove([5]).update([7], rows[:1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
    np.testing.assert_array_equal(index.vectors([6, 7, 19_999]), rows[[6, 0, 19_999]])
    kept = np.delete(np.arange(20_000), [5, 7])
    for changed in (pickle.loads(pickle.dumps(index)), index):
        np.testing.assert_array_equal(changed.vectors(), rows[[*kept, 0]])
        np.testing.assert_array_equal(changed.query(rows[6:7], 1).indices, [[6]])


def test_pickles_of_versions_that_copied_at_removal_are_read():
    rows = np.eye(5, dtype=np.float32)
    index = FaissIndex("Flat").add(np.arange(5), rows)
    held = index._held
    state = vars(index) | {"_held": held._replace(vectors=GrowingArray(held.vectors.values))}
    again = FaissIndex.__new__(FaissIndex)
    again.__setstate__(state)
    np.testing.assert_array_equal(again.remove([2]).vectors(), rows[[0, 1, 3, 4]])
