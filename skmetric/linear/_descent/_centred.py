"""Rows about their mean in float32, dense or sparse, in a unit in which nothing overflows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from skmetric.base import unit_rows, unit_sparse_rows
from skmetric.linear._statistics._moments import Rows, power_of_two

_CHUNK = 8192  # rows held as a copy at a time


@dataclass(frozen=True)
class Centred:
    """Rows of which a map and its gradient are made.

    Attributes
    ----------
    rows : ndarray or CSR array of shape (n_samples, n_features)
        In float32; dense ones less their mean.
    offset : ndarray of shape (n_features,) or None
        What is still to be taken off sparse rows, which would not stay sparse.
    """

    rows: Any
    offset: NDArray[np.float32] | None

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def take(self, rows: NDArray[np.intp]) -> "Centred":
        """Some rows."""
        return Centred(self.rows[rows], self.offset)

    def embed(self, components: NDArray[np.floating]) -> NDArray[np.float32]:
        """Mapped rows, (n_samples, n_components)."""
        components = components.astype(np.float32, copy=False)
        embeddings = self.rows @ components.T
        return embeddings if self.offset is None else embeddings - components @ self.offset

    def pull(self, gradient: NDArray[np.floating]) -> NDArray[np.floating]:
        """Gradient of the map from that of the embeddings, (n_components, n_features)."""
        if self.offset is None:
            return gradient.T @ self.rows  # type: ignore[no-any-return]
        return (self.rows.T @ gradient).T - np.outer(gradient.sum(axis=0), self.offset)  # type: ignore[no-any-return]


def centred(
    X: Rows,
    order: NDArray[np.intp],
    normalize: bool = False,
    known: tuple[NDArray[np.float64], float] | None = None,
) -> tuple[Centred, NDArray[np.float64], float]:
    """Make rows for learning.

    Parameters
    ----------
    X : ndarray or CSR array of shape (n_samples, n_features)
        Samples.
    order : ndarray of shape (n_samples,)
        Order in which they are wanted.
    normalize : bool, default=False
        Scale rows to unit length first.
    known : tuple, default=None
        Mean and unit of earlier samples, to be used for these.

    Returns
    -------
    rows : Centred
    mean : ndarray of shape (n_features,)
        Of the samples, or of those of unit length.
    unit : float
        A power of two: ``(x - mean) * unit`` is what `rows` holds.
    """
    X = X[order]
    if issparse(X):
        X = unit_sparse_rows(X) if normalize else X
        mean, unit = known or (np.asarray(X.mean(axis=0), np.float64).ravel(), power_of_two(X))
        return Centred(csr_array(X * unit).astype(np.float32), (mean * unit).astype(np.float32)), mean, unit
    X = unit_rows(X) if normalize else X
    parts = [slice(start, start + _CHUNK) for start in range(0, len(X), _CHUNK)]
    if known is None:
        mean = np.asarray(X.mean(axis=0, dtype=np.float64))
        unit = min(power_of_two(X[part] - mean) for part in parts)
    else:
        mean, unit = known
    rows, largest = np.empty(X.shape, np.float32), np.zeros(X.shape[1])
    for part in parts:
        difference = X[part] - mean
        largest = np.maximum(largest, np.abs(difference).max(axis=0))
        rows[part] = difference * unit
    rows[:, largest <= 8 * np.finfo(X.dtype).eps * np.abs(mean)] = 0  # constant: rounding of the mean
    if not rows.any() and known is None:
        raise ValueError("all rows of X are equal: samples that differ are needed")
    return Centred(rows, None), mean, unit
