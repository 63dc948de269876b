"""Exact search of rows that are not brought into memory, or into float32, as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import check_map
from skmetric.retrieval import Neighbors, nearest

BLOCK = 32 << 20  # bytes of rows, in float32, that are searched at once


def nearest_in_blocks(queries: NDArray[np.floating], rows: NDArray[np.floating], k: int) -> Neighbors:
    """Nearest rows, block by block: memory for one block, however many rows there are.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features)
        Checked.
    rows : ndarray of shape (n_rows, n_features)
        Such as a memory map, or float16. Each block is searched in float32 or float64, so that distances are
        exactly those of the values that the rows have.
    k : int
        From 1 to `n_rows`.

    Returns
    -------
    Neighbors
        As :func:`skmetric.retrieval.nearest` gives them, ties by the order of the rows.
    """
    check_map(rows, "the embeddings of the index")
    distances = np.empty((len(queries), 0))
    indices = np.empty((len(queries), 0), dtype=np.intp)
    for start, block in _blocks(rows):
        found = nearest(queries, block, min(k, len(block)))
        distances = np.hstack([distances, found.distances])  # (n_queries, 2 k) at most
        indices = np.hstack([indices, found.indices + start])
        best = distances.argsort(axis=1, kind="stable")[:, :k]  # earlier blocks first, as ties are ordered
        distances = np.take_along_axis(distances, best, axis=1)
        indices = np.take_along_axis(indices, best, axis=1)
    return Neighbors(distances, indices)


def widened(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Rows in float32 if they are in float16, which no search computes in."""
    return rows.astype(np.float32) if rows.dtype == np.float16 else rows


def _blocks(rows: NDArray[np.floating]) -> Iterator[tuple[int, NDArray[np.floating]]]:
    n_rows = max(1, BLOCK // (4 * rows.shape[1]))
    for start in range(0, len(rows), n_rows):
        yield start, widened(np.asarray(rows[start : start + n_rows]))
