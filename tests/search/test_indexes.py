"""Laws of every index: one suite for all. A new index joins by a line in `INDEXES`."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skmetric._checks import check_matrix
from skmetric.retrieval import Neighbors, nearest
from skmetric.search import ExactIndex, FaissIndex, Index, SimilaritySearch
from skmetric.search._calibration._matchers import MATCHERS
from skmetric.search._index._checks import check_among, check_dimension, check_k, check_keys
from skmetric.search._server._shared import SharedIndex


class OwnIndex(Index):
    """An index as a user writes one: what is public, and no more."""

    ids, embeddings = np.empty(0, dtype=np.int64), None

    def add(self, ids, embeddings, columns=None):
        ids, embeddings = check_keys(ids, len(embeddings)), check_matrix(embeddings, "embeddings")
        if self.embedder_is_new(embeddings):
            raise ValueError(f"embeddings have {embeddings.shape[1]} dimensions and the index holds 64")
        if np.isin(ids, self.ids).any():
            raise ValueError(f"id {ids[np.isin(ids, self.ids)][0]} is in the index already")
        old = embeddings[:0] if self.embeddings is None else self.embeddings
        self.ids, self.embeddings = np.append(self.ids, ids), np.vstack([old, embeddings])
        return self

    def remove(self, ids):
        kept = np.ones(len(self), dtype=bool)
        kept[self.rows(ids)] = False
        self.ids, self.embeddings = self.ids[kept], self.embeddings[kept]
        return self

    def query(self, embeddings, k, *, where=None, among=None):
        embeddings = check_matrix(embeddings, "embeddings")
        rows = np.arange(len(self)) if among is None else np.sort(self.rows(check_among(among)))
        check_k(k, len(rows))
        check_dimension(embeddings, self.embeddings.shape[1])
        found = nearest(embeddings, self.embeddings[rows], k)
        return Neighbors(found.distances, self.ids[rows[found.indices]])

    def vectors(self, ids=None):
        if self.embeddings is None:
            raise ValueError("the index is empty: add embeddings first")
        values = self.embeddings if ids is None else self.embeddings[self.rows(ids)]
        values = values.view()
        values.flags.writeable = False
        return values

    def __len__(self):
        return len(self.ids)

    def embedder_is_new(self, embeddings):
        return self.embeddings is not None and embeddings.shape[1] != self.embeddings.shape[1]

    def rows(self, ids):
        unknown = np.setdiff1d(ids, self.ids)
        if len(unknown):
            raise KeyError(f"id {unknown[0]} is not in the index")
        return np.array([self.ids.tolist().index(i) for i in np.asarray(ids).tolist()], dtype=int)


class CountingIndex(OwnIndex):
    """One with a parameter, and state that a folder does not hold by itself."""

    def __init__(self, unit="m"):
        self.unit = unit

    def add(self, ids, embeddings, columns=None):
        self.sizes = [*getattr(self, "sizes", []), len(embeddings)]
        return super().add(ids, embeddings)

    def to_arrays(self):
        content = {"unit": self.unit, "sizes": self.sizes}
        return content, {"ids": self.ids, "embeddings": self.embeddings}

    @classmethod
    def of_arrays(cls, content, arrays):
        index = cls(content["unit"])
        index.sizes, index.ids, index.embeddings = content["sizes"], arrays["ids"], arrays["embeddings"]
        return index


# what makes an empty index, given a test's request; and what the kind promises
INDEXES = {
    "exact": lambda request: ExactIndex(),
    "exact on a device": lambda request: ExactIndex(device="auto"),
    "own": lambda request: OwnIndex(),
    "own with state": lambda request: CountingIndex("km"),
    "faiss flat": lambda request: FaissIndex("Flat"),
    "faiss graph": lambda request: FaissIndex("HNSW16"),
    "faiss lists": lambda request: FaissIndex("IVF8,Flat", n_probe=8),
    "faiss scalar": lambda request: FaissIndex("SQ8"),
    "faiss product": lambda request: FaissIndex("PCA8,PQ4x4", rescore=30),
    "faiss rotated": lambda request: FaissIndex("PCA16,IVF4,Flat", n_probe=4, rescore=10),
    "faiss without vectors": lambda request: FaissIndex("IVF8,Flat", n_probe=8, keep_vectors=False),
    "postgres": lambda request: request.getfixturevalue("make_pgvector")(),
    "postgres graph": lambda request: request.getfixturevalue("make_pgvector")(method="hnsw", ef_search=100),
    "milvus": lambda request: request.getfixturevalue("milvus"),
}
HOLDS_COLUMNS = {"postgres", "postgres graph", "milvus"}  # on a server, with labels and metadata
EXACT = {
    "exact",
    "exact on a device",
    "own",
    "own with state",
    "faiss flat",
    "faiss lists",
    "postgres",
    "milvus",
}  # finds what an exact search finds


@pytest.fixture(params=INDEXES)
def kind(request):
    return request.param


@pytest.fixture
def empty(kind, request):
    return INDEXES[kind](request)


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return (data.data / 16).astype(np.float32), data.target


@pytest.fixture
def filled(empty, digits):
    """An index of 400 digits under the ids 1000, 1003, ..."""
    return empty.add(1000 + 3 * np.arange(400), digits[0][:400], **columns(empty, 400))


def columns(index, n_items):
    """Columns for an index that holds some."""
    return {"columns": {"even": np.arange(n_items) % 2 == 0}} if index.holds_columns else {}


def test_it_is_an_index(empty):
    assert isinstance(empty, Index)
    assert len(empty) == 0


def test_it_finds_the_nearest(kind, filled, digits):
    expected = nearest(digits[0][400:500], digits[0][:400], 10)
    found = filled.query(digits[0][400:500], 10)
    assert found.distances.dtype == np.float64
    assert found.distances.shape == found.indices.shape == (100, 10)
    assert (np.diff(found.distances, axis=1) >= 0).all()
    hits = [len(set(a) & set(1000 + 3 * b)) for a, b in zip(found.indices, expected.indices, strict=True)]
    if kind in EXACT:
        np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-5)
    assert np.mean(hits) / 10 >= 0.95  # recall@10


def test_distances_are_those_of_the_vectors(filled, digits):
    found = filled.query(digits[0][400:405], 3)
    for query, distances, ids in zip(digits[0][400:405], *found, strict=True):
        expected = np.linalg.norm(filled.vectors(ids).astype(float) - query, axis=1)
        np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-4)


def test_vectors_come_back(kind, filled, digits):
    if "without" not in kind:
        np.testing.assert_allclose(filled.vectors(), digits[0][:400])
    np.testing.assert_allclose(filled.vectors([1003, 1000]), digits[0][[1, 0]], atol=1e-3)
    with pytest.raises((ValueError, TypeError)):
        filled.vectors([1000])[0, 0] = 5
    with pytest.raises(KeyError, match="7"):
        filled.vectors([7])


def test_what_is_added_is_found_at_once(filled, digits):
    filled.add([5], digits[0][500:501] + 10, **columns(filled, 1))
    found = filled.query(digits[0][500:501] + 10, 1)
    assert found.indices.tolist() == [[5]]
    assert found.distances[0, 0] == pytest.approx(0, abs=0.05)
    assert len(filled) == 401


def test_what_is_removed_is_not_found(filled, digits):
    filled.remove([1000, 1009])
    assert len(filled) == 398
    assert 1000 not in filled.query(digits[0][:1], 398).indices
    with pytest.raises(KeyError, match="1000"):
        filled.remove([1003, 1000])
    assert len(filled) == 398  # nothing was removed
    filled.add([1000], digits[0][:1], **columns(filled, 1))
    assert filled.query(digits[0][:1], 1).indices.tolist() == [[1000]]


def test_what_is_updated_moves(kind, filled, digits):
    filled.update([1003, 1000], digits[0][[500, 501]] + 10, **columns(filled, 2))
    assert len(filled) == 400
    assert filled.query(digits[0][[501, 500]] + 10, 1).indices.ravel().tolist() == [1000, 1003]
    with pytest.raises(KeyError, match="7"):
        filled.update([7], digits[0][:1], **columns(filled, 1))
    with pytest.raises(ValueError, match="3 dimensions"):
        filled.update([1000], digits[0][:1, :3], **columns(filled, 1))
    assert filled.query(digits[0][[501]] + 10, 1).indices.tolist() == [[1000]]


@pytest.mark.parametrize("n_among", [7, 300])
def test_a_search_among_some(kind, filled, digits, n_among):
    ids = 1000 + 3 * np.random.default_rng(0).permutation(400)[:n_among]
    found = filled.query(digits[0][400:420], 5, among=ids)
    assert set(found.indices.ravel()) <= set(ids)
    rows = np.sort((ids - 1000) // 3)
    expected = rows[nearest(digits[0][400:420], digits[0][rows], 5).indices]
    hits = [len(set(a) & set(1000 + 3 * b)) for a, b in zip(found.indices, expected, strict=True)]
    assert np.mean(hits) / 5 >= 0.9
    if kind in HOLDS_COLUMNS:
        assert filled.query(digits[0][:1], 6, among=ids[:5]).indices.shape == (1, 5)
        return
    with pytest.raises(ValueError, match="5 items"):
        filled.query(digits[0][:1], 6, among=ids[:5])


def test_every_item_can_be_asked_for(filled, digits):
    found = filled.query(digits[0][:2], 400)
    assert all(len(set(ids)) == 400 for ids in found.indices)


def test_clone_is_empty_but_for_what_a_server_holds(kind, filled):
    copy = clone(filled)
    assert len(copy) == (400 if kind in HOLDS_COLUMNS else 0)
    assert repr(copy) == repr(filled)


def test_round_trips(kind, filled, digits, tmp_path):
    expected = filled.query(digits[0][400:420], 3)
    joblib.dump(filled, tmp_path / "index.joblib")
    filled.save(tmp_path / "index")
    copies = [
        joblib.load(tmp_path / "index.joblib"),
        pickle.loads(pickle.dumps(filled)),
        type(filled).load(tmp_path / "index"),
    ]
    for copy in copies:
        np.testing.assert_array_equal(copy.query(digits[0][400:420], 3).indices, expected.indices)
        copy.add([5], digits[0][500:501] + 10, **columns(copy, 1))
        assert copy.query(digits[0][500:501] + 10, 1).indices.tolist() == [[5]]
        if kind in HOLDS_COLUMNS:  # one gallery for all copies
            assert filled.query(digits[0][500:501] + 10, 1).indices.tolist() == [[5]]
            filled.remove([5])
    assert len(filled) == 400


def test_float64_and_lists_are_taken(empty, digits):
    empty.add(np.arange(200).tolist(), digits[0][:200].astype(np.float64).tolist(), **columns(empty, 200))
    assert empty.query(digits[0][:1].astype(np.float64), 1).indices.tolist() == [[0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i, X: i.add([1000], X[:1], **columns(i, 1)), "id 1000 is in the index already"),
        (lambda i, X: i.add([5, 5], X[:2], **columns(i, 2)), "id 5 comes 2 times"),
        (lambda i, X: i.add(["a"], X[:1], **columns(i, 1)), "ids of an index must be integers"),
        (lambda i, X: i.add([5], X[:2], **columns(i, 2)), "ids must be one for each of the 2"),
        (lambda i, X: i.add([5], X[:1, :3], **columns(i, 1)), "have 3 dimensions and the index holds 64"),
        (lambda i, X: i.add([5], X[:1] * np.nan, **columns(i, 1)), "contains NaN in row 0"),
        (lambda i, X: i.query(X[:1, :3], 1), "have 3 dimensions and the index holds 64"),
        (lambda i, X: i.query(X[:1] * np.inf, 1), "contains (NaN|infinity)"),
        (lambda i, X: i.query(X[:1], 401), "k=401 is more than the 400 items"),
        (lambda i, X: i.query(X[:1], 0), "k must be an integer from 1"),
        (lambda i, X: i.query(X[:1], 1, among=[]), "nothing to search"),
    ],
)
def test_bad_input(filled, digits, call, message):
    with pytest.raises(ValueError, match=message), np.errstate(invalid="ignore"):
        call(filled, digits[0] + 1)
    assert len(filled) == 400


def test_an_empty_index_says_so(empty, tmp_path):
    for call in (
        lambda: empty.query([[0.0]], 1),
        lambda: empty.vectors(),
        lambda: empty.save(tmp_path / "i"),
    ):
        with pytest.raises(ValueError, match="the index is empty"):
            call()


# On top of it: a gallery


@pytest.fixture
def search(empty, digits):
    X, y = digits
    metadata = {"shop": np.array(["A", "B", "C"])[np.arange(600) % 3], "year": 2020 + np.arange(600) % 5}
    names = np.array([f"digit {label}" for label in y])
    return SimilaritySearch(index=empty).fit(X[:600], names[:600], metadata=metadata)


def test_a_gallery_enrols_calibrates_and_predicts(search, digits):
    X, y = digits
    search.calibrate()
    assert search.score(X[600:800], [f"digit {label}" for label in y[600:800]]) > 0.8
    more = {"shop": ["A"], "year": [2030]}
    search.partial_fit(X[:1] + 5, ["nobody yet"], metadata=more)
    assert search.lookup(X[:1] + 5, 1)["label"].tolist() == ["nobody yet"]


def test_a_gallery_is_filtered_by_metadata(search, digits):
    X, _ = digits
    table = search.lookup(X[700:720], 5, where={"shop": "A"})
    assert set(table["shop"]) == {"A"}
    rows = np.arange(600) % 3 == 0
    expected = np.flatnonzero(rows)[nearest(X[700:720], X[:600][rows], 5).indices]
    found = search.kneighbors(X[700:720], 5, return_distance=False, where={"shop": "A"})
    assert np.mean([len(set(a) & set(b)) for a, b in zip(found, expected, strict=True)]) >= 4.5
    both = search.lookup(X[:1], 3, where={"shop": ["A", "C"], "year": 2021})
    assert set(both["shop"]) <= {"A", "C"}
    assert set(both["year"]) == {2021}
    assert set(search.lookup(X[:1], 3, where={"label": "digit 7"})["label"]) == {"digit 7"}
    assert set(search.predict(X[:9], where={"label": ["digit 1", "digit 2"]})) <= {"digit 1", "digit 2"}
    assert search.lookup(X[:1], 9, where={"year": slice(2022, 2023)})["year"].min() >= 2022
    near = search.radius_neighbors(X[:2], 2.0, return_distance=False, where={"year": 2022})
    assert all((np.arange(600)[rows] % 5 == 2).all() for rows in near)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"town": "A"}, "column 'town' that is not there: there are 'shop'"),
        ({"shop": 3}, r"where\['shop'\] is compared with text; got 3"),
        ({"year": "2020"}, r"where\['year'\] is compared with a number; got '2020'"),
        ({}, "where must be a dict"),
        ("A", "where must be a dict"),
    ],
)
def test_filters_that_cannot_be(search, digits, where, message):
    with pytest.raises(ValueError, match=message):
        search.kneighbors(digits[0][:1], 50, where=where)


def test_lookups_return_what_there_is(search, digits):  # chroma #225, #342
    X, n_items = digits[0][:2], len(search.ids_)
    few = {"shop": "A", "year": 2020}  # 40 items pass
    distances, rows = search.kneighbors(X, 50, where=few)
    assert rows.shape == (2, 50)
    assert (rows[:, 40:] == -1).all()
    assert np.isinf(distances[:, 40:]).all()
    assert len(search.lookup(X, 50, where=few)) == 2 * (rows[0] >= 0).sum()
    assert search.kneighbors(X, n_items + 1)[1].shape == (2, n_items)
    assert len(search.lookup(X, where={"shop": "Z"})) == 0
    assert (search.kneighbors(X, 3, where={"shop": "Z"})[1] == -1).all()
    assert [len(found) for found in search.radius_neighbors(X, 9.0, where={"shop": "Z"})[1]] == [0, 0]


def test_a_gallery_is_saved_and_loaded(search, digits, tmp_path):
    X, _ = digits
    search.calibrate()
    search.save(tmp_path / "gallery")
    named = isinstance(search.index, OwnIndex | SharedIndex)  # what a folder alone does not open
    own = {"index": clone(search.index)} if named else {}
    loaded = SimilaritySearch.load(tmp_path / "gallery", **own)
    np.testing.assert_array_equal(loaded.predict(X[600:700]), search.predict(X[600:700]))
    assert type(loaded.index_) is type(search.index_)
    more = {"shop": ["A"], "year": [2030]}
    assert loaded.partial_fit(X[:1] + 5, ["new"], metadata=more).predict(X[:1] + 5).tolist() == ["new"]


# FAISS alone


def test_settings_of_faiss_go_through_a_grid(digits):
    X, y = digits
    search = SimilaritySearch(index=FaissIndex("IVF16,Flat", n_probe=1))
    grid = GridSearchCV(search, {"index__n_probe": [1, 16]}, cv=3).fit(X[:600], y[:600])
    scores = grid.cv_results_["mean_test_score"]
    assert scores[1] >= scores[0]  # all lists are looked into


def test_quantised_candidates_are_rescored(digits):
    X = digits[0]
    exact = nearest(X[1000:1100], X[:1000], 10).indices
    recall = {}
    for rescore in (1, 8):
        index = FaissIndex("PCA32,PQ8x4", rescore=rescore).add(np.arange(1000), X[:1000])
        found = index.query(X[1000:1100], 10)
        recall[rescore] = np.mean(
            [len(set(a) & set(b)) / 10 for a, b in zip(found.indices, exact, strict=True)]
        )
        expected = np.linalg.norm(X[found.indices[:, 0]].astype(float) - X[1000:1100], axis=1)
        np.testing.assert_allclose(found.distances[:, 0], expected)
    assert recall[8] > recall[1] + 0.1


def test_faiss_as_patched_for_torch(another_process):
    code = """
import numpy as np, faiss, faiss.contrib.torch_utils
from skmetric.search import FaissIndex
X = np.eye(64, dtype=np.float32)
for factory in ("Flat", "HNSW8", "IVF2,Flat"):
    index = FaissIndex(factory, n_probe=2).add(np.arange(64), X)
    assert index.query(X[:3], 1).indices.ravel().tolist() == [0, 1, 2], factory
    assert index.vectors([5])[0, 5] == 1
"""
    another_process.run(code)  # elsewhere: it stays patched


def test_queries_whose_lists_hold_too_few_look_everywhere(digits):
    index = FaissIndex("IVF64,Flat", n_probe=1).add(np.arange(300), digits[0][:300])
    found = index.query(digits[0][300:310], 100)
    assert (found.indices >= 0).all()
    assert np.isfinite(found.distances).all()


@pytest.mark.parametrize("factory", ["HNSW4", "HNSW8,SQ8"])
def test_parts_of_a_graph_that_no_edge_leads_to_are_found_in_the_embeddings(factory):
    X = np.repeat(np.random.default_rng(0).normal(size=(20, 8)), 100, axis=0).astype(np.float32)
    found = FaissIndex(factory).add(np.arange(2000), X).query(X[::500], 2000)
    assert all(len(set(ids)) == 2000 for ids in found.indices.tolist())
    np.testing.assert_allclose(found.distances, nearest(X[::500], X, 2000).distances, rtol=1e-5, atol=1e-5)


def test_what_an_index_does_not_find_is_left_out():
    X = np.repeat(np.random.default_rng(0).normal(size=(20, 8)), 100, axis=0).astype(np.float32)
    index = FaissIndex("HNSW4", keep_vectors=False)  # nothing to fall back upon
    y = np.where(np.arange(2000) % 100, np.arange(2000) // 100, 99)
    search = SimilaritySearch(index=index, n_neighbors=2000, matcher="majority").fit(X, y)
    distances, rows = search.kneighbors(X[::500])
    assert (rows == -1).any()
    np.testing.assert_array_equal(rows == -1, np.isinf(distances))
    n_found = (rows >= 0).sum(axis=1)
    table = search.lookup(X[::500])
    np.testing.assert_array_equal(np.bincount(table["query"]), n_found)
    assert np.isfinite(table["distance"]).all()
    np.testing.assert_array_equal(np.diff(search.kneighbors_graph(X[::500]).indptr), n_found)
    for query, label in enumerate(search.predict(X[::500])):
        votes = np.bincount(table["label"][table["query"] == query])
        assert votes[label] == votes.max()


@pytest.mark.parametrize("matcher", ["nearest", "majority", "distance", "ratio"])
def test_what_was_not_found_is_no_vote_and_no_other_class(matcher):
    distances, codes = np.array([[1.0, 2.0, np.inf, np.inf, np.inf]]), np.array([[3, 3, -1, -1, -1]])
    match = MATCHERS[matcher]().match(distances, codes)
    assert match.codes.tolist() == [3]
    assert match.distances.tolist() == [0.5 if matcher == "ratio" else 1.0]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (FaissIndex("IVF1024,Flat"), "start with 1024 or more, better 39936"),
        (FaissIndex("Rubbish"), "FAISS cannot make factory='Rubbish'"),
        (FaissIndex("PQ7"), "factory='PQ7'"),  # into which 64 dimensions do not divide
        (FaissIndex("Flat", n_probe=0), "n_probe"),
    ],
)
def test_indexes_that_faiss_cannot_make(digits, index, message):
    with pytest.raises(ValueError, match=message):
        index.add(np.arange(300), digits[0][:300])
    assert len(index) == 0
