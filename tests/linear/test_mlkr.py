"""Metric learning for kernel regression."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from skmetric.linear import MLKR
from skmetric.linear._losses._soft_neighbors import SquaredError, value_and_gradient


def predicted(embeddings, targets):
    weights = np.exp(-np.square(embeddings[:, None] - embeddings).sum(axis=2))
    np.fill_diagonal(weights, 0)
    return weights @ targets / weights.sum(axis=1)


@pytest.fixture
def made():
    """Eighty rows of four features, of which one tells the target."""
    X = np.random.default_rng(0).normal(size=(80, 4))
    return X, 100 + 7 * np.sin(2 * X[:, 1])


def test_loss_by_hand():
    # row 0: weights e^-1 of 3 and e^-4 of 5; row 1: both e^-1, mean 3; row 2: e^-4 of 1 and e^-1 of 3
    e, t = np.array([[0.0], [1], [2]]), np.array([1.0, 3, 5])
    a, b = np.exp(-1), np.exp(-4)
    expected = ((3 * a + 5 * b) / (a + b) - 1) ** 2 + 0 + ((1 * b + 3 * a) / (a + b) - 5) ** 2
    assert value_and_gradient(e, SquaredError(t))[0] == pytest.approx(expected)


def test_gradient_against_finite_differences():
    rng = np.random.default_rng(0)
    e, loss = rng.normal(size=(20, 3)), SquaredError(rng.normal(size=20))
    error = check_grad(
        lambda flat: value_and_gradient(flat.reshape(e.shape), loss)[0],
        lambda flat: value_and_gradient(flat.reshape(e.shape), loss)[1].ravel(),
        e.ravel(),
    )
    assert error < 1e-4


def test_finds_the_feature_that_tells(made):
    X, y = made
    mlkr = MLKR().fit(X, y)
    weights = np.diag(mlkr.get_mahalanobis_matrix())
    assert weights[1] > 20 * np.delete(weights, 1).max()
    assert mlkr.objective_ == pytest.approx(np.square(predicted(mlkr.transform(X), y) - y).sum(), rel=1e-3)
    assert mlkr.objective_ < 0.05 * len(y) * y.var()


def test_score_is_r2_of_the_regression(made):
    X, y = made
    mlkr = MLKR().fit(X[:40], y[:40])
    error = np.square(predicted(mlkr.transform(X[40:]), y[40:]) - y[40:]).sum()
    assert mlkr.score(X[40:], y[40:]) == pytest.approx(1 - error / (40 * y[40:].var()))
    assert mlkr.score(X[40:], y[40:]) > 0.7
    with pytest.raises(ValueError, match="y has 3 targets for 40 rows"):
        mlkr.score(X[40:], y[:3])


def test_unit_of_the_target_does_not_matter(made):
    X, y = made
    one, other = MLKR(max_iter=20).fit(X, y), MLKR(max_iter=20).fit(X, 1e6 * y - 1e8)
    np.testing.assert_allclose(
        other.pair_distance(X[1:], X[:-1]), one.pair_distance(X[1:], X[:-1]), rtol=0.02
    )


def test_targets_that_tell_nothing_are_refused(made):
    X, y = made
    with pytest.raises(ValueError, match=r"all targets in y are equal \(0.1\)"):
        MLKR().fit(X, np.full(80, 0.1))
    with pytest.raises(ValueError, match="y must hold numbers, targets of a regression"):
        MLKR().fit(X, np.repeat(["a", "b"], 40))
    with pytest.raises(ValueError, match="Input y contains NaN in row 2"):
        MLKR().fit(X, np.where(np.arange(80) == 2, np.nan, y))
