"""Re-ranking, query expansion and augmentation: against plain definitions, and through SimilaritySearch."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

from skmetric.search import KReciprocal, NeighborAverage, SimilaritySearch

X = np.random.default_rng(0).normal(size=(60, 4))
QUERIES = np.random.default_rng(1).normal(size=(9, 4))


def published(X, k1, k2, lambda_value):
    """Zhong et al.'s procedure, one item after the other; all items are queries and gallery."""
    n = len(X)
    squares = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    relative = squares / squares.max(axis=1, keepdims=True)
    ranked = np.argsort(squares, axis=1, kind="stable")

    def reciprocal(i, k):
        return [j for j in ranked[i, : k + 1] if i in ranked[j, : k + 1]]

    V = np.zeros((n, n))
    for i in range(n):
        near = reciprocal(i, k1)
        expanded = set(near)
        for j in near:
            smaller = reciprocal(j, int(np.around(k1 / 2)))
            if len(set(smaller) & set(near)) > 2 / 3 * len(smaller):
                expanded |= set(smaller)
        members = sorted(expanded)
        weights = np.exp(-relative[i, members])
        V[i, members] = weights / weights.sum()
    V = np.stack([V[ranked[i, :k2]].mean(axis=0) for i in range(n)])
    minima = np.minimum(V[:, None], V[None]).sum(axis=2)
    return (1 - lambda_value) * (1 - minima / (2 - minima)) + lambda_value * relative


@pytest.mark.parametrize(("k1", "k2", "lambda_value"), [(20, 6, 0.3), (7, 3, 0.1), (5, 1, 0.0)])
def test_reranking_is_the_published_one(k1, k2, lambda_value):
    expected = published(X, k1, k2, lambda_value)
    np.fill_diagonal(expected, np.inf)
    search = SimilaritySearch(rerank=KReciprocal(k1, k2, lambda_value)).fit(X)
    distances, rows = search.kneighbors(n_neighbors=59)
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :59], atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(expected, rows, axis=1), distances, atol=1e-12)


def test_a_query_that_is_an_item_has_the_neighbourhood_of_the_item():
    reranker = KReciprocal(8, 1)  # k2=1: no averaging
    encoded = reranker.encode(X)
    own = reranker._encode_queries(encoded, X[:5], np.ones(5)).toarray() > 0
    item = encoded.features[:5].toarray() > 0
    # the nearest of the query is its twin, which takes the place of the last neighbour
    assert (own & ~item).sum() == 0
    assert (own & item).sum() >= 0.6 * item.sum()


def test_what_a_query_finds_does_not_depend_on_the_others():
    search = SimilaritySearch(rerank=KReciprocal()).fit(X)
    together = search.kneighbors(QUERIES)
    for i, query in enumerate(QUERIES):
        alone = search.kneighbors([query])
        np.testing.assert_array_equal(alone[1][0], together[1][i])
        np.testing.assert_allclose(alone[0][0], together[0][i], rtol=1e-9)
    assert (together[0] >= 0).all()
    assert (together[0] <= 1).all()


def test_weight_one_leaves_the_order():
    plain, reranked = SimilaritySearch().fit(X), SimilaritySearch(rerank=KReciprocal(lambda_value=1)).fit(X)
    np.testing.assert_array_equal(reranked.kneighbors(QUERIES)[1], plain.kneighbors(QUERIES)[1])


def test_average_by_hand():
    gallery = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    average = NeighborAverage(2, alpha=0)
    # (2, 0), its neighbours (1, 0) and (0, 2): the mean is (1, 2/3)
    np.testing.assert_allclose(average.average(np.array([[2.0, 0.0]]), gallery[None, :2]), [[1, 2 / 3]])
    # cosines 1 and 0: ((2, 0) + (1, 0)) / 2
    weighted = NeighborAverage(2, alpha=3)
    np.testing.assert_allclose(weighted.average(np.array([[2.0, 0.0]]), gallery[None, :2]), [[1.5, 0]])
    # opposite: cosine -1 weighs 0
    np.testing.assert_allclose(weighted.average(np.array([[2.0, 0.0]]), gallery[None, 2:]), [[2, 0]])


def test_means_stay_on_the_unit_sphere():
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    means = NeighborAverage(3).average(unit[:5], unit[5:20].reshape(5, 3, 4))
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1)


def test_augmentation_searches_means():
    search = SimilaritySearch(augment_gallery=NeighborAverage(1, alpha=0)).fit([[0.0], [1.0], [9.0]])
    # means: .5, .5, 5
    distances, rows = search.kneighbors([[5.0]], 2)
    np.testing.assert_allclose(distances, [[0, 4.5]])
    assert rows.tolist() == [[2, 0]]
    search.partial_fit([[9.5]])  # 9 gives way to 9.25
    np.testing.assert_allclose(search.kneighbors([[9.25]], 2)[0], [[0, 0]])


@pytest.mark.parametrize(
    "options",
    [
        {"rerank": KReciprocal()},
        {"query_expansion": NeighborAverage()},
        {"augment_gallery": NeighborAverage()},
        {
            "rerank": KReciprocal(5, 2),
            "query_expansion": NeighborAverage(),
            "augment_gallery": NeighborAverage(3),
        },
    ],
)
def test_options_reach_lookups_and_leave_matches(options, tmp_path):
    digits, y = load_digits(return_X_y=True)
    plain = SimilaritySearch().fit(digits[:600], y[:600])
    search = SimilaritySearch(**options).fit(digits[:600], y[:600])
    np.testing.assert_array_equal(search.predict(digits[600:900]), plain.predict(digits[600:900]))
    table, (distances, rows) = search.lookup(digits[600:700], 4), search.kneighbors(digits[600:700], 4)
    np.testing.assert_array_equal(table["id"].reshape(-1, 4), rows)
    np.testing.assert_allclose(table["distance"].reshape(-1, 4), distances)
    before, after = (one.evaluate(digits[600:], y[600:])["map_at_r"] for one in (plain, search))
    assert after > before
    found = search.kneighbors(n_neighbors=3)[1]
    assert (found != np.arange(600)[:, None]).all()
    joblib.dump(search, tmp_path / "search.joblib")
    search.save(tmp_path / "folder")
    for again in (joblib.load(tmp_path / "search.joblib"), SimilaritySearch.load(tmp_path / "folder")):
        np.testing.assert_array_equal(again.kneighbors(digits[600:700], 4)[1], rows)
        assert repr(again) == repr(search)


@pytest.mark.parametrize(
    "options",
    [
        {"rerank": KReciprocal(5, 2)},
        {"query_expansion": NeighborAverage(3), "augment_gallery": NeighborAverage(2)},
        {"rerank": KReciprocal(5, 2), "query_expansion": NeighborAverage(3)},
    ],
)
def test_a_filter_leaves_a_gallery_of_what_passes(options):
    shops = np.array(["A", "B", "C"])[np.arange(60) % 3]
    search = SimilaritySearch(**options).fit(X, ids=np.arange(100, 160), metadata={"shop": shops})
    whole = search.kneighbors(QUERIES)
    for shop in ("A", "B", "A"):
        rows = np.flatnonzero(shops == shop)
        alone = SimilaritySearch(**options).fit(X[rows], ids=100 + rows).lookup(QUERIES, 4)
        found = search.lookup(QUERIES, 4, where={"shop": shop})
        np.testing.assert_array_equal(found["id"], alone["id"])
        np.testing.assert_allclose(found["distance"], alone["distance"])
        np.testing.assert_array_equal(
            search.kneighbors(QUERIES, 4, where={"shop": shop})[1].ravel(), found["id"] - 100
        )
    np.testing.assert_array_equal(search.kneighbors(QUERIES)[1], whole[1])  # a filter leaves nothing behind
    search.partial_fit(QUERIES, ids=np.arange(9), metadata={"shop": ["A"] * 9})
    assert set(search.lookup(QUERIES, 1, where={"shop": "A"})["id"]) <= {*range(9), *range(100, 160, 3)}
    distances, rows = search.kneighbors(QUERIES, 22, where={"shop": "B"})
    assert (rows[:, :20] >= 0).all()
    assert (rows[:, 20:] == -1).all()
    assert np.isinf(distances[:, 20:]).all()
    assert len(search.lookup(QUERIES, where={"shop": "Z"})) == 0


def map_at_r(search, X, y):
    return search.evaluate(X, y)["map_at_r"]


def test_clones_and_grids():
    digits, y = load_digits(return_X_y=True)
    search = SimilaritySearch(rerank=KReciprocal(k1=4))
    assert clone(search).rerank.k1 == 4
    grid = {"rerank__k1": [2, 12], "rerank__lambda_value": [0.3, 1.0]}
    tuned = GridSearchCV(search, grid, scoring=map_at_r, cv=3).fit(digits[:500], y[:500])
    assert tuned.best_params_ == {"rerank__k1": 12, "rerank__lambda_value": 0.3}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rerank": KReciprocal(k1=0)}, ValueError, "'k1' parameter of KReciprocal must be"),
        ({"rerank": KReciprocal(lambda_value=2)}, ValueError, "'lambda_value' parameter"),
        ({"query_expansion": NeighborAverage(alpha=-1)}, ValueError, "'alpha' parameter of NeighborAverage"),
        ({"rerank": "k"}, ValueError, "'rerank' parameter of SimilaritySearch must be"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        SimilaritySearch(**options).fit(X).kneighbors(QUERIES)
    with pytest.raises(ValueError, match="the gallery needs two items or more"):
        SimilaritySearch(rerank=KReciprocal()).fit(X[:1]).kneighbors(QUERIES, 1)
    assert SimilaritySearch(rerank=KReciprocal()).fit(X).kneighbors(QUERIES, 61)[1].shape == (
        len(QUERIES),
        60,
    )
