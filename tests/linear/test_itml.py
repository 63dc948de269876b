"""ITML: values by hand, the optimality condition of the paper, its gradient by finite differences."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.datasets import load_iris

from skmetric.linear import ITML
from skmetric.linear._from_tuples._forms._dense_forms import forms_of
from skmetric.linear._from_tuples._itml import bound_loss
from skmetric.weak import sample_pairs

X, LABELS = load_iris(return_X_y=True)
PAIRS, Y = sample_pairs(LABELS, 200, random_state=0)


def test_one_dissimilar_pair_by_hand():
    """On a line A = a, and d a - log a - 1 + gamma (r - log r - 1) with r = a x^2 / l^2 is least at
    a = (1 + gamma) / (1 + gamma x^2 / l^2); the similar pair keeps its bound.
    """
    learner = ITML(bounds=(1.0, 2.0), gamma=3.0, tol=1e-12).fit(
        [[0.0], [1.0], [0.1]], [-1, 1], pairs=[[0, 1], [0, 2]]
    )
    # (1 + 3) / (1 + 3 / 4) = 16 / 7
    assert learner.get_mahalanobis_matrix()[0, 0] == pytest.approx(16 / 7)
    a, r = 16 / 7, 4 / 7
    assert learner.objective_ == pytest.approx(a - np.log(a) - 1 + 3 * (r - np.log(r) - 1))


def test_bounds_that_hold_leave_the_prior():
    prior = np.array([[2.0, 0.5], [0.5, 1.0]])
    learner = ITML(prior, bounds=(10.0, 10.0)).fit(
        [[0.0, 0.0], [1.0, 0.0], [0.0, 99.0]], [1, 0], pairs=[[0, 1], [0, 2]]
    )
    np.testing.assert_allclose(learner.get_mahalanobis_matrix(), prior)
    assert learner.objective_ == pytest.approx(0, abs=1e-12)


def test_the_inverse_is_the_prior_plus_multiples_of_the_differences():
    """Equation 2.5 of the paper: A^-1 = A0^-1 + sum of dual variables times x x^T."""
    learner = ITML(tol=1e-13, random_state=0).fit(X, Y, pairs=PAIRS)
    M, gaps = learner.get_mahalanobis_matrix(), X[PAIRS[:, 0]] - X[PAIRS[:, 1]]
    _, slopes = bound_loss(
        np.einsum("ij,jk,ik->i", gaps, M, gaps), similar=Y == 1, bounds=np.square(learner.bounds_), gamma=1.0
    )
    np.testing.assert_allclose(np.linalg.inv(M), np.eye(4) + (gaps.T * slopes) @ gaps, rtol=1e-4, atol=1e-5)


def test_slopes_by_finite_differences():
    squares, similar = np.array([0.3, 2.0, 5.0, 0.2, 9.0]), np.array([True, True, False, False, False])
    options = {"similar": similar, "bounds": np.array([1.0, 4.0]), "gamma": 0.7}
    slopes = approx_fprime(squares, lambda s: bound_loss(s, **options)[0], 1e-7)
    np.testing.assert_allclose(bound_loss(squares, **options)[1], slopes, atol=1e-5)


@pytest.mark.parametrize("n_pairs", [3, 40], ids=["differences", "rows"])
def test_gradient_of_squares_by_finite_differences(n_pairs):
    rng = np.random.default_rng(0)
    rows, pairs = rng.normal(size=(9, 3)), np.array([rng.choice(9, 2, replace=False) for _ in range(n_pairs)])
    forms, weights, W = forms_of(rows, pairs), rng.normal(size=n_pairs), rng.normal(size=(3, 3))

    def value(flat):
        return weights @ forms.squares(forms.under(flat.reshape(3, 3)))

    gradient = 2 * forms.spread(forms.under(W), weights)
    np.testing.assert_allclose(approx_fprime(W.ravel(), value, 1e-7), gradient.ravel(), atol=1e-4)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_any_scale_gives_the_same_distances(scale):
    """Scaling features scales bounds and prior with them, so predictions are the same."""
    prior = np.eye(4) / scale**2
    ours = ITML(prior, random_state=0).fit(X * scale, Y, pairs=PAIRS)
    plain = ITML(random_state=0).fit(X, Y, pairs=PAIRS)
    np.testing.assert_allclose(ours.components_ * scale, plain.components_, rtol=1e-5, atol=1e-7)


def test_features_of_very_different_scale():
    scales = np.array([1e-30, 1.0, 1e30, 1.0])
    learner = ITML("covariance", random_state=0).fit(X * scales, Y, pairs=PAIRS)
    plain = ITML("covariance", random_state=0).fit(X, Y, pairs=PAIRS)
    np.testing.assert_allclose(learner.objective_, plain.objective_, rtol=1e-3)


def test_the_report_of_equal_rows_that_are_not_similar():
    """metric-learn #187: a pair of equal rows divides by zero."""
    rows = np.vstack([X, X[:1]])
    pairs, y = np.vstack([PAIRS, [[0, 150], [0, 150]]]), np.append(Y, [1, -1])
    with pytest.warns(
        UserWarning, match="pair 201 are equal, and y says that they are not similar"
    ) as caught:
        learner = ITML(random_state=0).fit(rows, y, pairs=pairs)
    assert caught[0].filename == __file__
    np.testing.assert_allclose(learner.bounds_, ITML(random_state=0).fit(X, Y, pairs=PAIRS).bounds_, rtol=0.1)


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (0.0, 1.0), (1.0,), (1.0, np.inf)])
def test_bounds_that_are_none(bounds):
    with pytest.raises(ValueError, match="bounds"):
        ITML(bounds=bounds).fit(X, Y, pairs=PAIRS)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (np.eye(3), "prior has shape"),
        (-np.eye(4), "not positive definite"),
        (np.triu(np.ones((4, 4))), "not symmetric"),
    ],
)
def test_priors_that_are_none(prior, message):
    with pytest.raises(ValueError, match=message):
        ITML(prior).fit(X, Y, pairs=PAIRS)
