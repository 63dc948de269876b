"""Scatter inside classes for dense and for sparse samples, whatever their unit."""

from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skmetric.linear._closed_form._scatter import ClassScatter, class_scatter

Rows: TypeAlias = Any  # an array or a CSR array, (n_samples, n_features), of float32 or float64
_LARGEST = 1e140  # whose squares, summed, are in float64, as are their inverses


def power_of_two(X: Rows) -> float:
    """Factor that brings the largest entry of `X` to between 1/2 and 1, and rounds nothing."""
    values = X.data if issparse(X) else X
    largest = float(max(values.max(initial=0.0), -values.min(initial=0.0)))
    return 2.0 ** -int(np.clip(np.frexp(largest)[1], -1000, 1000)) if largest > 0 else 1.0


def check_squares(X: Rows) -> None:
    """Refuse samples whose squared differences overflow or vanish in float64."""
    unit = power_of_two(X)
    if not 1 / _LARGEST <= 1 / unit <= _LARGEST:
        _refuse(unit)


def _refuse(unit: float) -> NoReturn:
    raise ValueError(
        f"the largest entries of X are about {1 / unit:.0e}, and their squares do not fit into float64: "
        "multiply X by a constant"
    )


def scatter_of(
    X: Rows, codes: NDArray[np.intp], n_classes: int, sample_weight: NDArray[Any] | None = None
) -> ClassScatter:
    """Statistics of samples, in the unit of `X` and in float64; O(n_features^2) memory.

    The sums are taken in a unit in which no square overflows or vanishes.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
        Samples. Sparse ones are not made dense.
    codes : ndarray of shape (n_samples,)
        Class of each, from 0.
    n_classes : int
        How many classes there are; each must have a sample.
    sample_weight : ndarray of shape (n_samples,), default=None
        As :func:`~skmetric.linear._closed_form._scatter.class_scatter` takes it.

    Returns
    -------
    ClassScatter
    """
    unit = power_of_two(X)
    # float64, since nothing shrinks these covariances before they are inverted
    scatter = class_scatter(X, codes, n_classes, sample_weight, lambda rows: rows.astype(np.float64) * unit)
    with np.errstate(over="ignore", under="ignore"):
        within = scatter.within / unit / unit
    if not np.isfinite(within).all() or within.any() != scatter.within.any():
        _refuse(unit)
    return scatter._replace(means=scatter.means / unit, within=within)
