"""The Mahalanobis distance of the data."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skmetric.linear import Covariance


def test_by_hand():
    # variances with n - 1: 48 / 3 = 16 and 12 / 3 = 4, no covariance
    learner = Covariance().fit(
        np.array([[-4, -3], [-4, 3], [4, -1], [4, 1.0]]) * [np.sqrt(0.75), np.sqrt(0.6)]
    )
    np.testing.assert_allclose(learner.get_mahalanobis_matrix(), np.diag([1 / 16, 1 / 4]), atol=1e-12)


def test_inverse_of_the_covariance(few):
    X, _ = few
    np.testing.assert_allclose(
        Covariance().fit(X).get_mahalanobis_matrix(), np.linalg.inv(np.cov(X.T)), rtol=1e-9
    )


def test_leading_directions_are_those_of_pca(few):
    X, _ = few
    ours, theirs = Covariance(3).fit_transform(X), PCA(3, whiten=True).fit_transform(X)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), rtol=1e-6)


def test_directions_without_spread_do_not_count(few):
    X, _ = few
    X = np.c_[X, X[:, 0] + X[:, 1], np.full(len(X), 0.1)]
    learner = Covariance().fit(X)
    np.testing.assert_allclose(learner.get_mahalanobis_matrix(), np.linalg.pinv(np.cov(X.T)), atol=1e-9)
    assert not learner.components_[:, -1].any()
    assert Covariance(9).fit(X).transform(X).shape == (len(X), 9)


def test_units_of_features_cancel(few):
    X, _ = few
    units = np.array([1e12, 1e-12, 1, 1, 1e5, 1e-5, 1])
    expected = Covariance().fit(X).pair_distance(X[1:], X[:-1])
    X = X * units
    np.testing.assert_allclose(Covariance().fit(X).pair_distance(X[1:], X[:-1]), expected, rtol=1e-6)


def test_equal_rows_are_refused():
    with pytest.raises(ValueError, match="all rows of X are equal"):
        Covariance().fit(np.full((5, 3), 0.1))


def test_squares_that_overflow_are_refused():
    with pytest.raises(ValueError, match="about 1e\\+300, and their squares do not fit into float64"):
        Covariance().fit([[1e300, 0.0], [0.0, 1e300], [1.0, 2.0]])
