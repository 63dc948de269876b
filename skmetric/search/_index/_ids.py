"""Ids of an index in the order of its rows: which are in use, and in which row each is."""

from typing import final

import numpy as np

from ._growing import GrowingArray


@final
class Ids:
    """Integers, each once, that grow at the end and shrink anywhere.

    Where they ascend, as those of a counter do, a row is found by binary search, and by a subtraction where
    none between is missing. Others are sorted when rows are first asked for, and anew after a change.
    """

    def __init__(self, ids):
        self._array = GrowingArray(ids)
        self._ascend, self._order = _ascend(ids), None

    @classmethod
    def of_file(cls, ids):
        """Wrap ids of a memory-mapped file, which are read when first needed."""
        wrapped = cls.__new__(cls)
        wrapped._array, wrapped._ascend, wrapped._order = GrowingArray.of_file(ids), None, None
        return wrapped

    def __len__(self):
        return len(self._array)

    @property
    def values(self):
        """The ids, as a view that the next change may overwrite."""
        return self._array.values

    def refuse_used(self, ids):
        """Raise a ValueError if one of `ids` is here."""
        values = self.values
        if len(values) and not (self._are_ascending() and ids.min() > values[-1]):
            used = self._found(ids)[1]
            if used.any():
                raise ValueError(f"id {ids[used][0]} is in the index already: remove it first")

    def append(self, ids):
        """Add ids that are not in use."""
        follow = not len(self) or ids[0] > self.values[-1]
        self._ascend = self._are_ascending() and follow and _ascend(ids)
        self._array.append(ids)
        self._order = None

    def keep(self, kept):
        """Drop the ids where the mask `kept` is False."""
        self._array.keep(kept)
        self._ascend, self._order = _ascend(self.values), None

    def rows(self, ids):
        """Row of each id; KeyError if one is not here."""
        ids = np.asarray(ids)
        if ids.dtype.kind not in "iu" and ids.size:
            raise ValueError(f"ids of an index must be integers; got {ids.dtype}")
        ids = ids.ravel().astype(np.int64, copy=False)
        if not len(self) and len(ids):
            raise KeyError(f"id {ids[0]} is not in the index")
        rows, known = self._found(ids)
        if not known.all():
            raise KeyError(f"id {ids[~known][0]} is not in the index")
        return rows

    def _found(self, ids):
        """Row of each id, any row if it is not here, and whether it is."""
        values, last = self.values, len(self) - 1
        if not self._are_ascending():
            order = self._sorted()
            rows = order[np.minimum(np.searchsorted(values, ids, sorter=order), last)]
        elif values[-1] - values[0] == last:  # none between is missing
            rows = np.clip(ids, values[0], values[-1]) - values[0]
        else:
            rows = np.minimum(np.searchsorted(values, ids), last)
        return rows, values[rows] == ids

    def _are_ascending(self):
        if self._ascend is None:
            self._ascend = _ascend(self.values)
        return self._ascend

    def _sorted(self):
        if self._order is None:
            self._order = np.argsort(self.values)
        return self._order


def _ascend(ids):
    return bool((ids[1:] > ids[:-1]).all())
