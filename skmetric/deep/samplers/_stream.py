"""Epochs cut from one endless, seeded stream of batches."""

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class StreamSampler(Sampler[list[int]]):
    """Batches of indices; a subclass writes ``_stream(rng)`` and sets ``steps_per_epoch`` and ``seed``.

    Epoch e is a stretch of the stream: what one epoch has not served comes first in the next. Each pass over
    the sampler is an epoch; :meth:`set_epoch` moves to any.
    """

    steps_per_epoch: int
    seed: int

    def __init__(self) -> None:
        self.set_epoch(0)
        self._position = 0
        self._batches: Iterator[np.ndarray] | None = None

    @abstractmethod
    def _stream(self, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Batches without end."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next pass serves.

        Parameters
        ----------
        epoch : int
            From 0. Without a call, passes serve epochs 0, 1, 2 and so on.
        """
        self._epoch = int(epoch)

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[list[int]]:
        batches = self._deal_epoch(self._epoch)
        self._epoch += 1
        yield from batches

    def _deal_epoch(self, epoch: int) -> list[list[int]]:
        start = epoch * self.steps_per_epoch
        if self._batches is None or start < self._position:
            self._position, self._batches = 0, self._stream(np.random.default_rng(self.seed))
        batches = self._batches
        for _ in range(start - self._position):  # on the way to a later epoch
            next(batches)
        self._position = start + self.steps_per_epoch
        return [next(batches).tolist() for _ in range(self.steps_per_epoch)]

    def __getstate__(self):
        return {**self.__dict__, "_batches": None}  # an iterator has no pickle: it is dealt anew
