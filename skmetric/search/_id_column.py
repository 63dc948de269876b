"""Ids of the items of an index, in the order in which they came."""

from typing import final

import numpy as np

from ._growing import GrowingArray


@final
class IdColumn:
    """Ids that are found by value: fast where they ascend, as those that a counter gives."""

    def __init__(self, ids):
        self._ids = ids if isinstance(ids, GrowingArray) else GrowingArray(ids)

    def __len__(self):
        return len(self._ids)

    @property
    def values(self):
        """The ids."""
        return self._ids.values

    def append(self, ids):
        """Add ids that :meth:`check_new` has checked."""
        self._ids.append(ids)

    def keep(self, kept):
        """Drop the ids where the mask is False."""
        self._ids.keep(kept)

    def check_new(self, ids):
        """Raise a ValueError if an id is in use."""
        used = ids[:0] if self._follow(ids) else ids[np.isin(ids, self.values)]
        if len(used):
            raise ValueError(f"id {used[0]} is in the index already: remove it first")

    def rows(self, ids):
        """Row of each id; a KeyError if there is none."""
        ids, stored = np.asarray(ids).ravel(), self.values
        order = None if self._are_ascending() else np.argsort(stored, kind="stable")
        place = np.searchsorted(stored, ids, sorter=order)
        missing = place >= len(stored)
        rows = np.where(missing, 0, place) if len(stored) else place
        rows = rows if order is None else order[rows]
        missing[~missing] = stored[rows[~missing]] != ids[~missing]
        if missing.any():
            raise KeyError(f"id {ids[missing][0]} is not in the index")
        return rows

    def _follow(self, ids):
        """Whether `ids` come after all others, as they do where a counter gives them: then none is in use."""
        last = self.values[-1] if len(self) else -np.inf
        return bool(ids.min() > last and self._are_ascending())

    def _are_ascending(self):
        return bool((self.values[1:] > self.values[:-1]).all())
