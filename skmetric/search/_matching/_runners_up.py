"""The distance to the runner-up of each query: the nearest class but the one that it is matched to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from skmetric.search._calibration._gathering._copies import leave_items_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._gallery._gallery import Gallery, Labelled, Where
    from skmetric.search._gallery._labels import LabelColumn

DEPTH = 8  # neighbours of the first search, which mostly hold a second class
_DEEPER = 64  # of the second


class ClassSearch:
    """Neighbours of queries with their classes, deep enough to have the runner-up.

    A class may have more items than any search is deep: where the neighbours are all of one class, the
    nearest item of the others is asked for, one request for all the queries that are matched to that class.

    Parameters
    ----------
    gallery : Gallery
        With labels.
    embeddings : ndarray of shape (n_queries, n_features)
        Queries.
    where : filter, default=None
        As the gallery takes it.
    labels : LabelColumn, default=None
        As for :meth:`Gallery.labelled`.
    true : ndarray of shape (n_queries,), default=None
        Classes of queries that may be items, as codes of `labels`: then the item that a query is is left out.
    """

    def __init__(
        self,
        gallery: Gallery,
        embeddings: NDArray[Any],
        where: Where = None,
        labels: LabelColumn | None = None,
        true: NDArray[Any] | None = None,
    ) -> None:
        self.gallery, self.embeddings, self.where = gallery, embeddings, where
        self.labels, self.true = labels, true

    def runners_up(self, found: Labelled) -> NDArray[np.float64]:
        """Distance to the runner-up, (n_queries,), of queries whose first neighbours are known.

        Infinite where no other class is there.
        """
        matched = found.codes[:, 0]
        distances = to_another(found.distances, found.codes)
        names = found.labels.decode(np.maximum(matched, 0))
        open_ = np.flatnonzero(np.isinf(distances) & (matched >= 0))
        if len(open_) and found.codes.shape[1] >= DEPTH:
            distances[open_] = self._search(open_, names, self._deeper)
            open_ = open_[np.isinf(distances[open_])]
        for code in np.unique(matched[open_]):
            rows = open_[matched[open_] == code]
            distances[rows] = self._search(rows, names, self._of_others(names[rows[0]]))
        return distances

    def _search(
        self, rows: NDArray[np.intp], names: NDArray[Any], search: Callable[[NDArray[np.intp]], Labelled]
    ) -> NDArray[np.float64]:
        """Distances of some queries to another class than that of their name, in what a search finds."""
        found = search(rows)
        distances, codes = found.distances, found.codes
        if self.true is not None and distances.shape[1]:
            distances, codes, *_ = leave_items_out(distances, codes, self.true[rows], distances.shape[1])
        return to_another(distances, codes, found.labels.encode(names[rows]))

    def _deeper(self, rows: NDArray[np.intp]) -> Labelled:
        return self.gallery.labelled(self.embeddings[rows], _DEEPER, self.where, self.labels)

    def _of_others(self, name: Any) -> Callable[[NDArray[np.intp]], Labelled]:
        """A search among the items of the other classes; two, since one may be the query itself."""
        return lambda rows: self.gallery.of_other_classes(
            self.embeddings[rows], name, 2, self.where, self.labels
        )


def to_another(
    distances: NDArray[np.float64], codes: NDArray[Any], matched: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Distance to the first neighbour of another class than the one matched, infinite without one.

    `distances` and `codes` are (n_queries, k); None matches to the class of the first neighbour.
    """
    own = codes[:, :1] if matched is None else matched[:, None]
    return np.where((codes != own) & (codes >= 0), distances, np.inf).min(axis=1, initial=np.inf)
