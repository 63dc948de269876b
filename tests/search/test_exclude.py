"""`exclude=`: items that a query must not find, by id, wherever queries are searched."""

import numpy as np
import pytest

from skmetric.search import FaissIndex, SimilaritySearch

rng = np.random.default_rng(0)
y = np.repeat(list("abcd"), 8)
X = 1.5 * rng.normal(size=(4, 5))[np.repeat(np.arange(4), 8)] + rng.normal(size=(32, 5))
IDS = np.array([f"item {i}" for i in range(32)])
EACH = [list(IDS[np.r_[i, rng.permutation(32)[: i % 7]]]) for i in range(32)]  # the item itself, and some
KINDS = ["memory", "faiss", "pgvector", "milvus"]


@pytest.fixture(params=KINDS)
def index(request):
    if request.param == "pgvector":
        return request.getfixturevalue("make_pgvector")()
    if request.param == "milvus":
        return request.getfixturevalue("milvus")
    return FaissIndex() if request.param == "faiss" else None


def fitted(rows=slice(None), index=None, **options):
    shop = np.arange(32)[rows] % 2
    return SimilaritySearch(index=index, **options).fit(
        X[rows], y[rows], ids=IDS[rows], metadata={"shop": shop}
    )


def alone(i, ids, call, **options):
    """What one query finds in a gallery without these items."""
    return call(fitted(~np.isin(IDS, ids), **options), X[[i]])[0]


@pytest.mark.filterwarnings("ignore")
def test_every_search_is_that_of_a_gallery_without_the_items(index):
    search = fitted(index=index, n_neighbors=3)
    near = search.kneighbors(X, exclude=EACH)
    within = search.radius_neighbors(X, 2.5, exclude=EACH)
    names = search.predict(X, exclude=EACH)
    ids = search.ids_
    for i in range(0, 32, 5):
        kept = IDS[~np.isin(IDS, EACH[i])]
        one = fitted(~np.isin(IDS, EACH[i]), n_neighbors=3)
        expected = one.kneighbors(X[[i]])
        np.testing.assert_array_equal(ids[near[1][i]], kept[expected[1][0]])
        np.testing.assert_allclose(near[0][i], expected[0][0], rtol=1e-4)
        assert ids[within[1][i]].tolist() == kept[one.radius_neighbors(X[[i]], 2.5)[1][0]].tolist()
        assert names[i] == one.predict(X[[i]])[0]
    everywhere = search.predict(X, exclude=IDS[:3])
    np.testing.assert_array_equal(everywhere, fitted(slice(3, None)).predict(X))


@pytest.mark.parametrize(
    ("matcher", "runner_up"),
    [("nearest", 0), ("nearest", 0.5), ("majority", 0), ("distance", 0), ("ratio", 0)],
)
def test_predictions_by_a_loop(matcher, runner_up):
    """With a runner-up, which may be deep in the gallery, and with filters, groups of queries too."""
    search = fitted(matcher=matcher, n_neighbors=4)
    calibration = search.calibrate(runner_up=runner_up, n_resamples=10)
    where = [{"shop": i % 2} if i % 3 else None for i in range(32)]
    found = search.predict(X, exclude=EACH, where=where)
    sure = search.match_probability(X, exclude=EACH)
    for i in range(32):
        one = fitted(~np.isin(IDS, EACH[i]), matcher=matcher, n_neighbors=4)
        one.calibration_, one.cutpoint_ = calibration, "optimal"
        assert found[i] == one.predict(X[[i]], where=where[i])[0]
        assert sure[i] == pytest.approx(one.match_probability(X[[i]])[0], abs=1e-9)


def test_recommendations_leave_out_more_items():
    search = fitted(n_neighbors=31)
    ids = search.recommend(IDS[0], exclude=IDS[1:4])["id"].tolist()
    assert sorted(ids) == sorted(IDS[4:])


def test_what_is_refused():
    search = fitted()
    X2 = X[:2]
    for call in (
        search.kneighbors,
        search.predict,
        lambda X, exclude: search.radius_neighbors(X, 1.0, exclude=exclude),
    ):
        with pytest.raises(KeyError, match="'x'"):
            call(X2, exclude=["x"])
        with pytest.raises(ValueError, match="exclude has 1 lists of ids, and there are 2 queries"):
            call(X2, exclude=[["item 0"]])
    with pytest.raises(ValueError, match="exclude= leaves query 1 no item: exclude fewer"):
        search.predict(X2, exclude=[None, IDS])
    with pytest.raises(ValueError, match=r"leaves query 0 no item that passes where=\{'shop': 0\}"):
        search.predict(X2, exclude=IDS[::2], where={"shop": 0})
    with pytest.raises(ValueError, match="exclude= and queries= are of what queries find: give X"):
        search.kneighbors(exclude=["item 0"])
    with pytest.raises(ValueError, match="exclude= leaves out items, and matcher='center'"):
        fitted(matcher="center").predict(X2, exclude=["item 0"])
    distances, rows = search.kneighbors(X2, 2, exclude=[IDS, None])
    assert rows[0].tolist() == [-1, -1]
    assert np.isinf(distances[0]).all()
    assert rows[1].min() >= 0
