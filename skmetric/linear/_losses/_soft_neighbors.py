"""Objectives over soft neighbours: p_ij proportional to exp(-|e_i - e_j|^2), of a row i among all others.

Value and gradient are computed for a block of rows at a time, in the precision of the embeddings. Memory is
that of a few copies of the embeddings and one block, time three products of (n, n) by (n, n_components).
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 19  # entries of a block: what fits into the cache of a core
_CHUNK = 4096  # rows of the gradient that a block adds to at a time


class Objective(Protocol):
    """A loss as a sum over rows, each of which knows its soft neighbours."""

    def __call__(self, logits: NDArray[np.floating], rows: slice) -> float:
        """Return the loss of some rows, and replace the logits by its derivatives by the squared distances.

        `logits` are minus squared distances up to a constant of each row, (n_block, n); a row's own is -inf.
        The derivatives of each row must add up to 0.
        """


def value_and_gradient(
    embeddings: NDArray[np.floating], objective: Objective
) -> tuple[float, NDArray[np.floating]]:
    """Loss of the embeddings, and its gradient of shape (n, n_components).

    With V the derivatives by squared distances, of which the rows add up to 0, the gradient is
    ``2 (diag(V^T 1) - V - V^T) e``.
    """
    n, k = embeddings.shape
    factors = product_factors(embeddings)
    width = block_width(n)
    chunks = [slice(first, first + _CHUNK) for first in range(0, n, _CHUNK)]
    value, pulled = 0.0, np.zeros_like(factors)  # pulled: V e + V^T e, and in the last column V^T 1
    left, buffer = np.empty((width, k + 1), factors.dtype), np.empty((width, n), factors.dtype)
    for start in range(0, n, width):
        rows = slice(start, min(start + width, n))
        own, logits = left[: rows.stop - start], buffer[: rows.stop - start]
        own[:, :k], own[:, k] = factors[rows, :k], 1
        np.matmul(own, factors.T, out=logits)  # 2 e_i e_j - |e_j|^2
        logits[np.arange(len(own)), np.arange(start, rows.stop)] = -np.inf
        value += objective(logits, rows)
        pulled[rows, :k] += logits @ factors[:, :k]
        for columns in chunks:
            pulled[columns] += logits[:, columns].T @ own
    gradient = pulled[:, k:] * factors[:, :k]
    gradient -= pulled[:, :k]
    gradient *= np.sqrt(2)
    return value, gradient


def product_factors(embeddings: NDArray[np.floating]) -> NDArray[np.floating]:
    """Columns of which a product with rows ``[sqrt(2) e_i, 1]`` is ``2 e_i e_j - |e_j|^2``, (n, k + 1)."""
    n, k = embeddings.shape
    factors = np.empty((n, k + 1), embeddings.dtype)
    np.multiply(embeddings, np.sqrt(2), out=factors[:, :k])
    factors[:, k] = np.einsum("ij,ij->i", factors[:, :k], factors[:, :k]) / -2
    return factors


def block_width(n: int) -> int:
    """Rows of a block of an (n, n) matrix."""
    return max(16, min(512, _BLOCK // n))


def softmax_rows(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Replace each row by the exponentials of its distances to its largest entry, and return their sums.

    A row whose only entry is -inf, that of a single sample, becomes 0.
    """
    top = logits.max(axis=1, keepdims=True)
    logits -= np.where(top == -np.inf, 0, top)
    np.exp(logits, out=logits)
    return np.maximum(logits.sum(axis=1, keepdims=True), np.finfo(logits.dtype).tiny)


def class_slices(codes: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sorted codes: where the class of each row begins and ends."""
    return np.searchsorted(codes, codes), np.searchsorted(codes, codes, side="right")


def class_parts(begins: NDArray[np.intp], ends: NDArray[np.intp], rows: slice) -> list[tuple[slice, slice]]:
    """Rows of a block by class, counted in the block, and the columns of their class."""
    found, start = [], rows.start
    while start < rows.stop:
        stop = min(int(ends[start]), rows.stop)
        found.append(
            (slice(start - rows.start, stop - rows.start), slice(int(begins[start]), int(ends[start])))
        )
        start = stop
    return found


class ExpectedAccuracy:
    """Minus the number of rows that a soft neighbour classifies, ``-sum_i p_i`` (Goldberger et al., 2004).

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Class of each row, sorted.
    """

    def __init__(self, codes: NDArray[np.intp]) -> None:
        self.begins, self.ends = class_slices(codes)
        self.n_counted = len(codes)

    def __call__(self, logits: NDArray[np.floating], rows: slice) -> float:
        """Derivatives are ``p_ij (p_i - [same class])``, with the sign of the loss turned."""
        totals = softmax_rows(logits)
        parts = class_parts(self.begins, self.ends, rows)
        right = np.concatenate([logits[part].sum(axis=1) for part in parts])[:, None] / totals  # p_i
        scale = 1 / totals
        kept = [logits[part] * ((1 - right) * scale)[part[0]] for part in parts]
        logits *= -right * scale
        for part, values in zip(parts, kept, strict=True):
            logits[part] = values
        return -float(right.sum(dtype=np.float64))


class LogLikelihood:
    """``-sum_i log p_i`` over the rows that are not the only one of their class.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Class of each row, sorted.
    """

    def __init__(self, codes: NDArray[np.intp]) -> None:
        self.begins, self.ends = class_slices(codes)
        self.has_partner = (self.ends - self.begins) > 1
        self.n_counted = int(self.has_partner.sum())

    def __call__(self, logits: NDArray[np.floating], rows: slice) -> float:
        """Derivatives are ``p_ij / p_i [same class] - p_ij``; there is another softmax within the class."""
        counts = self.has_partner[rows, None].astype(logits.dtype)
        parts = class_parts(self.begins, self.ends, rows)
        inside = [logits[part].copy() for part in parts]
        tops = np.concatenate([values.max(axis=1) for values in inside])[:, None] - logits.max(
            axis=1, keepdims=True
        )
        sums = np.concatenate([softmax_rows(values) for values in inside])
        totals = softmax_rows(logits)
        logits *= -counts / totals
        for part, values in zip(parts, inside, strict=True):
            logits[part] += values / sums[part[0]] * counts[part[0]]
        likelihoods = (tops + np.log(sums) - np.log(totals))[counts > 0]
        return -float(likelihoods.sum(dtype=np.float64))


class SquaredError:
    """``sum_i (t_i - sum_j p_ij t_j)^2``: kernel regression of each row by the others (MLKR).

    Parameters
    ----------
    targets : ndarray of shape (n,)
        Real numbers, of the type of the embeddings.
    """

    def __init__(self, targets: NDArray[np.floating]) -> None:
        self.targets = targets

    def __call__(self, logits: NDArray[np.floating], rows: slice) -> float:
        """Derivatives are ``-2 (prediction - t_i) p_ij (t_j - prediction)``."""
        logits /= softmax_rows(logits)
        predicted = logits @ self.targets
        error = predicted - self.targets[rows]
        logits *= (-2 * error)[:, None]
        logits *= self.targets - predicted[:, None]
        return float(np.square(error, dtype=np.float64).sum())
