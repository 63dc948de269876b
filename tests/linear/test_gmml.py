"""Geometric mean metric learning."""

from itertools import combinations

import numpy as np
import pytest
from scipy.linalg import fractional_matrix_power, inv

from skmetric.linear import GMML, RCA


def pair_means(X, y):
    """Means over pairs, as written."""
    sums = {True: [], False: []}
    for i, j in combinations(range(len(X)), 2):
        sums[bool(y[i] == y[j])].append(np.outer(X[i] - X[j], X[i] - X[j]))
    # a row's pair with itself counts with the pairs of a class
    n_similar = 2 * len(sums[True]) + len(X)
    return 2 * np.sum(sums[True], axis=0) / n_similar, np.mean(sums[False], axis=0)


def test_by_hand():
    # pairs of a class differ by 2, those of two classes by 6, 8, 4, 6 with squares 36, 64, 16, 36
    gmml = GMML(regularization=0).fit([[0.0], [2], [6], [8]], [0, 0, 1, 1])
    similar, dissimilar = 2 * (4 + 4) / 8, (36 + 64 + 16 + 36) / 4
    np.testing.assert_allclose(gmml.get_mahalanobis_matrix(), np.sqrt(dissimilar / similar))


@pytest.mark.parametrize("t", [0, 0.3, 0.5, 1])
def test_geodesic_as_written(t, few):
    X, y = few
    similar, dissimilar = pair_means(X, y)
    start, half = inv(similar), fractional_matrix_power(inv(similar), 0.5)
    back = fractional_matrix_power(start, -0.5)
    expected = half @ fractional_matrix_power(back @ dissimilar @ back, t) @ half
    np.testing.assert_allclose(
        GMML(t=t, regularization=0).fit(X, y).get_mahalanobis_matrix(), expected, rtol=1e-8, atol=1e-10
    )


def test_half_way_minimises_the_objective(few):
    X, y = few
    similar, dissimilar = pair_means(X, y)
    matrix = GMML(regularization=0).fit(X, y).get_mahalanobis_matrix()
    # gradient of tr(M S) + tr(M^-1 D)
    np.testing.assert_allclose(similar, inv(matrix) @ dissimilar @ inv(matrix), rtol=1e-8, atol=1e-10)


def test_at_zero_classes_of_one_size_give_whitening(many):
    X, y = many
    matrix = GMML(t=0, regularization=0).fit(X, y).get_mahalanobis_matrix()
    np.testing.assert_allclose(2 * matrix, RCA().fit(X, y).get_mahalanobis_matrix(), rtol=1e-8, atol=1e-9)


def test_regulariser_of_the_paper(few):
    X, y = few
    similar, dissimilar = pair_means(X, y)
    levels = [np.trace(part) / 7 for part in (similar, dissimilar)]
    S, D = similar + 0.2 * levels[0] * np.eye(7), dissimilar + 0.2 * levels[1] * np.eye(7)
    matrix = GMML(regularization=0.2).fit(X, y).get_mahalanobis_matrix()
    np.testing.assert_allclose(S, inv(matrix) @ D @ inv(matrix), rtol=1e-8, atol=1e-9)


def test_scatters_without_inverse_are_refused_by_name(few):
    X, y = few
    with pytest.raises(ValueError, match="set regularization above 0, such as"):
        GMML(regularization=0).fit(np.c_[X, X[:, 0]], y)
    with pytest.raises(ValueError, match="samples of a class do not differ in X: GMML"):
        GMML().fit([[0, 1], [0, 1], [2, 3], [2, 3]], [0, 0, 1, 1])
