"""The default index: exact, in memory, and nothing to train."""

from typing import final

import numpy as np

from skmetric._checks import check_matrix
from skmetric.retrieval import Neighbors, nearest

from ._checks import check_dimension, check_ids, check_k, refuse_columns
from ._ids import Ids
from ._index import Index
from ._vectors import Stored


@final
class ExactIndex(Index):
    """Exact Euclidean search through all embeddings, by :func:`skmetric.retrieval.nearest`.

    Embeddings are kept as they first come, float32 or float64. Those in float32 are kept once, in the form in
    which they are searched; a second copy is made where float32 cannot search them as they are: in float64,
    or where they lie in a heap far from the origin, or are very large or very small. Adding costs amortised
    time of the items added, removing O(n_items). Ties in distance are in the order in which items were added.

    See Also
    --------
    FaissIndex : Approximate, for millions of items on one machine.
    SimilaritySearch : Keeps names, labels and metadata beside an index.

    Examples
    --------
    >>> from skmetric.search import ExactIndex
    >>> index = ExactIndex().add([7, 8, 9], [[0.0], [1.0], [5.0]])
    >>> index.query([[4.0]], k=2)
    Neighbors(distances=array([[1., 3.]]), indices=array([[9, 8]]))
    >>> index.query([[4.0]], k=1, among=[7, 8]).indices
    array([[8]])
    >>> index.remove([9]).query([[4.0]], k=1).indices
    array([[8]])
    >>> len(index)
    2
    """

    def add(self, ids, embeddings, columns=None):
        """Add embeddings under ids that are not in use.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their embeddings; searchable when the call returns.
        columns : None
            Not held here.

        Returns
        -------
        ExactIndex
            The index.

        Raises
        ------
        ValueError
            If an id is in use or comes twice, or embeddings are not finite or of another dimension.
        """
        refuse_columns(self, columns=columns)
        embeddings = check_matrix(embeddings, "embeddings")
        ids = check_ids(ids, len(embeddings))
        if not hasattr(self, "_stored"):
            self._stored, self._ids = Stored(embeddings), Ids(ids)
            return self
        self._ids.refuse_used(ids)
        check_dimension(embeddings, self._stored.vectors.shape[1])
        self._stored.append(embeddings)
        self._ids.append(ids)
        return self

    def remove(self, ids):
        """Take items out.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids to remove.

        Returns
        -------
        ExactIndex
            The index.

        Raises
        ------
        KeyError
            If an id is not in the index; then nothing is removed.
        """
        kept = np.ones(len(self), dtype=bool)
        kept[self._rows(ids)] = False
        if not kept.all():
            self._stored.keep(kept)
            self._ids.keep(kept)
        return self

    def query(self, embeddings, k, *, among=None, where=None):
        """Find the nearest items of each embedding.

        Parameters
        ----------
        embeddings : array-like of shape (n_queries, n_features)
            Queries.
        k : int
            Neighbours of each, from 1 to the number of items that are searched.
        among : array-like of int, default=None
            Ids that the search is limited to; None searches all.
        where : None
            Not held here.

        Returns
        -------
        Neighbors
            Euclidean distances (float64) and ids, both (n_queries, k), nearest first.

        Raises
        ------
        ValueError
            If there is nothing to search, `k` is out of range or embeddings do not fit.
        KeyError
            If an id of `among` is not in the index.
        """
        refuse_columns(self, where=where)
        embeddings = check_matrix(embeddings, "embeddings")
        rows = None if among is None else np.sort(self._rows(among))
        check_k(k, len(self) if rows is None else len(rows))
        check_dimension(embeddings, self._stored.vectors.shape[1])
        if rows is None:
            distances, found = nearest(embeddings, self._stored.gallery(), k)
            return Neighbors(distances, self._ids.values[found])
        distances, found = nearest(embeddings, self._stored.vectors[rows], k)
        return Neighbors(distances, self._ids.values[rows[found]])

    def vectors(self, ids=None):
        """Return embeddings of items.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        ndarray of shape (n_items, n_features)
            Read only; without `ids` a view, which the next change of the index may overwrite.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """
        if not hasattr(self, "_stored"):
            raise ValueError("the index is empty: add embeddings first")
        values = self._stored.vectors if ids is None else self._stored.vectors[self._rows(ids)]
        values = values.view()
        values.flags.writeable = False
        return values

    def __len__(self):
        return len(self._ids) if hasattr(self, "_ids") else 0

    def _to_arrays(self):
        return {}, {"ids": self._ids.values, "vectors": self._stored.vectors}

    @classmethod
    def _of_arrays(cls, content, arrays):
        index = cls()
        index._ids, index._stored = Ids.of_file(arrays["ids"]), Stored.of_file(arrays["vectors"])
        return index

    def _searchable(self):
        """The embeddings, row by row, as the kernel searches them."""
        return self._stored.gallery()

    def _rows(self, ids):
        """Row of each id."""
        if not hasattr(self, "_ids"):
            raise ValueError("the index is empty: add embeddings first")
        return self._ids.rows(ids)
