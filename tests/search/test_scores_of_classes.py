"""Scores of classes: `decision_function` and `predict_proba` say what `predict` says, ties included."""

import numpy as np
import pytest
from sklearn.exceptions import EfficiencyWarning
from sklearn.neighbors import sort_graph_by_row_values
from sklearn.utils.estimator_checks import check_estimator

from skmetric.retrieval import nearest
from skmetric.search import ClassCenters, KReciprocal, NeighborAverage, SimilaritySearch

rng = np.random.default_rng(0)
GRID = rng.integers(0, 3, size=(200, 2)).astype(float)  # 9 places: ties everywhere
LABELS = rng.permutation(np.arange(200) % 5)

any_matcher = pytest.mark.parametrize(
    "matcher", ["nearest", "majority", "distance", "center", "ratio", ClassCenters(3)], ids=str
)


@any_matcher
@pytest.mark.parametrize("n_classes", [2, 5])
def test_predict_is_the_class_of_the_best_score_in_ties_too(matcher, n_classes):
    y = np.where(n_classes > LABELS, LABELS, 0)
    search = SimilaritySearch(matcher=matcher, n_neighbors=7).fit(GRID, y)
    scores = search.decision_function(GRID + 0.5)
    best = scores.argmax(axis=1) if n_classes > 2 else (scores > 0).astype(int)
    np.testing.assert_array_equal(search.classes_[best], search.predict(GRID + 0.5))


def test_shares_of_votes_by_hand():
    search = SimilaritySearch(matcher="majority", n_neighbors=4).fit(
        [[0.0], [1.0], [2.0], [3.0]], list("baac")
    )
    np.testing.assert_allclose(search.predict_proba([[0.4]]), [[0.5, 0.25, 0.25]])
    search.calibrate(X=[[0.2], [9.0]], y=["b", "z"])
    np.testing.assert_allclose(search.predict_proba([[99.0]]), [[0.5, 0.25, 0.25]])  # no threshold


def test_a_tie_of_votes_goes_to_the_nearer_class():
    search = SimilaritySearch(matcher="majority", n_neighbors=2).fit([[0.0], [1.0]], ["z", "a"])
    assert search.predict([[0.4]]) == ["z"]
    shares = search.predict_proba([[0.4]])
    np.testing.assert_allclose(shares, [[0.5, 0.5]])
    assert search.classes_[shares.argmax()] == "z"


def test_shares_only_where_votes_exist():
    assert hasattr(SimilaritySearch(matcher="distance"), "predict_proba")
    for matcher in ("nearest", "ratio", "center", "unheard of"):
        assert not hasattr(SimilaritySearch(matcher=matcher), "predict_proba")


@pytest.mark.parametrize("matcher", ["majority", "distance"])
def test_checks_of_scikit_learn(matcher):
    check_estimator(SimilaritySearch(matcher=matcher, n_neighbors=7), on_skip=None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_distances_to_classes_are_those_of_a_search_in_each(dtype, offset):
    X = (rng.standard_normal((300, 4)) + offset).astype(dtype)
    y = rng.integers(0, 12, size=300) * 3
    expected = np.hstack([-nearest(X[::3], X[y == label]).distances for label in np.unique(y)])
    np.testing.assert_allclose(SimilaritySearch().fit(X, y).decision_function(X[::3]), expected, rtol=1e-12)


@pytest.mark.parametrize("change", ["partial_fit", "remove", "option", "matcher"])
def test_what_is_kept_between_queries_follows_changes(change):
    X, y = rng.standard_normal((40, 3)), np.arange(40) % 4
    queries = X[:5] + 0.1
    search = SimilaritySearch(matcher="center", query_expansion=NeighborAverage(2)).fit(X, y)
    search.kneighbors(queries), search.decision_function(queries)
    fresh = SimilaritySearch(matcher="center", query_expansion=NeighborAverage(2))
    if change == "partial_fit":
        search.partial_fit(X + 1, y)
        fresh.fit(np.vstack([X, X + 1]), np.hstack([y, y]))
    elif change == "remove":
        search.remove(np.arange(8))
        fresh.fit(X[8:], y[8:])
    elif change == "option":
        search.query_expansion.n_neighbors = 4
        search.set_params(augment_gallery=NeighborAverage(1))
        fresh.set_params(query_expansion=NeighborAverage(4), augment_gallery=NeighborAverage(1)).fit(X, y)
    else:
        search.set_params(matcher=ClassCenters(2))
        fresh.set_params(matcher=ClassCenters(2)).fit(X, y)
    np.testing.assert_allclose(search.kneighbors(queries)[0], fresh.kneighbors(queries)[0])
    np.testing.assert_allclose(search.decision_function(queries), fresh.decision_function(queries))


@pytest.mark.parametrize("rerank", [None, KReciprocal(k1=5)], ids=str)
def test_a_graph_of_distances_is_sorted_as_scikit_learn_wants_it(rerank, recwarn):
    search = SimilaritySearch(rerank=rerank).fit(GRID)
    for graph in (search.kneighbors_graph(mode="distance"), search.kneighbors_graph(GRID, mode="distance")):
        sort_graph_by_row_values(graph, warn_when_not_sorted=True)
    assert not [w for w in recwarn if w.category is EfficiencyWarning]


def test_repr_tells_items_classes_and_threshold():
    search = SimilaritySearch(n_neighbors=3)
    assert repr(search) == "SimilaritySearch(n_neighbors=3)"
    search.fit([[0.0], [1.0], [5.0], [6.0]], list("aabb"))
    assert repr(search).endswith("# 4 items in 2 classes, not calibrated: every query is accepted")
    search.calibrate()
    limit = search.calibration_.cutpoints["optimal"]["distance"]
    assert repr(search).endswith(
        f"# 4 items in 2 classes, calibrated: accepts distances up to {limit:.4g} ('optimal')"
    )
    assert repr(SimilaritySearch().fit([[0.0]])).endswith("# 1 item, without labels")


def test_one_item_has_no_others():
    search = SimilaritySearch().fit([[0.0]])
    assert search.kneighbors()[1].shape == (1, 0)
    assert search.kneighbors([[1.0]], 5)[1].tolist() == [[0]]
