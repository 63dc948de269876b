"""Neighbours of queries among the items that they may see: not those of their own class and group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skmetric._kernel._hidden import Hidden, HiddenTwice
from skmetric._kernel._nearest import nearest_items
from skmetric._kernel._squares import Search
from skmetric.search._calibration._gathering._copies import as_stored, leave_items_out
from skmetric.search._gallery._side import Side

from ._runners_up import to_another

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._gallery._memory import MemoryGallery


class VisibleItems:
    """Exact search for each query among the items of other classes, and those of its class of other groups.

    Parameters
    ----------
    gallery : MemoryGallery
        With labels.
    items, queries : Side
        Items of the gallery, and queries; both with groups. Codes below 0 are those of strangers.
    """

    def __init__(self, gallery: MemoryGallery, items: Side, queries: Side) -> None:
        queries = queries._replace(embeddings=as_stored(queries.embeddings, items.embeddings))
        self._searchable, self._items, self._queries = gallery.searchable(), items, queries
        self.n_hidden = self._hidden(np.arange(len(queries.codes))).counts  # (n_queries,)

    @classmethod
    def of(cls, gallery: MemoryGallery, items: Side, queries: Side, embeddings: NDArray[Any]) -> VisibleItems:
        """For queries and the strangers whose embeddings follow theirs; these see all items."""
        assert queries.groups is not None
        strangers = np.full(len(embeddings) - len(queries.codes), -1)
        codes, groups = (np.concatenate([part, strangers]) for part in (queries.codes, queries.groups))
        return cls(gallery, items, Side(embeddings, codes, groups))

    @property
    def sides(self) -> tuple[Side, Side]:
        """Items and queries."""
        return self._items, self._queries

    def _hidden(self, rows: NDArray[np.intp]) -> Hidden:
        items, queries = self._items, self._queries
        assert queries.groups is not None
        assert items.groups is not None
        return Hidden.of_class_and_group(queries.codes[rows], items.codes, queries.groups[rows], items.groups)

    def nearest(
        self, rows: NDArray[np.intp], k: int, without: NDArray[np.integer] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Distances and codes of the `k` nearest items of some queries, (n_rows, k); -1 at infinity fills up.

        `without` is a class for each of these queries that is hidden too.
        """
        own = self._hidden(rows)
        hidden = own if without is None else HiddenTwice(own, Hidden(without, self._items.codes))
        search = Search(self._queries.embeddings[rows], self._searchable, hidden)
        distances, items = nearest_items(search, min(k, len(self._items.codes)))
        return distances, np.where(items < 0, -1, self._items.codes[items])

    def runners_up(self, distances: NDArray[np.float64], codes: NDArray[Any]) -> NDArray[np.float64]:
        """Distance of each query to the runner-up, given its first neighbours; infinite without one."""
        found = to_another(distances, codes)
        rows = np.flatnonzero(np.isinf(found) & (codes[:, 0] >= 0))
        if len(rows):  # all neighbours are of one class; two are asked for, since one may be the query itself
            others = self.nearest(rows, 2, codes[rows, 0])
            found[rows] = leave_items_out(*others, self._queries.codes[rows], 1)[0][:, 0]
        return found
