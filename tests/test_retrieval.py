"""The kernel against a float64 brute force, on data where float32 alone goes wrong."""

import threading

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skmetric._checks import check_labels
from skmetric._kernel._squares import Gallery
from skmetric.retrieval import Neighbors, Ranking, iter_rankings, nearest, rank


def brute_order(queries, gallery=None):
    """Gallery indices of each query by (float64 distance, index), itself left out without a gallery."""
    items = queries if gallery is None else gallery
    squares = ((np.asarray(queries, float)[:, None] - np.asarray(items, float)[None]) ** 2).sum(-1)
    if gallery is None:
        np.fill_diagonal(squares, np.inf)
    order = np.argsort(squares, axis=1, kind="stable")
    order = order[:, : len(items) - (gallery is None)]
    return order, np.sqrt(np.take_along_axis(squares, order, axis=1))


def gaussian(rng, n, d=6):
    return rng.standard_normal((n, d))


def far_from_origin(rng, n, d=6):
    return rng.standard_normal((n, d)) + 1e6


def tiny_beside_an_outlier(rng, n, d=6):
    X = 1e-3 * rng.standard_normal((n, d))
    X[0] = 1e4
    return X


def integers_with_many_ties(rng, n, d=6):
    return rng.integers(0, 3, (n, d)).astype(float)


def duplicates(rng, n, d=6):
    return np.repeat(rng.standard_normal((n // 3 + 1, d)), 3, axis=0)[:n]


def nearly_duplicates(rng, n, d=6):
    return np.repeat(rng.standard_normal((n // 9 + 1, d)), 9, axis=0)[:n] + 1e-9 * rng.standard_normal((n, d))


def collapsed(rng, n, d=6):
    return np.ones((n, d))


def huge(rng, n, d=6):
    return 1e150 * rng.standard_normal((n, d))


SHAPES = [
    gaussian,
    far_from_origin,
    tiny_beside_an_outlier,
    integers_with_many_ties,
    duplicates,
    nearly_duplicates,
    collapsed,
    huge,
]
every_shape = pytest.mark.parametrize("make", SHAPES, ids=lambda make: make.__name__)


@every_shape
@pytest.mark.parametrize("at_once", [2**20, 0], ids=["rows together", "each row"])
@pytest.mark.parametrize("k", [1, 5, 149])
def test_nearest_is_the_order_of_float64_and_of_ties_by_index(make, k, at_once, monkeypatch):
    monkeypatch.setattr("skmetric._kernel._nearest._AT_ONCE", at_once)
    X = make(np.random.default_rng(0), 150)
    order, distances = brute_order(X)
    found = nearest(X, k=k)
    np.testing.assert_array_equal(found.indices, order[:, :k])
    np.testing.assert_allclose(found.distances, distances[:, :k], rtol=1e-12)


@every_shape
def test_nearest_with_a_gallery_finds_the_row_itself(make):
    X = make(np.random.default_rng(1), 90)
    order, _ = brute_order(X[:20], X)
    np.testing.assert_array_equal(nearest(X[:20], X, k=90).indices, order)
    assert (nearest(X[:20], X).distances == 0).all()


@every_shape
@pytest.mark.parametrize("depth", [1, 7, 30, None])
def test_rank_is_the_order_of_float64(make, depth):
    rng = np.random.default_rng(2)
    X, y = make(rng, 150), rng.integers(0, 4, 150)
    order, _ = brute_order(X)
    ranking = rank(X, y, depth=depth)
    np.testing.assert_array_equal(ranking.relevant, (y[order] == y[:, None])[:, :depth])
    np.testing.assert_array_equal(ranking.n_relevant, np.bincount(y)[y] - 1)
    assert ranking.n_gallery == 149


def test_float32_far_from_the_origin():
    X = (np.arange(40, dtype=np.float32)[:, None] / 64 + 4096).repeat(3, axis=1)  # exact in float32
    np.testing.assert_array_equal(nearest(X, k=1).indices.ravel()[1:], np.arange(39))


def test_blocks_cover_every_query_once(monkeypatch):
    monkeypatch.setattr("skmetric._kernel._squares._BLOCK_ROWS", 7)
    monkeypatch.setattr("skmetric._kernel._squares._BLOCK_BYTES", 4 * 50 * 8)
    X = np.random.default_rng(0).standard_normal((50, 3))
    seen = np.concatenate([rows for rows, _ in iter_rankings(X, np.arange(50) % 5, depth=3)])
    np.testing.assert_array_equal(np.sort(seen), np.arange(50))


def test_labels_of_the_gallery_may_be_others():
    ranking = rank([[0.0], [9.0]], ["a", "z"], gallery=[[1.0], [2.0]], y_gallery=["b", "a"])
    np.testing.assert_array_equal(ranking.relevant, [[False, True], [False, False]])
    np.testing.assert_array_equal(ranking.n_relevant, [1, 0])


def test_results_are_named_tuples_of_the_stated_types():
    found = nearest(np.eye(3, dtype=np.float32), k=2)
    assert isinstance(found, Neighbors)
    assert (found.distances.dtype, found.indices.dtype) == (np.float64, np.intp)
    ranking = rank(np.eye(3), [0, 0, 1])
    assert isinstance(ranking, Ranking)
    assert ranking.relevant.dtype == bool


def test_threads_of_the_caller_are_untouched():
    X = np.random.default_rng(0).standard_normal((600, 4))

    def setting():
        return [(library["filepath"], library["num_threads"]) for library in threadpool_info()]

    before = setting()
    searches = [threading.Thread(target=nearest, args=(X,), kwargs={"k": 3}) for _ in range(4)]
    for thread in searches:
        thread.start()
    for thread in searches:
        thread.join()
    assert setting() == before
    with threadpool_limits(1, user_api="blas"):
        limited = setting()
        nearest(X)
        assert setting() == limited
    assert setting() == before


def test_an_abandoned_search_leaves_the_threads_as_found():
    before = threadpool_info()
    blocks = iter_rankings(np.random.default_rng(0).standard_normal((2000, 4)), np.arange(2000) % 7)
    next(blocks)
    del blocks
    assert threadpool_info() == before


def test_memory_stays_far_below_all_pairs():
    import tracemalloc

    X = np.random.default_rng(0).standard_normal((12_000, 4)).astype(np.float32)
    y = np.arange(len(X)) % 3000
    tracemalloc.start()
    for _ in iter_rankings(X, y, depth=3):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(X) ** 2 * 4 / 3  # a float32 distance for every pair would be 576 MB


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nearest([[0.0, np.nan], [1.0, 2.0]]), "NaN.*row 0"),
        (lambda: nearest([[0.0, 1.0], [np.inf, 2.0]]), "infinity.*row 1"),
        (lambda: nearest([[0.0], [1.0]], [[0.0, 1.0]]), "1 features and the gallery has 2"),
        (lambda: nearest([[0.0]], np.empty((0, 1))), "minimum of 1 is required"),
        (lambda: nearest([[0.0], [1.0]], k=2), "k=2 is more than the 1 items"),
        (lambda: nearest([[0.0], [1.0]], k=0), "k must be an integer from 1"),
        (lambda: nearest([[0.0], [1.0]], k=1.5), "k must be an integer from 1"),
        (lambda: nearest([[0.0]]), "at least 2 rows"),
        (lambda: rank([[0.0], [1.0]], [0]), "1 labels for 2 rows"),
        (lambda: rank([[0.0], [1.0]], [0, "a"]), "mixes labels of several types"),
        (lambda: rank([[0.0]], [0], gallery=[[1.0]]), "gallery and y_gallery go together"),
        (lambda: rank([[0.0]], [0], gallery=[[1.0]], y_gallery=["a"]), "several types"),
        (lambda: rank([[0.0], [1.0]], [0.0, np.nan]), "y contains NaN.*row 1"),
        (lambda: rank([[0.0], [1.0]], [0, 0], depth=0), "depth must be an integer from 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("n_gallery", [50, 2**17])  # in the caches, and beyond: see `_products`
@pytest.mark.parametrize("n_queries", [1, 4, 5])  # dot products, and one product of matrices
def test_few_queries_find_what_many_find(n_queries, n_gallery):
    rng = np.random.default_rng(0)
    gallery, queries = (rng.standard_normal((n, 32)).astype(np.float32) for n in (n_gallery, n_queries))
    order, distances = brute_order(queries, gallery)
    found = nearest(queries, gallery, k=7)
    np.testing.assert_array_equal(found.indices, order[:, :7])
    np.testing.assert_allclose(found.distances, distances[:, :7])


def test_queries_may_be_far_larger_than_the_gallery():
    X = np.random.default_rng(0).standard_normal((30, 3))
    found = nearest([[1e30, 0.0, 0.0]], X, k=30).distances
    np.testing.assert_allclose(found, 1e30)


@pytest.mark.parametrize("make", [gaussian, far_from_origin, tiny_beside_an_outlier])
def test_a_gallery_that_grows_is_searched_as_a_new_one(make):
    rng = np.random.default_rng(0)
    X, queries = make(rng, 300), make(rng, 20)
    gallery = Gallery(X[:100])
    for end in (101, 120, 140, 149, 260, 300):
        gallery = gallery.grown(X[:end])
        np.testing.assert_array_equal(
            nearest(queries, gallery, 5).indices, nearest(queries, X[:end], 5).indices
        )
    wide = np.concatenate([X, np.full((1, 6), 1e40)])
    assert nearest([[1e40] * 6], gallery.grown(wide)).indices == 300


@pytest.mark.parametrize("labels", [["a", np.nan, "b"], ["a", None, "b"], pd.Series(["a", None, "b"])])
def test_missing_labels_are_named_by_row(labels):
    with pytest.raises(ValueError, match="y has no label in row 1: label or drop"):
        check_labels(labels, 3)


def codes_of_bits(rng, n):
    bits = rng.integers(0, 2, (n, 48))
    return bits, bits.astype(float)


def unit_codes(rng, n):
    bits = rng.integers(0, 2, (n, 48))
    return bits, (2 * bits - 1) / np.sqrt(48)


def bytes_(rng, n):
    return (numbers := rng.integers(0, 256, (n, 2))), numbers


def quantised(rng, n):
    numbers = rng.integers(0, 4, (n, 12))
    return numbers, numbers / 255


def repeated(rng, n):
    rows = rng.integers(0, n // 10, n)
    numbers = rng.integers(-(2**20), 2**20, (n, 3))[rows]
    return numbers, numbers / 3.0


@pytest.mark.parametrize("n", [300, 1025, 20_000])
@pytest.mark.parametrize("n_classes", [2, 200])
@pytest.mark.parametrize("make", [codes_of_bits, unit_codes, bytes_, quantised, repeated])
def test_ties_are_in_the_gallerys_order_at_any_size_and_depth(make, n_classes, n):
    rng = np.random.default_rng(n)
    numbers, gallery = make(rng, n)
    y = rng.integers(0, n_classes, n)
    squares = ((numbers[:4, None] - numbers[None]) ** 2).sum(-1)  # in integers: ties are ties
    order = np.argsort(squares, axis=1, kind="stable")
    for depth in (20, n // 3, n):
        ranking = rank(gallery[:4], y[:4], gallery=gallery, y_gallery=y, depth=depth)
        np.testing.assert_array_equal(ranking.relevant, (y[order] == y[:4, None])[:, :depth])
        np.testing.assert_array_equal(nearest(gallery[:4], gallery, depth).indices, order[:, :depth])


def test_half_of_equal_items_beyond_rank_1024_is_relevant():
    gallery, y = np.repeat([[0.0], [1.0]], 1100, axis=0), np.tile([0, 1], 1100)
    ranking = rank([[0.0]], [1], gallery=gallery, y_gallery=y, depth=1500)
    np.testing.assert_array_equal(ranking.relevant[0], y[:1500] == 1)  # 1100 zeros, then ones, as they come
