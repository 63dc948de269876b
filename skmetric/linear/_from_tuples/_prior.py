"""The matrix that a learned one stays near to."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.sparse import issparse
from sklearn.covariance import ledoit_wolf_shrinkage

from skmetric._checks import check_matrix
from skmetric.linear._closed_form._scatter import class_scatter

from ._forms._pair_forms import PairForms

_Floats = NDArray[np.float64]


def prior_factor(prior: Any, rows: Any) -> _Floats:
    """Upper triangular R with R^T R the prior: the identity, the inverse covariance of rows, or a matrix.

    Parameters
    ----------
    prior : "identity", "covariance" or array-like of shape (n_features, n_features)
        Which.
    rows : ndarray or CSR array of shape (n_rows, n_features)
        Rows whose covariance is meant: all of them, in a pair or not.

    Returns
    -------
    ndarray of shape (n_features, n_features)
    """
    n_features = rows.shape[1]
    if isinstance(prior, str):
        return np.eye(n_features) if prior == "identity" else _of_covariance(rows.astype(np.float64))
    matrix = check_matrix(prior, "prior").astype(np.float64)
    if matrix.shape != (n_features, n_features):
        raise ValueError(
            f"prior has shape {matrix.shape} for {n_features} features: it must be square, of that size"
        )
    if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-12 * np.abs(matrix).max()):
        raise ValueError("prior is not symmetric")
    try:
        return cholesky(matrix, lower=False)
    except LinAlgError:
        raise ValueError("prior is not positive definite: add a multiple of the identity") from None


def shrunk_to_diagonal(forms: PairForms, amount: float) -> _Floats:
    """Mean scatter of pairs, shrunk towards its diagonal; the identity if all pairs are of equal rows.

    A feature in which no pair differs gets the mean spread: what the scatter has for it is rounding.
    """
    spread = forms.feature_squares() / forms.n_pairs
    if not spread.any():
        return np.eye(len(spread))
    scatter = forms.scatter(np.full(forms.n_pairs, 1 / forms.n_pairs))
    is_flat = spread == 0
    scatter[is_flat] = scatter[:, is_flat] = 0
    return (1 - amount) * scatter + amount * np.diag(np.where(is_flat, spread.mean(), spread))


def _of_covariance(rows: Any) -> _Floats:
    """Factor of the inverse covariance, shrunk towards a multiple of the identity where it has no inverse."""
    if issparse(rows):
        scale = float(abs(rows.data).max(initial=0.0))
        scatter, amount = _sparse_scatter(rows / (scale or 1.0))
    else:
        centered = rows - rows.mean(axis=0)
        scale = float(np.abs(centered).max())
        centered /= scale or 1.0  # so that squares neither overflow nor vanish
        scatter = centered.T @ centered
        amount = partial(ledoit_wolf_shrinkage, centered, assume_centered=True)
    if not scatter.any():
        return np.eye(rows.shape[1])
    covariance = scatter / max(rows.shape[0] - 1, 1)
    lower = _cholesky_or_none(covariance)
    if lower is None:
        share = max(amount(), 1e-3)
        level = np.trace(covariance) / len(covariance)
        shrunk = (1 - share) * covariance + share * level * np.eye(len(covariance))
        lower = cholesky(shrunk, lower=True)
    # covariance = K K^T; its inverse is K^-T K^-1, and R is the triangular factor of that
    inverse = solve_triangular(lower, np.eye(len(lower)), lower=True) / scale
    return np.asarray(np.linalg.qr(inverse, mode="r"))


def _sparse_scatter(rows: Any) -> tuple[_Floats, Callable[[], float]]:
    """Scatter of sparse rows about their mean, and what gives the shrinkage of Ledoit and Wolf."""
    n, n_features = rows.shape
    total = class_scatter(rows, np.zeros(n, np.intp), 1)
    mean, scatter = total.mean, total.within

    def amount() -> float:
        norms = (rows * rows).sum(axis=1) - 2 * (rows @ mean) + mean @ mean  # (n,) of the centred rows
        spread = np.square(scatter).sum() / n**2
        noise = (np.square(norms).sum() / n - spread) / n
        distance = spread - (np.trace(scatter) / n) ** 2 / n_features  # to a multiple of the identity
        return float(min(noise, distance) / distance) if distance > 0 else 0.0

    return scatter, amount


def _cholesky_or_none(covariance: _Floats) -> _Floats | None:
    """Lower factor, or None where rounding decides some direction."""
    spread = np.sqrt(np.diag(covariance))
    if not spread.all():
        return None
    try:
        lower = cholesky(covariance / np.outer(spread, spread), lower=True)
    except LinAlgError:
        return None
    if np.diag(lower).min() ** 2 < len(lower) * 1e3 * np.finfo(np.float64).eps:
        return None
    return lower * spread[:, None]
