"""The eigenproblem: against scipy's general solver, scikit-learn's LDA, and values by hand."""

import numpy as np
import pytest
from scipy.linalg import eigh, subspace_angles
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from skmetric.linear._closed_form._scatter import ClassScatter, class_scatter
from skmetric.linear._closed_form._whitening import (
    WEIGHTINGS,
    Whitening,
    components,
    principal,
    scales,
    shrunk,
    stretch,
    whiten,
)

from .conftest import gaussian_classes


def metric(mapped):
    """Matrix M of the squared distance (x - y)' M (x - y): the map up to a rotation."""
    return mapped.T @ mapped


def by_full_problem(scatter, within, between, weighting):
    """M from scipy's solution of Sb v = psi Sw v with all n_features directions."""
    Sw = shrunk(scatter.within_covariance(), within)
    Sb = np.atleast_2d(np.cov(scatter.means.T))
    psi, V = eigh(Sb, Sw)  # V' Sw V = identity
    psi = (1 - between) * np.maximum(psi, 0) + between * np.maximum(psi, 0).mean()
    weights = WEIGHTINGS[weighting](psi)
    return (V * weights / weights.max()) @ V.T


@pytest.mark.parametrize("n_classes", [3, 5, 20])  # fewer, and more, than features
@pytest.mark.parametrize("weighting", list(WEIGHTINGS))
@pytest.mark.parametrize("shrinkage", [(0, 0), (0.3, 0.5), (1, 0.2), (0.5, 1)])
def test_agrees_with_the_full_eigenproblem(n_classes, weighting, shrinkage):
    X, codes = gaussian_classes(n_classes, 12, 7)
    scatter = class_scatter(X, codes, n_classes)
    within, between = shrinkage
    mapped = components(whiten(scatter, within), between, weighting)
    expected = by_full_problem(scatter, within, between, weighting)
    np.testing.assert_allclose(metric(mapped), expected, atol=1e-8 * expected.max())


def test_by_hand():
    # classes of mean (0, 0) and (2, 0); Sw = diag(1, 4) whitens to steps of sqrt(2)^2 = 2 and 0
    scatter = ClassScatter(np.array([10.0, 10]), np.array([[0.0, 0], [2, 0]]), 18 * np.diag([1.0, 4]))
    whitening = whiten(scatter, 0)
    np.testing.assert_allclose(whitening.psi, [2])
    np.testing.assert_allclose(np.abs(whitening.directions), [[1], [0]], atol=1e-12)
    # plda, between 0.5: mean psi 1; along 0.5 * 2 + 0.5 = 1.5, other 0.5; weights 1.5 / 2 and 0.5 / 1
    rest, along = scales(whitening, 0.5, "plda")
    np.testing.assert_allclose([rest**2, *along**2], [0.5 / 0.75, 1])
    # so the squared distance weighs feature 0 by 1 / 1 and feature 1 by (2/3) / 4
    np.testing.assert_allclose(metric(components(whitening, 0.5, "plda")), np.diag([1, 1 / 6]), atol=1e-12)


def test_weights_by_hand():
    psi = np.array([0, 0.5, 1.5])
    np.testing.assert_allclose(WEIGHTINGS["plda"](psi), [0, 0.5, 0.75])
    np.testing.assert_allclose(WEIGHTINGS["wccn"](psi), [1, 1, 1])
    np.testing.assert_allclose(WEIGHTINGS["lda"](psi), psi)


def test_saturation_by_hand():
    # psi is 2 along and 0 across; between 0.5 shrinks to 1.5 and 0.5, saturation 0.5 divides by 1 + 0.5 * 2
    whitening = Whitening(np.eye(2), np.array([2.0]), np.array([[1.0], [0]]), 2, 1.0)
    rest, along = scales(whitening, 0.5, "plda", 0.5)
    np.testing.assert_allclose([rest**2, *along**2], [1, (0.75 / 2) / 0.5])
    rest, along = scales(whitening, 0.5, "wccn", 0.5)
    np.testing.assert_allclose([rest**2, *along**2], [1, 1 / 2])
    rest, along = scales(whitening, 0.5, "lda", 0.5)
    np.testing.assert_allclose([rest**2, *along**2], [0.5 / 0.75, 1])


def test_shrunk_by_hand():
    # mean variance (1 + 3) / 2 = 2
    np.testing.assert_allclose(shrunk(np.array([[1.0, 1], [1, 3]]), 0.25), [[1.25, 0.75], [0.75, 2.75]])


def test_wccn_makes_the_covariance_inside_classes_the_identity(few):
    X, codes = few
    mapped = components(whiten(class_scatter(X, codes, 5), 0), 0.3, "wccn")
    covariance = class_scatter(X @ mapped.T, codes, 5).within_covariance()
    np.testing.assert_allclose(covariance, covariance[0, 0] * np.eye(7), atol=1e-9 * covariance[0, 0])


def test_lda_spans_the_directions_of_discriminant_analysis():
    X, codes = gaussian_classes(4, 50, 7)
    mapped = components(whiten(class_scatter(X, codes, 4), 0), 0, "lda")
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(X, codes).scalings_[:, :3]  # 4 classes
    ours = np.linalg.svd(mapped)[2][:3].T
    assert np.linalg.matrix_rank(mapped, tol=1e-6) == 3
    assert subspace_angles(ours, theirs).max() < 1e-6


def test_lda_of_equal_classes_weighs_as_discriminant_analysis():
    """With balanced classes both covariances of means are the same but for a factor."""
    X, codes = gaussian_classes(4, 50, 7)
    mapped = components(whiten(class_scatter(X, codes, 4), 0), 0, "lda")
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(X, codes)
    scaled = theirs.scalings_[:, :3] * np.sqrt(theirs.explained_variance_ratio_[:3])
    expected = scaled @ scaled.T
    ratio = np.trace(metric(mapped)) / np.trace(expected)
    np.testing.assert_allclose(metric(mapped), ratio * expected, atol=1e-8 * np.trace(metric(mapped)))


@pytest.mark.parametrize("weighting", list(WEIGHTINGS))
def test_stretching_whitened_rows_is_the_map(few, weighting):
    X, codes = few
    whitening = whiten(class_scatter(X, codes, 5), 0.2)
    rows = stretch(whitening, whitening(X), 0.4, weighting)
    np.testing.assert_allclose(rows, X @ components(whitening, 0.4, weighting).T, atol=1e-9)


@pytest.mark.parametrize("weighting", list(WEIGHTINGS))
def test_means_that_do_not_spread_prefer_no_direction(weighting):
    scatter = ClassScatter(np.array([5.0, 5]), np.zeros((2, 3)), np.diag([1.0, 2, 4]))
    assert metric(components(whiten(scatter, 1), 0.0, weighting))[0, 0] > 0


def test_principal_keeps_distances_and_orders_by_variance(few):
    X, codes = few
    scatter = class_scatter(X, codes, 5)
    mapped = components(whiten(scatter, 0.2), 0.4, "plda")
    turned = principal(mapped, scatter.covariance(), None)
    np.testing.assert_allclose(metric(turned), metric(mapped), atol=1e-9 * metric(mapped).max())
    covariance = np.cov((X @ turned.T).T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9 * covariance.max())
    assert (np.diff(np.diag(covariance)) <= 0).all()
    np.testing.assert_array_equal(principal(mapped, scatter.covariance(), 2), turned[:2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shrinkage", [0, 0.03])
def test_more_features_than_samples(dtype, shrinkage):
    X, codes = gaussian_classes(5, 4, 60, dtype=dtype)
    assert np.isfinite(components(whiten(class_scatter(X, codes, 5), shrinkage), 0.5, "plda")).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classes_without_any_spread_are_not_whitened_by_rounding(dtype):
    points = np.random.default_rng(0).normal(size=(20, 30)).astype(dtype)
    scatter = class_scatter(points.repeat(3, axis=0), np.arange(20).repeat(3), 20)
    np.testing.assert_array_equal(whiten(scatter, 0).factor, np.eye(30))


def test_squares_that_overflow_are_named():
    scatter = ClassScatter(np.array([5.0, 5]), np.zeros((2, 3)), np.full((3, 3), np.inf))
    with pytest.raises(ValueError, match="X is too large: its squares overflow"):
        whiten(scatter, 0.5)
