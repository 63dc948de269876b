"""Neighbours of queries: by number, by radius, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils.validation import check_is_fitted

from skmetric.retrieval import Neighbors

from ._base import SearchBase
from ._gallery._gallery import no_neighbors
from ._gallery._selection import selection
from ._lookup_table import as_output, tabulate
from ._ranking._options import find_among_the_others, without_itself

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ._index._hits import Hits

    Where = Mapping[str, Any] | None

_OUTPUTS = (None, "default", "pandas", "polars")


class Lookups(SearchBase):
    """Lookups of :class:`SimilaritySearch`."""

    def kneighbors(
        self,
        X: ArrayLike | None = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
        *,
        where: Where = None,
        among: Any = None,
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
        where : dict of str to value, list, slice, None or Not, default=None
            Only items whose metadata hold this: ``{"shop": "A", "year": [2024, 2025]}``; ``slice(low, high)``
            includes both ends, None finds items without a value, :class:`Not` all other values. ``"label"``
            is the label. None searches all.
        among : array-like of ids, default=None
            Only the items with these ids; a KeyError if one is unknown. None searches all.

        Returns
        -------
        distances : ndarray of shape (n_queries, k)
            Euclidean distances of embeddings, or those of ``rerank``, ascending; only if `return_distance`. k
            is `n_neighbors`, or the number of items to search if the gallery has fewer.
        rows : ndarray of shape (n_queries, k)
            Rows of the gallery: ``ids_[rows]`` are the ids. Where a filter leaves fewer items, or an
            approximate index finds fewer, the rest of the row is -1, at distance infinity; `lookup` and
            `kneighbors_graph` leave it out.
        """
        check_is_fitted(self)
        k = self._count(n_neighbors)
        where = selection(where, among)
        if X is None and where is not None:
            raise ValueError("where= and among= filter what queries find: give X")
        if X is None:
            with self._gallery.reading():
                found = self._among_the_others(k)
        else:
            embeddings = self._embed(X)
            with self._gallery.reading():
                found = self._find(embeddings, k, where)
        return (found.distances, found.indices) if return_distance else found.indices

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
        where : dict of str to value, list, slice, None or Not, default=None
            Only items whose metadata hold this: ``{"shop": "A", "year": [2024, 2025]}``; ``slice(low, high)``
            includes both ends, None finds items without a value, :class:`Not` all other values. ``"label"``
            is the label. None searches all.
        among : array-like of ids, default=None
            Only the items with these ids; a KeyError if one is unknown. None searches all.

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
        if not isinstance(radius, Real) or not radius >= 0:
            raise ValueError(f"radius must be a number from 0; got {radius!r}")
        embeddings = self._embed(X)
        with self._gallery.reading():
            distances, rows = self._within(embeddings, radius, selection(where, among))
        return (distances, rows) if return_distance else rows

    def _within(
        self, embeddings: NDArray[Any], radius: float, where: Where
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

    def lookup(
        self, X: ArrayLike, n_neighbors: int | None = None, *, where: Where = None, among: Any = None
    ) -> Any:
        """Nearest items of the gallery with their ids, labels and metadata.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        n_neighbors : int, default=None
            Neighbours of each query; where there are fewer, the table has fewer rows. None means the
            parameter.
        where : dict of str to value, list, slice, None or Not, default=None
            Only items whose metadata hold this: ``{"shop": "A", "year": [2024, 2025]}``; ``slice(low, high)``
            includes both ends, None finds items without a value, :class:`Not` all other values. ``"label"``
            is the label. None searches all.
        among : array-like of ids, default=None
            Only the items with these ids; a KeyError if one is unknown. None searches all.

        Returns
        -------
        LookupTable or DataFrame
            One row for each query and rank: query, rank from 1, id, distance, label, metadata. A DataFrame
            after ``set_output(transform="pandas")`` or ``"polars"``.
        """
        check_is_fitted(self)
        embeddings = self._embed(X)
        with self._gallery.reading():
            hits = self._look_up(embeddings, self._count(n_neighbors), selection(where, among))
        return tabulate(hits, len(embeddings), getattr(self, "_output", None))

    def items(self, ids: Any = None, *, where: Where = None) -> Any:
        """Return the items of the gallery with their labels and metadata.

        Parameters
        ----------
        ids : array-like of ids, default=None
            Which, in this order; a KeyError if one is unknown. None gives all, in the order of the gallery.
        where : dict of str to value, list, slice, None or Not, default=None
            Only the items that pass, as in `lookup`.

        Returns
        -------
        LookupTable or DataFrame
            One row for each item: id, label, metadata. A DataFrame after ``set_output(transform="pandas")``
            or ``"polars"``.

        Examples
        --------
        >>> from skmetric.search import SimilaritySearch
        >>> search = SimilaritySearch().fit([[0.0], [1.0]], ["ant", "bee"], metadata={"legs": [6, 6]})
        >>> search.items([1])
        id  label  legs
        1     bee     6
        """
        check_is_fitted(self)
        found, columns = self._gallery.items(selection(where, ids))
        return as_output({"id": found, **columns}, getattr(self, "_output", None))

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what `lookup` and `items` return.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            "default" is a :class:`LookupTable`; None leaves the choice as it is, at first that of
            :func:`sklearn.set_config`.

        Returns
        -------
        SimilaritySearch
            The same.

        Raises
        ------
        ValueError
            If `transform` is none of these.
        """
        if transform not in _OUTPUTS:
            raise ValueError(f"transform must be one of {_OUTPUTS[1:]}; got {transform!r}")
        if transform is not None:
            self._output = transform
        return self

    def _look_up(self, embeddings: NDArray[Any], k: int, where: Where) -> Hits:
        """Hits by the ranking options, with ids and columns."""
        if self._ranking_options() is None:
            return self._gallery.look_up(embeddings, k, where)
        return self._gallery.in_memory().described(self._find(embeddings, k, where))

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
