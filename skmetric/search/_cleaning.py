"""Duplicates and label errors in a gallery."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, final

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.utils.validation import check_is_fitted

from skmetric.metrics._report import _html, _text
from skmetric.retrieval import nearest

from ._asked._lookup_table import LookupTable
from ._base import SearchBase
from ._calibration._gathering._two_searches import search_twice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._gallery._memory import MemoryGallery

_ROWS = 1024  # searched at a time
_SHOWN = 10  # pairs that are printed


@final
@dataclass(frozen=True, repr=False, eq=False)
class Duplicates:
    """What :meth:`SimilaritySearch.duplicates` returns.

    Pairs of items, nearest first, with the groups that they form. Prints its nearest pairs as a table.

    Parameters
    ----------
    pairs : ndarray of shape (n_pairs, 2)
        Ids of two items each, the one enrolled first before the other; nearest pairs first.
    distances : ndarray of shape (n_pairs,)
        Euclidean distances of the pairs.
    groups : list of list
        Ids of items that pairs link, directly or through others; in order of enrolment.

    See Also
    --------
    SimilaritySearch.duplicates : Makes it.

    Examples
    --------
    >>> from skmetric.search import SimilaritySearch
    >>> search = SimilaritySearch().fit([[0.0], [5.0], [0.1], [0.3]], ids=["a", "b", "c", "d"])
    >>> found = search.duplicates(0.25)
    >>> found.pairs.tolist(), found.groups
    ([['a', 'c'], ['c', 'd']], [['a', 'c', 'd']])
    >>> found
    first  second  distance
    a           c       0.1
    c           d       0.2
    <BLANKLINE>
    2 pairs in 1 group
    """

    pairs: NDArray[Any]
    distances: NDArray[np.float64]
    groups: list[list[Any]]

    def __repr__(self) -> str:
        return f"{_text(self._rows())}\n\n{self._caption()}"

    def _repr_html_(self) -> str:
        return f"{_html(self._rows())}<p>{self._caption()}</p>"

    def _rows(self) -> list[list[str]]:
        pairs = zip(self.pairs[:_SHOWN].tolist(), self.distances[:_SHOWN], strict=True)
        rows = ([str(first), str(second), f"{distance:.4g}"] for (first, second), distance in pairs)
        return [["first", "second", "distance"], *rows]

    def _caption(self) -> str:
        shown = f", the {_SHOWN} nearest of them above," if len(self.pairs) > _SHOWN else ""
        return f"{_many(len(self.pairs), 'pair')}{shown} in {_many(len(self.groups), 'group')}"


class Cleaning(SearchBase):
    """Duplicates and label errors in the gallery of :class:`SimilaritySearch`."""

    def duplicates(self, threshold: float) -> Duplicates:
        """Find the pairs of items no farther apart than a threshold, whatever their labels.

        Parameters
        ----------
        threshold : float
            Largest Euclidean distance, from 0: 0 finds equal embeddings.

        Returns
        -------
        Duplicates
            Pairs, distances and groups. The search is exact, with any index; memory grows with the pairs.

        Raises
        ------
        ValueError
            If `threshold` is not a number from 0.
        """
        check_is_fitted(self)
        if not isinstance(threshold, Real) or isinstance(threshold, bool) or not threshold >= 0:
            raise ValueError(f"threshold must be a number from 0; got {threshold!r}")
        with self._gallery.reading():
            return _duplicates(self._gallery.in_memory(), threshold)

    def outliers(self, n_neighbors: int | None = None) -> LookupTable:
        """Rank items by how far they lie among another class than their own: label errors come first.

        Parameters
        ----------
        n_neighbors : int, default=None
            Number of nearest items, of the own class and of the others, over which distances are averaged; of
            a smaller class all are used. None means the parameter.

        Returns
        -------
        LookupTable
            One row an item, the most suspicious first: id, label, score, own_distance, other_distance and
            other_label, the class of the nearest item of another class. ``score`` is (own - other) / max(own,
            other), from -1, deep in its own class, to 1; 0 for the only item of a class.

        Raises
        ------
        ValueError
            If the gallery has no labels or one class only, or `n_neighbors` is below 1.

        Notes
        -----
        The score is minus the silhouette [1]_, computed on the nearest items in place of whole classes, since
        a class may have several clusters.

        References
        ----------
        .. [1] P. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster
           analysis", Journal of Computational and Applied Mathematics 20, 1987.
        """
        check_is_fitted(self)
        with self._gallery.reading():
            return self._suspicions(n_neighbors)

    def _suspicions(self, n_neighbors: int | None) -> LookupTable:
        gallery = self._labelled_gallery("outliers")
        side, labels = gallery.side(), gallery.labels
        if len(labels.present) < 2:
            raise ValueError("outliers compares classes, and the gallery has one: enrol another")
        k = self._count(n_neighbors)
        largest = int(np.bincount(side.codes).max())
        found = search_twice(side, None, min(k, len(side.codes) - largest))
        own, other = np.full(len(side.codes), np.nan), found.distances_hidden.mean(axis=1)
        for code in labels.present:
            rows = np.flatnonzero(side.codes == code)
            if len(rows) > 1:
                inside = nearest(side.embeddings[rows], k=min(k, len(rows) - 1))
                own[rows] = inside.distances.mean(axis=1)
        larger = np.fmax(own, other)
        score = np.divide(own - other, larger, out=np.zeros_like(own), where=larger > 0)
        score[np.isnan(own)] = 0.0
        order = np.argsort(-score, kind="stable")
        columns = {
            "id": gallery.ids.values,
            "label": labels.decode(side.codes),
            "score": score,
            "own_distance": own,
            "other_distance": other,
            "other_label": labels.decode(found.codes_hidden[:, 0]),
        }
        return LookupTable({name: column[order] for name, column in columns.items()})


def _pairs_within(vectors: NDArray[Any], threshold: float) -> tuple[NDArray[Any], ...]:
    """Rows (first < second) and distances of all pairs within the threshold."""
    parts = [(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp), np.empty(0))]
    for start in range(0, len(vectors), _ROWS):
        rows, k = np.arange(start, min(start + _ROWS, len(vectors))), min(8, len(vectors))
        while len(rows):  # deeper for those whose last neighbour is still within
            found = nearest(vectors[rows], vectors, k)
            open_ = (found.distances[:, -1] <= threshold) & (k < len(vectors))
            near = (found.distances <= threshold) & (found.indices > rows[:, None]) & ~open_[:, None]
            query = np.nonzero(near)[0]
            parts.append((rows[query], found.indices[near], found.distances[near]))
            rows, k = rows[open_], min(4 * k, len(vectors))
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def _duplicates(gallery: MemoryGallery, threshold: float) -> Duplicates:
    vectors = gallery.index.vectors()
    first, second, distances = _pairs_within(vectors, threshold)
    order = np.lexsort((second, first, distances))
    first, second, distances = first[order], second[order], distances[order]
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(vectors),) * 2)
    member_of = connected_components(graph, directed=False)[1]
    linked = np.unique(np.concatenate([first, second]))
    by_group = linked[np.argsort(member_of[linked], kind="stable")]
    starts = np.flatnonzero(np.diff(member_of[by_group])) + 1
    ids = gallery.ids.values
    groups = [ids[group].tolist() for group in np.split(by_group, starts) if len(group)]
    return Duplicates(ids[np.stack([first, second], axis=1)], distances, groups)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
