"""Neighbours of queries as arrays and as a graph, as scikit-learn has them."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils.validation import check_is_fitted

from skmetric.retrieval import Neighbors
from skmetric.search._asked._combined import Queries, check_combine
from skmetric.search._asked._excluded import Excluded
from skmetric.search._asked._filters import by_filter, is_list
from skmetric.search._asked._wanted import Wanted, search_deeper
from skmetric.search._gallery._gallery import no_neighbors, widened
from skmetric.search._gallery._memory import MemoryGallery
from skmetric.search._gallery._selection import selection
from skmetric.search._index._hits import Hits
from skmetric.search._ranking._options import find_among_the_others, without_itself

from ._finding import Finding

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skmetric.search._asked._filters import Where


class Neighborhoods(Finding):
    """Lookups of :class:`SimilaritySearch` with the signatures of scikit-learn."""

    def kneighbors(
        self,
        X: ArrayLike | None = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
        *,
        where: Where = None,
        among: Any = None,
        exclude: Any = None,
        offset: int = 0,
        max_distance: float | str | None = None,
        unique_by: str | None = None,
        queries: ArrayLike | None = None,
        combine: str = "mean",
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]] | NDArray[np.intp]:
        """Nearest items of the gallery, as scikit-learn has it.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...), default=None
            What the embedder takes. None looks up each item among the others, itself left out by identity.
        n_neighbors : int, default=None
            Neighbours of each query; None means the parameter.
        return_distance : bool, default=True
            Whether to return distances too.
        where : dict of str to value, list, slice, None or Not, or list of dict, default=None
            Only items whose metadata hold this: ``{"shop": "A", "year": [2024, 2025]}``; ``slice(low, high)``
            includes both ends, None finds items without a value, :class:`Not` all other values. ``"label"``
            is the label. A list has a filter, or None, for each query. None searches all.
        among : array-like of ids, default=None
            Only the items with these ids; a KeyError if one is unknown. None searches all.
        exclude : array-like of ids, or list of them, default=None
            Items that must not be found: ids for all queries, or a list of ids, or None, for each query. A
            KeyError if one is unknown.
        offset : int, default=0
            As for `lookup`, as the four parameters that follow.
        max_distance : float or str, default=None
            Largest distance.
        unique_by : str, default=None
            Column of which each value comes once, by its nearest item.
        queries : array-like of shape (n_samples,), default=None
            The query that each row of `X` is of. The result has a row for each query, in the order in which
            they first come.
        combine : {"mean", "best"}, default="mean"
            How the rows of a query make one.

        Returns
        -------
        distances : ndarray of shape (n_queries, k)
            Euclidean distances of embeddings, or those of ``rerank``, ascending; only if `return_distance`. k
            is `n_neighbors`, or the number of items to search after the `offset` if the gallery has fewer.
        rows : ndarray of shape (n_queries, k)
            Rows of the gallery: ``ids_[rows]`` are the ids. Where a filter, `max_distance` or `unique_by`
            leaves fewer items, or an approximate index finds fewer, the rest of the row is -1, at distance
            infinity; `lookup` and `kneighbors_graph` leave it out.
        """
        check_is_fitted(self)
        wanted = self._wanted(n_neighbors, offset, max_distance, unique_by)
        check_combine(combine)
        if X is None and not (where is among is exclude is queries is None):
            raise ValueError("where=, among=, exclude= and queries= are of what queries find: give X")
        if X is None:
            with self._gallery.reading():
                found = self._others(wanted)
        else:

            def search(X: Any, where: Where) -> Neighbors:
                """Neighbours of a batch."""
                embeddings = self._embed(X)
                with self._gallery.reading():
                    return self._nearest(embeddings, wanted, where, among, exclude, queries, combine)

            is_one = not (queries is exclude is None)
            parts = self._by_batches("kneighbors", X, where, search, is_one)
            width = max(part.indices.shape[1] for _, part in parts)
            wide = [widened(part, width) for _, part in parts]
            found = wide[0]
            if len(wide) > 1:
                found = Neighbors(*(np.concatenate(both) for both in zip(*wide, strict=True)))
        return (found.distances, found.indices) if return_distance else found.indices

    def _nearest(
        self,
        embeddings: NDArray[Any],
        wanted: Wanted,
        where: Where,
        among: Any,
        exclude: Any,
        queries: Any,
        combine: str,
    ) -> Neighbors:
        """Neighbours of embeddings, with rows of the gallery."""
        if wanted.is_plain and queries is exclude is None and not is_list(where):
            return self._find(embeddings, wanted.k, selection(where, among))
        named = Queries.of(queries, len(embeddings))
        n_queries = len(named.names)
        out = None if exclude is None else Excluded.of(self._gallery, exclude, n_queries, by_row=True)
        keep, spare = (None, 0) if out is None else (out.keep, out.most)
        hits = self._found(
            embeddings, wanted, where, among, named, combine, by_row=True, keep=keep, spare=spare
        )
        return self._as_wide(hits.neighbors(n_queries), wanted, 0)

    def _as_wide(self, found: Neighbors, wanted: Wanted, n_hidden: int) -> Neighbors:
        """Neighbours, as wide as is wanted, or as the gallery without the items that are hidden allows."""
        if found.indices.shape[1] == wanted.k:
            return found
        return widened(found, min(wanted.k, max(len(self._gallery) - n_hidden - wanted.offset, 0)))

    def _others(self, wanted: Wanted) -> Neighbors:
        """Neighbours of each item, itself left out."""
        if wanted.is_plain:
            return self._among_the_others(wanted.k)
        if wanted.unique_by not in (None, "label") and not isinstance(self._gallery, MemoryGallery):
            raise ValueError(
                f"unique_by={wanted.unique_by!r} without X needs metadata in memory, and the gallery is on a "
                "server: give X"
            )
        gallery = self._gallery.in_memory()

        def find(at: NDArray[np.intp], depth: int) -> Hits:
            found = self._among_the_others(depth)
            return gallery.as_hits(Neighbors(found.distances[at], found.indices[at]), wanted.names)

        n_items = len(gallery)
        hits = wanted.page(search_deeper(find, n_items, wanted), n_items)
        return self._as_wide(hits.neighbors(n_items), wanted, 1)

    def kneighbors_graph(
        self, X: ArrayLike | None = None, n_neighbors: int | None = None, mode: str = "connectivity"
    ) -> csr_matrix:
        """Graph of nearest items, as scikit-learn has it.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...), default=None
            What the embedder takes. None is the graph of the gallery, no item linked to itself.
        n_neighbors : int, default=None
            Neighbours of each query, at most the number of items to search; None means the parameter.
        mode : {"connectivity", "distance"}, default="connectivity"
            Entries: 1, or the distances of `kneighbors`.

        Returns
        -------
        csr_matrix of shape (n_queries, n_items)
            Columns are rows of the gallery, each row in order of distance. With ``mode="distance"``,
            estimators with ``metric="precomputed"`` take it.

        Raises
        ------
        ValueError
            If `mode` is neither of these, or `n_neighbors` is out of range.
        """
        if mode not in ("connectivity", "distance"):
            raise ValueError(f"mode must be 'connectivity' or 'distance'; got {mode!r}")
        check_is_fitted(self)
        with self._gallery.reading():
            n_items = len(self._gallery)
            k, n_searched = self._count(n_neighbors), n_items - (X is None)
            if k > n_searched:
                raise ValueError(f"n_neighbors={k} is more than the {n_searched} items to search")
            distances, rows = self.kneighbors(X, k)
        values, found = distances if mode == "distance" else np.ones_like(distances), rows >= 0
        starts = np.concatenate([[0], np.cumsum(found.sum(axis=1))])
        return csr_matrix((values[found], rows[found], starts), shape=(len(rows), n_items))

    def radius_neighbors(
        self,
        X: ArrayLike,
        radius: float,
        return_distance: bool = True,
        *,
        where: Where = None,
        among: Any = None,
        exclude: Any = None,
    ) -> tuple[NDArray[np.object_], NDArray[np.object_]] | NDArray[np.object_]:
        """All items within a distance of each query, nearest first.

        In memory the search is exact, with any index, at the cost of a comparison with every item. On a
        server an approximate index may miss some.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        radius : float
            Largest distance, from 0.
        return_distance : bool, default=True
            Whether to return distances too.
        where : dict of str to value, list, slice, None or Not, or list of dict, default=None
            Only items whose metadata hold this: ``{"shop": "A", "year": [2024, 2025]}``; ``slice(low, high)``
            includes both ends, None finds items without a value, :class:`Not` all other values. ``"label"``
            is the label. A list has a filter, or None, for each query. None searches all.
        among : array-like of ids, default=None
            Only the items with these ids; a KeyError if one is unknown. None searches all.
        exclude : array-like of ids, or list of them, default=None
            Items that must not be found, as for `kneighbors`.

        Returns
        -------
        distances : ndarray of shape (n_queries,) of ndarray
            Euclidean distances, ascending; only if `return_distance`.
        rows : ndarray of shape (n_queries,) of ndarray
            Rows of the gallery; empty where no item is that near.

        Raises
        ------
        ValueError
            If `radius` is not a number from 0.
        """
        check_is_fitted(self)
        if not isinstance(radius, Real) or isinstance(radius, bool) or not radius >= 0:
            raise ValueError(f"radius must be a number from 0; got {radius!r}")
        embeddings = self._embed(X)
        with self._gallery.reading():
            distances, rows = (np.empty(len(embeddings), dtype=object) for _ in range(2))
            for at, filter_ in by_filter(self._gallery, where, among, len(embeddings)):
                distances[at], rows[at] = self._within(embeddings[at], radius, filter_)
            if exclude is not None:
                _leave_out(Excluded.of(self._gallery, exclude, len(rows), by_row=True), distances, rows)
        return (distances, rows) if return_distance else rows

    def _within(
        self, embeddings: NDArray[Any], radius: float, where: Any
    ) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """Distances and rows of all items within a radius, as arrays of arrays."""
        distances, rows = (np.empty(len(embeddings), dtype=object) for _ in range(2))
        open_, k = np.arange(len(embeddings)), 32
        while len(open_):
            found = self._gallery.exactly(embeddings[open_], k, where)
            n_found = found.distances.shape[1]
            done = np.full(len(open_), n_found < k) if n_found < k else found.distances[:, -1] > radius
            for query, near, at in zip(open_[done], found.distances[done], found.indices[done], strict=True):
                end = np.searchsorted(near, radius, side="right")
                distances[query], rows[query] = near[:end].copy(), at[:end].copy()
            open_, k = open_[~done], 4 * k
        return distances, rows

    def _among_the_others(self, k: int) -> Neighbors:
        """Neighbours of each item, itself left out."""
        options = self._ranking_options()
        gallery = self._gallery.in_memory()
        n_items = len(gallery)
        k = min(k, n_items - 1)
        if k < 1:
            return no_neighbors(n_items)
        vectors = gallery.index.vectors()
        if options is not None:
            return find_among_the_others(self._prepared(options), vectors, k, options)
        return without_itself(gallery.neighbors(vectors, k + 1))


def _leave_out(out: Excluded, distances: NDArray[np.object_], rows: NDArray[np.object_]) -> None:
    """Take the rows that queries leave out from arrays of distances and of rows, in place."""
    for query, found in enumerate(rows):
        kept = out.keep(Hits(np.full(len(found), query), found, distances[query], {}))
        distances[query], rows[query] = distances[query][kept], found[kept]
