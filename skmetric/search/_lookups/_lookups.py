"""Neighbours of queries as a table, and distances to items by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils.validation import check_is_fitted

from skmetric.search._asked._combined import Queries, check_combine
from skmetric.search._asked._excluded import Excluded
from skmetric.search._asked._filters import is_list
from skmetric.search._asked._lookup_table import as_output, tabulate
from skmetric.search._asked._wanted import joined
from skmetric.search._gallery._selection import selection

from ._finding import Finding

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skmetric.search._asked._filters import Where
    from skmetric.search._index._hits import Hits

_OUTPUTS = (None, "default", "pandas", "polars")


class Lookups(Finding):
    """Lookups of :class:`SimilaritySearch` that tell all of an item."""

    def lookup(
        self,
        X: ArrayLike,
        n_neighbors: int | None = None,
        *,
        where: Where = None,
        among: Any = None,
        exclude: Any = None,
        offset: int = 0,
        max_distance: float | str | None = None,
        unique_by: str | None = None,
        queries: ArrayLike | None = None,
        combine: str = "mean",
    ) -> Any:
        """Nearest items of the gallery with their ids, labels and metadata.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        n_neighbors : int, default=None
            Neighbours of each query; where there are fewer, the table has fewer rows. None means the
            parameter.
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
            Number of items to pass over: with ``n_neighbors=10``, ``offset=10`` gives the second page.
        max_distance : float or str, default=None
            Only items at most this far: a number, in the distances of the result, or the name of a cutpoint
            of the calibration, such as ``"optimal"``. None has no limit.
        unique_by : str, default=None
            Only the nearest item of each value of this column of metadata, or of ``"label"``, and
            `n_neighbors` different values. Items without a value are all different.
        queries : array-like of shape (n_samples,), default=None
            The query that each row of `X` is of, by an integer or text, where a query has several rows: a
            person by three photos. The column "query" then holds these names. None makes each row a query.
        combine : {"mean", "best"}, default="mean"
            How the rows of a query make one: "mean" searches for the mean of their embeddings, put back on
            the unit sphere if they are on it; "best" counts the distance of an item to the nearest of them.

        Returns
        -------
        LookupTable or DataFrame
            One row for each query and rank: query, rank from 1, id, distance, label, metadata. A DataFrame
            after ``set_output(transform="pandas")`` or ``"polars"``.

        Raises
        ------
        ValueError
            If a filter is wrong, a list of filters or of ids is not one for each query, `unique_by` is no
            column, `max_distance` no cutpoint, or another parameter is out of range.
        KeyError
            If an id of `among` or `exclude` is unknown.

        Notes
        -----
        Queries with equal filters are searched together; on a server each different filter is a request. With
        `unique_by` queries are searched again, four times as deep each time, until there are `n_neighbors`
        different values: where thousands of items share a value this takes several searches.

        Examples
        --------
        >>> from skmetric.search import SimilaritySearch
        >>> metadata = {"product": ["cup", "cup", "jug"], "shop": ["A", "B", "B"]}
        >>> search = SimilaritySearch(n_neighbors=2).fit([[0.0], [1.0], [3.0]], metadata=metadata)
        >>> search.lookup([[0.2]], unique_by="product")
        query  rank  id  distance  product  shop
        0         1   0       0.2      cup     A
        0         2   2       2.8      jug     B
        >>> search.lookup([[0.2], [0.2]], n_neighbors=1, where=[{"shop": "A"}, {"shop": "B"}])["id"].tolist()
        [0, 1]
        >>> search.lookup([[2.0], [4.0]], n_neighbors=1, queries=["ann", "ann"])  # the mean is 3
        query  rank  id  distance  product  shop
        ann       1   2         0      jug     B
        """
        check_is_fitted(self)
        wanted = self._wanted(n_neighbors, offset, max_distance, unique_by)
        check_combine(combine)

        def look_up(X: Any, where: Where) -> tuple[NDArray[Any], Hits]:
            """Names of the queries of a batch, and their hits."""
            embeddings = self._embed(X)
            named = Queries.of(queries, len(embeddings))
            with self._gallery.reading():
                if wanted.is_plain and queries is None and exclude is None and not is_list(where):
                    return named.names, self._look_up(embeddings, wanted.k, selection(where, among))
                out = None if exclude is None else Excluded.of(self._gallery, exclude, len(named.names))
                keep, spare = (None, 0) if out is None else (out.keep, out.most)
                hits = self._found(
                    embeddings, wanted, where, among, named, combine, by_row=False, keep=keep, spare=spare
                )
                return named.names, self._gallery.named(hits)

        is_one = not (queries is exclude is None)
        found = self._by_batches("lookup", X, where, look_up, is_one)
        names = found[0][1][0] if len(found) == 1 else np.arange(sum(len(part[0]) for _, part in found))
        hits = joined([part[1]._replace(queries=part[1].queries + start) for start, part in found])
        return tabulate(hits, names, getattr(self, "_output", None), wanted.offset)

    def distances_to(self, X: ArrayLike, ids: Any) -> NDArray[np.float64]:
        """Measure the distances of queries to items that are named.

        Parameters
        ----------
        X : array-like of shape (n_queries, ...)
            What the embedder takes.
        ids : array-like of ids
            Items of the gallery, each once.

        Returns
        -------
        ndarray of shape (n_queries, n_ids), float64
            Euclidean distances of embeddings, columns in the order of `ids`. Ranking options change nothing.

        Raises
        ------
        KeyError
            If an id is unknown.
        ValueError
            If `ids` is empty, or an id comes twice.

        Examples
        --------
        >>> from skmetric.search import SimilaritySearch
        >>> search = SimilaritySearch().fit([[0.0], [1.0], [5.0]], ids=["ant", "bee", "cat"])
        >>> search.distances_to([[2.0]], ["cat", "ant"])
        array([[3., 2.]])
        """
        check_is_fitted(self)
        embeddings = self._embed(X)
        with self._gallery.reading():
            keys = self._gallery.keys_of(ids, "ids")
            if not len(keys):
                raise ValueError("ids is empty: name the items to measure distances to")
            items = self._gallery.vectors_at(keys)
        return cdist(embeddings.astype(np.float64), items.astype(np.float64))

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
        found, columns = self._gallery.items(selection(where, ids, "ids"))
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

    def _look_up(self, embeddings: NDArray[Any], k: int, where: Any) -> Hits:
        """Hits by the ranking options, with ids and columns."""
        if self._ranking_options() is None:
            return self._gallery.look_up(embeddings, k, where)
        return self._gallery.in_memory().described(self._find(embeddings, k, where))
