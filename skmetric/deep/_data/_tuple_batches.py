"""Batches of whole tuples."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from skmetric.deep.samplers._weighted import draw_by_weight


class TupleBatches:
    """Lists of places, the members of a tuple one after the other; without weights every tuple once an epoch.

    Parameters
    ----------
    n_tuples, n_members, batch_size : int
        A batch holds `batch_size` tuples; the last one what is left.
    seed : int
        With the number of the epoch it gives the order.
    weights : ndarray of shape (n_tuples,), default=None
        How often each tuple comes, compared with the others. None: once each.
    """

    def __init__(
        self,
        n_tuples: int,
        n_members: int,
        batch_size: int,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self.n_tuples, self.n_members, self.batch_size, self.seed = n_tuples, n_members, batch_size, seed
        self.weights = np.ones(n_tuples) if weights is None else weights
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.n_tuples / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        order = draw_by_weight(self.weights, np.random.default_rng([self.seed, self.epoch]))
        for start in range(0, self.n_tuples, self.batch_size):
            first = self.n_members * order[start : start + self.batch_size, None]
            yield (first + np.arange(self.n_members)).ravel().tolist()
