"""How many of the nearest items an approximate search finds, on a sample of those that are stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric.retrieval import Neighbors, nearest

_N_SAMPLED = 64  # of each part; its standard error is then below .02
_K = 10
_BLOCK = 65_536  # rows that are searched at a time, so that no second copy of all is made
_SLACK = 1e-4  # of a distance, which float32 gives or takes


def sampled_recall(
    search: Callable[[NDArray[Any], int], Neighbors], vectors: NDArray[Any], edges: Sequence[int]
) -> float:
    """Recall@10 on the part of the rows where it is lowest.

    Parameters
    ----------
    search : callable
        ``search(queries, k)`` gives the neighbours to be judged.
    vectors : ndarray of shape (n_items, n_features)
        What is stored, in the order in which it came.
    edges : sequence of int
        Rows at which parts begin: those that an index loses lie together in that order.

    Returns
    -------
    recall : float
        In [0, 1]. An item counts as found where something as near was found in its place.
    """
    bounds = sorted({0, len(vectors), *edges})
    rng = np.random.default_rng(0)
    return min(
        _recall(search, vectors, start + rng.permutation(stop - start)[:_N_SAMPLED])
        for start, stop in zip(bounds[:-1], bounds[1:], strict=True)
    )


def _recall(
    search: Callable[[NDArray[Any], int], Neighbors], vectors: NDArray[Any], rows: NDArray[np.intp]
) -> float:
    queries, k = np.ascontiguousarray(vectors[np.sort(rows)]), min(_K, len(vectors))
    reached = _distances(queries, vectors, k)[:, -1:]  # (n_queries, 1) to the last of the k nearest
    found = search(queries, k).distances  # (n_queries, k)
    return float((found <= reached * (1 + _SLACK) + _SLACK * np.abs(queries).max()).mean())


def _distances(queries: NDArray[Any], vectors: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Distances to the k nearest rows."""
    best = np.empty((len(queries), 0))
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        found = nearest(queries, block, min(k, len(block))).distances
        best = np.sort(np.hstack([best, found]), axis=1)[:, :k]
    return best
