"""What an approximate search misses: measured on a sample of the stored items, and seen by landmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric.retrieval import Neighbors, nearest

from ._kept import Kept

_N_SAMPLED = 64  # of each part; its standard error is then below .02
_K = 10
_BLOCK = 65_536  # rows that are searched at a time, so that no second copy of all is made
_N_LANDMARKS = 32  # of each octave of age
_MUCH = 1e-3  # of a squared distance: less may be rounding
_SLACK = 1e-4  # of a distance, which float32 gives or takes


class Landmarks(NamedTuple):
    """Some of the stored items, from every time at which items came.

    A graph that grows in one region keeps its edges inside another and may lose the way there. A landmark
    that is nearer to a query than what was found tells that this has happened, and where to begin.
    """

    serials: NDArray[np.int64]  # (n_landmarks,)
    vectors: NDArray[np.float32]  # (n_landmarks, n_features)

    @classmethod
    def rows(cls, n_items: int) -> NDArray[np.intp]:
        """Rows to take: 32 of the first 32, of the 32 after these, of the 64 after these, and so on."""
        edges = [0, *(_N_LANDMARKS * 2**i for i in range(64) if _N_LANDMARKS * 2**i < n_items), n_items]
        parts = [np.linspace(a, b, min(_N_LANDMARKS, b - a), endpoint=False) for a, b in pairwise(edges)]
        return np.concatenate(parts).astype(np.intp)

    def squares(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Squared distances, (n_queries, n_landmarks)."""
        middle = self.vectors.mean(axis=0)
        left, right = queries - middle, self.vectors - middle
        norms = np.einsum("ij,ij->i", left, left)[:, None] + np.einsum("ij,ij->i", right, right)
        return np.maximum(norms - 2 * left @ right.T, 0)

    def missed(
        self, squares: NDArray[np.float32], found: NDArray[np.int64], found_squares: NDArray[np.float32]
    ) -> NDArray[np.intp]:
        """Queries whose nearest landmark belongs to what was to be found, and was not."""
        nearest_one = squares.argmin(axis=1)
        is_nearer = squares.min(axis=1) * (1 + _MUCH) < found_squares[:, -1]
        return np.flatnonzero(is_nearer & ~(found == self.serials[nearest_one][:, None]).any(axis=1))


def merged(
    squares: NDArray[np.float32], ids: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Squares and ids of two searches side by side, each id once, nearest first; -1 for the rest."""
    order = np.argsort(ids, axis=1, kind="stable")
    squares, ids = np.take_along_axis(squares, order, axis=1), np.take_along_axis(ids, order, axis=1)
    again = np.zeros(ids.shape, dtype=bool)
    again[:, 1:] = ids[:, 1:] == ids[:, :-1]
    squares[again | (ids < 0)], ids[again] = np.inf, -1
    order = np.argsort(squares, axis=1, kind="stable")
    return np.take_along_axis(squares, order, axis=1), np.take_along_axis(ids, order, axis=1)


def sampled_recall(
    search: Callable[[NDArray[Any], int], Neighbors], vectors: NDArray[Any] | Kept, edges: Sequence[int]
) -> float:
    """Recall@10 on the part of the rows where it is lowest.

    Parameters
    ----------
    search : callable
        ``search(queries, k)`` gives the neighbours to be judged.
    vectors : ndarray or Kept, of shape (n_items, n_features)
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
        for start, stop in pairwise(bounds)
    )


def _recall(
    search: Callable[[NDArray[Any], int], Neighbors], vectors: NDArray[Any] | Kept, rows: NDArray[np.intp]
) -> float:
    queries, k = np.ascontiguousarray(vectors[np.sort(rows)]), min(_K, len(vectors))
    reached = _distances(queries, vectors, k)[:, -1:]  # (n_queries, 1) to the last of the k nearest
    found = search(queries, k).distances  # (n_queries, k)
    return float((found <= reached * (1 + _SLACK) + _SLACK * np.abs(queries).max()).mean())


def _distances(queries: NDArray[Any], vectors: NDArray[Any] | Kept, k: int) -> NDArray[np.float64]:
    """Distances to the k nearest rows."""
    best = np.empty((len(queries), 0))
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        found = nearest(queries, block, min(k, len(block))).distances
        best = np.sort(np.hstack([best, found]), axis=1)[:, :k]
    return best
