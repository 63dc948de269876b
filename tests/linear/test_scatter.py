"""Scatter inside classes and means of classes."""

import numpy as np
import pytest

from skmetric.base import unit_rows
from skmetric.linear._closed_form import _scatter
from skmetric.linear._closed_form._scatter import class_scatter, merge

from .conftest import gaussian_classes

X = np.array([[0.0, 0], [2, 0], [5, 1], [5, 3], [5, 5]])
CODES = np.array([0, 0, 1, 1, 1])


def assert_same(first, second, **tolerance):
    for name, one, other in zip(first._fields, first, second, strict=True):
        if one is None or other is None:  # the number of features, where it is that of the scatter
            assert one is other
        else:
            np.testing.assert_allclose(one, other, err_msg=name, **tolerance)


def by_definition(X, codes, weights):
    """Weighted means and scatter, each from its formula, with no sum that is shared."""
    X = np.asarray(X, np.float64)
    means = np.array(
        [np.average(X[codes == c], axis=0, weights=weights[codes == c]) for c in np.unique(codes)]
    )
    centred = X - means[codes]
    scatter = (centred.T * weights) @ centred
    return np.bincount(codes, weights), means, scatter, np.bincount(codes, weights**2)


def test_by_hand():
    scatter = class_scatter(X, CODES, 2)
    np.testing.assert_array_equal(scatter.weights, [2, 3])
    np.testing.assert_allclose(scatter.means, [[1, 0], [5, 3]])
    # first feature: 1 + 1 in class 0; second: 4 + 0 + 4 in class 1
    np.testing.assert_allclose(scatter.within, [[2, 0], [0, 8]])
    np.testing.assert_allclose(scatter.within_covariance(), [[2 / 3, 0], [0, 8 / 3]])  # 5 rows - 2 classes
    np.testing.assert_allclose(scatter.mean, [17 / 5, 9 / 5])
    np.testing.assert_allclose(scatter.covariance(), np.cov(X.T, bias=True))
    deviations = scatter.mean_deviations()  # of [1, 0] and [5, 3] from [3, 1.5], over sqrt(1)
    np.testing.assert_allclose(deviations, [[-2, -1.5], [2, 1.5]])


@pytest.mark.parametrize("chunk", [1, 3, 64, 8192])
@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_and_the_definition_agree(monkeypatch, few, chunk, weighted):
    X, codes = few
    monkeypatch.setattr(_scatter, "_CHUNK", chunk)
    weights = np.random.default_rng(0).uniform(0.1, 3, len(X)) if weighted else np.ones(len(X))
    scatter = class_scatter(X, codes, 5, weights if weighted else None)
    assert_same(scatter, type(scatter)(*by_definition(X, codes, weights)), rtol=1e-10, atol=1e-10)


def test_covariance_of_weights_that_are_no_counts_by_hand():
    # class 0: rows 0 and 2 of weight 1/2, W = 1, scatter 1/2 + 1/2 = 1, freedom 1 - (1/4 + 1/4) = 1/2;
    # class 1: three rows of 1/3, second feature 1, 3, 5: scatter 8/3, freedom 1 - 3/9 = 2/3
    scatter = class_scatter(X, CODES, 2, np.array([1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3]))
    np.testing.assert_allclose(scatter.within_covariance(), np.diag([1, 8 / 3]) / (1 / 2 + 2 / 3))


def test_a_weight_counts_as_copies(few):
    X, codes = few
    weights = np.random.default_rng(0).integers(1, 4, len(X))
    copies = class_scatter(X.repeat(weights, axis=0), codes.repeat(weights), 5)
    assert_same(class_scatter(X, codes, 5, weights), copies, rtol=1e-10, atol=1e-10)


def test_rows_are_transformed_chunk_by_chunk(monkeypatch, few):
    X, codes = few
    monkeypatch.setattr(_scatter, "_CHUNK", 10)
    assert_same(
        class_scatter(X, codes, 5, None, unit_rows), class_scatter(unit_rows(X), codes, 5), atol=1e-12
    )


def test_the_samples_are_left_as_they_are(few):
    X, codes = few
    before = X.copy()
    class_scatter(X, codes, 5, np.full(len(X), 2.0))
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("offset", [0, 1e4])
@pytest.mark.parametrize("spread", [1.5, 1e3])
def test_float32_far_from_the_origin_and_with_classes_far_apart(monkeypatch, offset, spread):
    X, codes = gaussian_classes(5, 40, 7, spread=spread)
    X = (X + offset).astype(np.float32)
    monkeypatch.setattr(_scatter, "_CHUNK", 64)
    scatter = class_scatter(X, codes, 5)
    assert scatter.within.dtype == np.float64
    _, means, within, _ = by_definition(X, codes, np.ones(len(X)))
    np.testing.assert_allclose(scatter.means, means, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(scatter.within, within, atol=1e-5 * np.trace(within))


def test_merging_is_exact(few):
    X, codes = few
    part = np.random.default_rng(0).permutation(len(X)) < 30
    half = [np.unique(codes[side], return_inverse=True) for side in (part, ~part)]
    scatters = [
        class_scatter(X[side], local, len(classes))
        for side, (classes, local) in zip((part, ~part), half, strict=True)
    ]
    merged = merge(*scatters, 5, half[0][0], half[1][0])
    assert_same(merged, class_scatter(X, codes, 5), rtol=1e-10, atol=1e-10)


def test_merging_disjoint_classes_keeps_each():
    first, second = class_scatter(X[:2], CODES[:2], 1), class_scatter(X[2:], CODES[2:] - 1, 1)
    assert_same(merge(first, second, 2, [0], [1]), class_scatter(X, CODES, 2), atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "expected"), [(X, True), (np.repeat([[0.1, 0.7], [3, 2]], [2, 3], axis=0), False)]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_no_scatter(rows, expected, dtype):
    assert class_scatter(rows.astype(dtype), CODES, 2, np.full(5, 0.3)).is_resolved() == expected
