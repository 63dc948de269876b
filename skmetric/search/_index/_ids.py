"""Ids of an index in the order of its rows: which are in use, and in which row each is."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._growing import GrowingArray


@final
class Ids:
    """Integers, each once: :meth:`appended` and :meth:`kept` make the changed ids beside these.

    Where they ascend, as those of a counter do, a row is found by binary search, and by a subtraction where
    none between is missing. Others are sorted when rows are first asked for, and anew after a change.
    """

    def __init__(self, ids: NDArray[np.int64]) -> None:
        self._array: GrowingArray = GrowingArray(ids)
        self._ascend: bool | None = _ascend(ids)
        self._order: NDArray[np.intp] | None = None

    @classmethod
    def of_file(cls, ids: NDArray[np.int64], check: Callable[[], None] | None = None) -> Ids:
        """Wrap ids of a memory-mapped file, which are read when first needed."""
        return cls._of(GrowingArray.of_file(ids, check), None)

    @classmethod
    def _of(cls, array: GrowingArray, ascend: bool | None) -> Ids:
        ids = cls.__new__(cls)
        ids._array, ids._ascend, ids._order = array, ascend, None
        return ids

    def __len__(self) -> int:
        return len(self._array)

    @property
    def values(self) -> NDArray[np.int64]:
        """The ids, as a view."""
        return self._array.values

    def refuse_used(self, ids: NDArray[np.int64]) -> None:
        """Raise a ValueError if one of `ids` is here."""
        values = self.values
        if len(values) and not (self._are_ascending() and ids.min() > values[-1]):
            used = self.found(ids)[1]
            if used.any():
                raise ValueError(f"id {ids[used][0]} is in the index already: remove it first")

    def appended(self, ids: NDArray[np.int64]) -> Ids:
        """These ids, and more that are not in use."""
        follow = not len(self) or not len(ids) or bool(ids[0] > self.values[-1])
        ascend = self._are_ascending() and follow and _ascend(ids)
        return self._of(self._array.appended(ids), ascend)

    def kept(self, mask: NDArray[np.bool_]) -> Ids:
        """The ids where the mask is True."""
        return self._of(self._array.kept(mask), self._ascend or None)

    def rows(self, ids: ArrayLike) -> NDArray[np.intp]:
        """Row of each id; KeyError if one is not here."""
        ids = np.asarray(ids)
        if ids.dtype.kind not in "iu" and ids.size:
            raise ValueError(f"ids of an index must be integers; got {ids.dtype}")
        ids = ids.ravel().astype(np.int64, copy=False)
        if not len(self) and len(ids):
            raise KeyError(f"id {ids[0]} is not in the index")
        rows, known = self.found(ids)
        if not known.all():
            raise KeyError(f"id {ids[~known][0]} is not in the index")
        return rows

    def found(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Row of each id, any row if it is not here, and whether it is; of ids that hold some."""
        values, last = self.values, len(self) - 1
        if not self._are_ascending():
            order = self._sorted()
            rows = order[np.minimum(np.searchsorted(values, ids, sorter=order), last)]
        elif values[-1] - values[0] == last:  # none between is missing
            rows = np.clip(ids, values[0], values[-1]) - values[0]
        else:
            rows = np.minimum(np.searchsorted(values, ids), last)
        return rows, values[rows] == ids

    def _are_ascending(self) -> bool:
        if self._ascend is None:
            self._ascend = _ascend(self.values)
        return self._ascend

    def _sorted(self) -> NDArray[np.intp]:
        if self._order is None:
            self._order = np.argsort(self.values)
        return self._order


def _ascend(ids: NDArray[np.int64]) -> bool:
    return bool((ids[1:] > ids[:-1]).all())
