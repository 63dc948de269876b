"""Inverse square roots of covariances that may be singular, and whose features may have any unit."""

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import eigh

from skmetric.linear._closed_form._scatter import ClassScatter

Matrix = NDArray[np.float64]


def feature_scales(variances: NDArray[np.float64], resolution: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power of two next to the standard deviation of each feature; 0 for features that are constant.

    Dividing by it makes the choice of what is rounding the same in any unit of a feature, and rounds nothing.

    Parameters
    ----------
    variances : ndarray of shape (n_features,)
        Of all samples.
    resolution : ndarray of shape (n_features,)
        Differences that the precision of the samples does not hold; smaller deviations are rounding.
    """
    deviations = np.sqrt(np.maximum(variances, 0))
    _, exponents = np.frexp(deviations)
    return np.where(deviations > resolution, np.ldexp(1.0, exponents), 0.0)


def inverse_root(covariance: Matrix, scales: NDArray[np.float64], keep_flat: bool) -> tuple[Matrix, int]:
    """Rows W with ``W.T @ W`` the inverse of a covariance; and the number of directions without spread.

    Parameters
    ----------
    covariance : ndarray of shape (n_features, n_features)
        Symmetric, without negative eigenvalues but for rounding.
    scales : ndarray of shape (n_features,)
        From :func:`feature_scales`. Features of scale 0 get weight 0.
    keep_flat : bool
        Directions without spread get the weight of the direction with the least spread if true, else weight 0
        as in the pseudo-inverse.

    Returns
    -------
    root : ndarray of shape (n_features, n_features)
    n_flat : int
    """
    used = scales > 0
    root = np.zeros_like(covariance)
    if not used.any():
        return root, 0
    inverse = 1 / scales[used]
    spread, basis = eigh(covariance[np.ix_(used, used)] * inverse[:, None] * inverse)
    is_flat = spread <= max(spread[-1], 0) * len(spread) * np.finfo(np.float64).eps
    if is_flat.all():
        return root, len(spread)
    least = spread[~is_flat][0]
    weights = 1 / np.sqrt(np.where(is_flat, least, spread))
    inside = (basis * weights) @ basis.T * inverse
    if is_flat.any() and not keep_flat:
        # of all inverses on the span of the samples, the pseudo-inverse is 0 across it
        span = np.linalg.qr(basis[:, ~is_flat] * scales[used, None])[0]
        inside = inside @ span @ span.T
    root[np.ix_(used, used)] = inside
    return root, int(is_flat.sum())


def resolution_of(scatter: ClassScatter, dtype: DTypeLike) -> NDArray[np.float64]:
    """Differences of each feature that are rounding in samples of type `dtype`, (n_features,)."""
    total = scatter.weights.sum()
    squares = scatter.weights @ np.square(scatter.means) + np.diag(scatter.within)
    return 8 * float(np.finfo(dtype).eps) * np.sqrt(squares / total)  # type: ignore[no-any-return]
