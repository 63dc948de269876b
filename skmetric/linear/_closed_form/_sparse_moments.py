"""Means of classes and the scatter inside them, of sparse rows that are never made dense."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

_DOUBTFUL = 1e-3  # share of the squares of a feature below which their difference has lost digits
_COLUMNS = 64  # features that are made dense at a time

_Floats = NDArray[np.float64]


def sparse_moments(
    X: Any, codes: NDArray[np.intp], n_classes: int, weight: _Floats
) -> tuple[_Floats, _Floats]:
    """Class means (n_classes, n_features) and scatter inside classes (n_features, n_features), in float64.

    The scatter is ``X.T @ X`` less that of the means, at a cost of the squared number of entries of each row.
    Features that hardly differ inside classes, for example a constant one, are subtracted before they are
    multiplied, since the difference of two large sums would be rounding.

    Parameters
    ----------
    X : CSR array of shape (n_samples, n_features)
    codes : ndarray of shape (n_samples,)
        Class of each, from 0.
    n_classes : int
        How many classes there are; each must have a sample.
    weight : ndarray of shape (n_samples,)
        Above 0.
    """
    X = X.astype(np.float64)
    totals = np.bincount(codes, weight, minlength=n_classes)[:, None]
    indicator = csr_array((weight, codes, np.arange(len(codes) + 1)), shape=(len(codes), n_classes))
    means = (indicator.T @ X).toarray() / totals
    within = (X.T @ (diags_array(weight) @ X)).toarray()
    squares = np.diag(within).copy()
    within -= (means * totals).T @ means
    doubtful = np.flatnonzero(np.diag(within) < _DOUBTFUL * squares)
    columns = X.tocsc() if len(doubtful) else X
    for start in range(0, len(doubtful), _COLUMNS):
        part = doubtful[start : start + _COLUMNS]
        gap = columns[:, part].toarray() - means[codes][:, part]  # (n_samples, n_part)
        shift = indicator.T @ gap / totals
        means[:, part] += shift
        within[:, part] = X.T @ ((gap - shift[codes]) * weight[:, None])
        within[part] = within[:, part].T
    return means, within
