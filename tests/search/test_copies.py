"""Queries that are items of the gallery find themselves: tensorflow/similarity #37, #227."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmetric.search import ClassCenters, FaissIndex, SimilaritySearch
from skmetric.search._calibration._gathering._copies import leave_items_out, own_items, twins
from skmetric.search._calibration._matchers import MATCHERS
from skmetric.search._gallery._side import Side
from skmetric.search._ranking._k_reciprocal import KReciprocal
from skmetric.search._ranking._neighbor_average import NeighborAverage

X, y = load_digits(return_X_y=True)
X = X / 16
KNOWN = np.flatnonzero(y < 7)
GALLERY, QUERIES = KNOWN[::8], KNOWN[1::8]
any_matcher = pytest.mark.parametrize("matcher", [*MATCHERS, ClassCenters(3)])


def digits(**options):
    return SimilaritySearch(**options).fit(X[GALLERY], y[GALLERY])


def same(one, other):
    """Whether two calibrations have the same rates at the same distances."""
    assert one.thresholds.keys() == other.thresholds.keys()
    for name, column in one.thresholds.items():
        np.testing.assert_allclose(column, other.thresholds[name])
    assert one.cutpoints == other.cutpoints
    assert one.class_factors == other.class_factors


@any_matcher
@pytest.mark.parametrize("per_class", [False, True])
def test_the_gallery_as_queries_calibrates_as_without_queries(matcher, per_class):
    search, options = digits(matcher=matcher), {"targets": {"s": ("false_accept_rate", 0.1)}}
    expected = search.calibrate(per_class=per_class, **options)
    n = len(GALLERY)
    with pytest.warns(UserWarning, match=rf"{n} of the {n} queries are items of the gallery \(the") as caught:
        found = search.calibrate(X[GALLERY], y[GALLERY], per_class=per_class, **options)
    assert caught[0].filename == __file__
    same(found, expected)


@pytest.mark.filterwarnings("ignore:.*accepts .* of the queries")
def test_closed_protocol_too():
    search = digits()
    expected = search.calibrate(protocol="closed")
    with pytest.warns(UserWarning, match="are items of the gallery"):
        same(search.calibrate(X[GALLERY], y[GALLERY], protocol="closed"), expected)


@pytest.mark.parametrize("kind", ["faiss", "pgvector", "milvus"])
@pytest.mark.parametrize("matcher", ["nearest", "majority", "center"])
def test_on_other_indexes(kind, matcher, request):
    index = FaissIndex() if kind == "faiss" else None
    if kind == "pgvector":
        index = request.getfixturevalue("make_pgvector")()
    elif kind == "milvus":
        index = request.getfixturevalue("milvus")
    memory, other = digits(matcher=matcher), digits(matcher=matcher, index=index)
    expected = memory.calibrate()
    with pytest.warns(UserWarning, match="are items of the gallery"):
        found = other.calibrate(X[GALLERY], y[GALLERY])
    scores = []
    for search in (memory, other):
        with pytest.warns(UserWarning, match="are items of the gallery"):
            scores.append(search.evaluate(X[GALLERY], y[GALLERY]).scores)
    assert found.cutpoints["optimal"]["distance"] == pytest.approx(
        expected.cutpoints["optimal"]["distance"], rel=1e-5
    )
    assert scores[1] == pytest.approx(scores[0], abs=0.01)
    assert scores[1]["recall_at_1"] < 1


@any_matcher
def test_evaluate_leaves_items_out(matcher):
    search = digits(matcher=matcher)
    recall = search.calibrate().cutpoints["optimal"]["recall"]
    with pytest.warns(UserWarning, match="each was searched among the other items") as caught:
        evaluation = search.evaluate(X[GALLERY], y[GALLERY])
    assert caught[0].filename == __file__
    assert evaluation["identified"] == pytest.approx(recall)
    among_others = search.kneighbors(n_neighbors=1)[1][:, 0]
    assert evaluation["recall_at_1"] == pytest.approx((y[GALLERY][among_others] == y[GALLERY]).mean())


@pytest.mark.parametrize(
    "option",
    [
        {"rerank": KReciprocal()},
        {"query_expansion": NeighborAverage(3)},
        {"augment_gallery": NeighborAverage(3)},
    ],
)
def test_evaluate_by_ranking_options(option):
    search = digits(**option)
    with pytest.warns(UserWarning, match="are items of the gallery"):
        evaluation = search.evaluate(X[GALLERY], y[GALLERY])
    found = search.kneighbors(X[GALLERY], 2)[1]  # the item itself and the next, in some order
    assert evaluation["recall_at_1"] < 1
    others = np.array([next(i for i in row if i != item) for item, row in enumerate(found)])
    assert evaluation["recall_at_1"] == pytest.approx((y[GALLERY][others] == y[GALLERY]).mean())


def test_an_only_item_is_a_stranger_without_itself():
    search = SimilaritySearch().fit([[0.0], [1.0], [5.0]], ["a", "a", "b"])
    with pytest.warns(UserWarning, match="3 of the 3 queries are items"):
        evaluation = search.evaluate([[0.0], [1.0], [5.0]], ["a", "a", "b"])
    assert (evaluation.n_known, evaluation.n_unknown) == (2, 1)
    assert evaluation["recall_at_1"] == evaluation["unknown_accepted"] == 1
    with (
        pytest.raises(ValueError, match="no query is of a class"),
        pytest.warns(UserWarning, match="1 of the 1"),
    ):
        search.evaluate([[5.0]], ["b"])


def test_only_one_of_two_equal_items_is_left_out():
    """Two photos that are equal have ids of their own: each is another item, and still finds the other."""
    gallery = Side(np.array([[0.0], [0.0], [3.0], [7.0]]), np.array([0, 0, 0, 1]))
    rows, distances = own_items(Side(gallery.embeddings, np.array([0, 0, 0, 0])), gallery)
    assert rows.tolist() == [0, 0, 2, -1]  # the last has the numbers of an item of another class
    assert distances.tolist() == [[0, 3], [0, 3], [3, 3], [4, 7]]


def test_left_out_by_hand():
    distances = np.array([[0.0, 2, 3], [0, 1, 2], [0, 0, 1]])
    codes = np.array([[1, 1, 2], [2, 1, 1], [2, 1, 1]])
    found, kept, is_item, copies = leave_items_out(distances, codes, np.array([1, 1, -1]), 2)
    assert is_item.tolist() == [True, False, False]  # the second is at 0 from an item of another class
    assert found.tolist() == [[2, 3], [0, 1], [0, 0]]
    assert kept.tolist() == [[1, 2], [2, 1], [2, 1]]
    assert (copies.n_exact, copies.n_strangers, copies.n_renamed) == (1, 1, 1)


def noisy(scale):
    return X[GALLERY] + scale * np.random.default_rng(0).normal(size=(len(GALLERY), X.shape[1]))


@any_matcher
@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1e-3, 5e-3])  # items of a class are about 2 apart
def test_near_copies_are_noticed(matcher, scale):
    search = digits(matcher=matcher)
    message = "queries are nearly at distance 0 from an item of their class.*Give samples that are not in the"
    with pytest.warns(UserWarning, match=message) as caught:
        search.calibrate(noisy(scale), y[GALLERY])
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=message):
        search.evaluate(noisy(scale), y[GALLERY])


def test_half_of_them_are_enough():
    mixed, labels = np.concatenate([X[QUERIES], noisy(1e-6)]), np.concatenate([y[QUERIES], y[GALLERY]])
    with pytest.warns(UserWarning, match=rf"{len(GALLERY)} of the {len(mixed)} queries are nearly"):
        digits().calibrate(mixed, labels)


@any_matcher
def test_new_queries_say_nothing(matcher):
    search = digits(matcher=matcher)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.calibrate(X[QUERIES], y[QUERIES])
        search.evaluate(X[QUERIES], y[QUERIES], X[y >= 7])


def test_a_gallery_enrolled_twice_is_noticed():
    twice = SimilaritySearch().fit(np.repeat(X[GALLERY], 2, axis=0), np.repeat(y[GALLERY], 2))
    n = 2 * len(GALLERY)
    with pytest.warns(
        UserWarning, match=rf"{n} of the {n} items have an equal item.*duplicates\(\)"
    ) as caught:
        twice.calibrate()
    assert caught[0].filename == __file__
    assert twins(np.array([0.0, 1, 1, 1]), np.array([0.0, 2, 2, 2])) is None  # codes that classes share


def test_strangers_that_are_enrolled_are_noticed():
    with pytest.warns(
        UserWarning, match="5 of the 5 strangers are at distance 0 from an item.*another label"
    ):
        digits().evaluate(X[QUERIES], y[QUERIES], X[GALLERY[:5]])
    with pytest.warns(UserWarning, match="5 of the 5 strangers are at distance 0"):
        digits().calibrate(X[np.r_[QUERIES, GALLERY[:5]]], np.r_[y[QUERIES], [99] * 5])


def pairs(n=400):
    rng = np.random.default_rng(0)
    left, right = rng.choice(KNOWN, size=(2, n))
    return left[left != right], right[left != right]


def test_pairs_of_a_sample_and_itself_are_left_out():
    """open-metric-learning #341."""
    search, (left, right) = digits(), pairs()
    expected = search.calibrate_pairs(X[left], X[right], y[left] == y[right])
    a, b = np.concatenate([left, KNOWN]), np.concatenate([right, KNOWN])
    with pytest.warns(UserWarning, match=rf"^{len(KNOWN)} of the \d+ pairs.*a sample and itself") as caught:
        found = search.calibrate_pairs(X[a], X[b], y[a] == y[b])
    assert caught[0].filename == __file__
    assert found.cutpoints == expected.cutpoints
    assert found.n_known == expected.n_known


def test_pairs_of_samples_encoded_again_are_noticed():
    search, (left, right) = digits(), pairs()
    A, B = np.concatenate([X[left], X[GALLERY]]), np.concatenate([X[right], noisy(1e-7)])
    same_class = np.concatenate([y[left] == y[right], np.ones(len(GALLERY), dtype=bool)])
    with pytest.warns(UserWarning, match="pairs of one class are nearly at distance 0"):
        search.calibrate_pairs(A, B, same_class)
    with pytest.raises(
        ValueError, match="all 3 pairs of one class are at distance 0, each a sample and itself"
    ):
        search.calibrate_pairs(X[[0, 1, 2, 3]], X[[0, 1, 2, 4]], [1, 1, 1, 0])


def test_a_score_of_the_items_themselves_says_so():
    points = np.random.default_rng(0).normal(size=(40, 2))
    labels = np.arange(40) % 4
    search = SimilaritySearch().fit(points, labels)
    with pytest.warns(UserWarning, match="40 of the 40 queries are at distance 0.*use evaluate") as caught:
        assert search.score(points, labels) == 1.0
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.score(points + 0.1, labels)
        search.score(points, (labels + 1) % 4)  # found under another label


def test_pairs_of_a_sample_and_itself_in_verification():
    points = np.random.default_rng(0).normal(size=(60, 2))
    search = SimilaritySearch().fit(points)
    same = np.arange(60) % 2 == 0
    moved = points + np.where(same, 0.01, 3.0)[:, None]
    moved[1:9:2] = points[1:9:2]  # 4 of the 30 pairs of different classes
    with pytest.warns(
        UserWarning, match="4 of the 30 pairs of different classes are at distance 0"
    ) as caught:
        search.calibrate_pairs(points, moved, same, n_resamples=20)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="60 of the 60 pairs are at distance 0, each a sample and") as caught:
        assert search.verify(points, points).all()
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.verify(points[:1], points[:1])  # of one pair it may be the question
