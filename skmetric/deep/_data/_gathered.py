"""Samples of tuples: the rows once, and the number of the row at each place of a tuple."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._source import Resident, Streamed


class Gathered:
    """Rows picked by number, any of them several times; no row is copied before it is needed.

    Parameters
    ----------
    table : ndarray or Streamed of n_rows samples
        The rows.
    index : ndarray of shape (n,)
        Number of the row that each sample is.
    """

    def __init__(self, table: NDArray[Any] | Streamed, index: NDArray[np.intp]) -> None:
        self.table, self.index = table, index

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, places: Any) -> Gathered:
        return Gathered(self.table, self.index[places])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that all samples would make."""
        return (len(self), *self.table.shape[1:])

    @property
    def is_fixed(self) -> bool:
        """Whether each sample is the same in each reading."""
        return getattr(self.table, "is_fixed", True)

    def with_table(self, table: Any) -> Gathered:
        """The same picks from what was made of the rows."""
        return Gathered(table, self.index)

    def distinct(self) -> tuple[NDArray[Any] | Streamed, NDArray[np.intp]]:
        """Rows that are picked, each once, and the number of each sample among them, (n,)."""
        picked, inverse = np.unique(self.index, return_inverse=True)
        rows = self.table if len(picked) == len(self.table) else self.table[picked]
        return rows, inverse.reshape(-1)


class GatheredSource:
    """What the training loop takes of them: a source of the rows, asked by place.

    Parameters
    ----------
    source : Resident or Streamed
        Of the rows.
    index : ndarray of shape (n,)
        Number of the row at each place.
    """

    def __init__(self, source: Resident | Streamed, index: NDArray[np.intp]) -> None:
        self._source, self._index = source, index

    def __len__(self) -> int:
        return len(self._index)

    def to(self, device: torch.device) -> GatheredSource:
        """Go to the device, as the source of the rows does."""
        return GatheredSource(self._source.to(device), self._index)

    def rows(self, places: Any) -> Any:
        """Samples at these places, a Tensor (n_places, ...)."""
        return self._source.rows(self._index[np.asarray(places)])

    def served(self, batches: Iterable[Any], seed: int, first: int = 0) -> Iterator[tuple[torch.Tensor, Any]]:
        """Yield places and samples of each batch, from the one numbered `first`."""
        batches = [np.asarray(places) for places in batches]
        served = self._source.served([self._index[places] for places in batches], seed, first)
        for places, (_, samples) in zip(batches, served, strict=True):
            yield torch.as_tensor(places), samples

    def close(self) -> None:
        """Give back what reading takes."""
        self._source.close()
