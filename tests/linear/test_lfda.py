"""Local Fisher discriminant analysis."""

from itertools import product

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.spatial.distance import cdist

from skmetric.linear import LFDA
from skmetric.linear._statistics import _local_scatter
from skmetric.linear._statistics._local_scatter import local_scatters


def scatters_as_written(X, y, k):
    """Equations 9 to 13 of the paper, pair by pair."""
    n, sizes, d = len(X), np.bincount(y), cdist(X, X)
    reach = np.array([np.sort(d[i, y == y[i]])[min(k, sizes[y[i]] - 1)] for i in range(n)])
    within, between = np.zeros((2, X.shape[1], X.shape[1]))
    for i, j in product(range(n), range(n)):
        outer = np.outer(X[i] - X[j], X[i] - X[j]) / 2
        if y[i] != y[j]:
            between += outer / n
            continue
        affinity = np.exp(-(d[i, j] ** 2) / (reach[i] * reach[j]))
        within += affinity / sizes[y[i]] * outer
        between += affinity * (1 / n - 1 / sizes[y[i]]) * outer
    return within, between


@pytest.mark.parametrize("block", [2048, 5])
def test_scatters_as_written(few, block, monkeypatch):
    monkeypatch.setattr(_local_scatter, "_BLOCK", block)
    monkeypatch.setattr(_local_scatter, "_RUN", 2 * block)
    X, y = few
    mean, *scatters = local_scatters(X, y, 5, 7)
    np.testing.assert_allclose(mean, X.mean(axis=0))
    for scatter, expected in zip(scatters, scatters_as_written(X, y, 7), strict=True):
        np.testing.assert_allclose(scatter, expected, rtol=1e-8, atol=1e-9)


def test_by_hand():
    # k = 1: the class 0, 1 has reach 1 and affinity 1 / e; the class 5, 7 reach 2 and affinity 1 / e
    X, y = np.array([[0.0], [1], [5], [7]]), np.array([0, 0, 1, 1])
    _, within, between = local_scatters(X, y, 2, 1)
    a = np.exp(-1)
    assert within == pytest.approx(a / 2 * 1 + a / 2 * 4)
    assert between == pytest.approx((25 + 49 + 16 + 36) / 4 + a * (1 / 4 - 1 / 2) * (1 + 4))


def test_solution_of_the_eigenproblem(few):
    X, y = few
    within, between = scatters_as_written(X, y, 7)
    psi, vectors = eigh(between, within)
    lfda = LFDA(regularization=0).fit(X, y)
    np.testing.assert_allclose(lfda.psi_, psi[::-1], rtol=1e-7)
    np.testing.assert_allclose(
        lfda.get_mahalanobis_matrix(), (vectors * psi) @ vectors.T, rtol=1e-7, atol=1e-8
    )
    plain = LFDA(2, embedding="plain", regularization=0).fit(X, y).components_
    np.testing.assert_allclose(plain @ within @ plain.T, np.eye(2), atol=1e-9)
    rows = LFDA(2, embedding="orthonormalized", regularization=0).fit(X, y).components_
    np.testing.assert_allclose(rows @ rows.T, np.eye(2), atol=1e-12)


def test_two_clusters_of_a_class_stay_apart():
    """Where discriminant analysis sees no difference of means, as in figure 1 of the paper."""
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(40, 2)) * [0.3, 3], rng.normal(size=(40, 2)) * [0.3, 3]]
    X[:20, 0] -= 4
    X[20:40, 0] += 4
    matrix = LFDA(1).fit(X, np.repeat([0, 1], 40)).get_mahalanobis_matrix()
    assert matrix[0, 0] > 50 * matrix[1, 1]


def test_copies_reach_to_the_nearest_that_is_no_copy():
    """k = 1, 0 twice and 2: all have reach 2 and affinity 1 / e to what is at 2; the copies have 1."""
    X, y = np.array([[0.0], [0], [2], [9]]), np.array([0, 0, 0, 1])
    _, within, _ = local_scatters(X, y, 2, 1)
    assert within == pytest.approx(2 * np.exp(-1) * 4 / 3)


def test_scatters_without_inverse_are_refused_by_name(few):
    X, y = few
    with pytest.raises(ValueError, match="set regularization above 0, such as"):
        LFDA(regularization=0).fit(np.c_[X, X[:, 0]], y)
    with pytest.raises(ValueError, match="samples of a class do not differ in X: LFDA"):
        LFDA().fit([[0, 1], [0, 1], [2, 3], [2, 3]], [0, 0, 1, 1])
