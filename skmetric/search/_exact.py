"""The default index: exact, in memory, and nothing to train."""

from typing import final

import numpy as np

from skmetric._checks import check_matrix
from skmetric._kernel import Gallery
from skmetric.retrieval import Neighbors, nearest

from ._folder import read_folder, write_folder
from ._growing import GrowingArray
from ._index import Index
from ._requests import check_among, check_ids, clip, refuse_columns, refuse_where

_KIND = "skmetric.search.ExactIndex"


@final
class ExactIndex(Index):
    """Exact Euclidean search through all embeddings, by :func:`skmetric.retrieval.nearest`.

    Embeddings are kept once, float32 or float64 as they first come. Adding costs amortised time of the
    items added, removing O(n_items). Ties in distance are in the order in which items were added.

    See Also
    --------
    SimilaritySearch : Keeps names, labels and metadata beside an index.

    Examples
    --------
    >>> from skmetric.search import ExactIndex
    >>> index = ExactIndex().add([7, 8, 9], [[0.0], [1.0], [5.0]])
    >>> index.query([[4.0]], k=2)
    Neighbors(distances=array([[1., 3.]]), indices=array([[9, 8]]))
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
            Not kept here.

        Returns
        -------
        self : ExactIndex
            The index.

        Raises
        ------
        ValueError
            If an id is in use, negative or comes twice, or embeddings are not finite or of another dimension;
            if columns are given.
        """
        refuse_columns(self, columns)
        embeddings = check_matrix(embeddings, "embeddings")
        ids = check_ids(ids, len(embeddings))
        if not hasattr(self, "_vectors"):
            self._vectors, self._ids = GrowingArray(embeddings), GrowingArray(ids)
            return self
        used = ids[np.isin(ids, self._ids.values)] if not self._follow(ids) else ids[:0]
        if len(used):
            raise ValueError(f"id {used[0]} is in the index already: remove it first")
        self._check_dimension(embeddings)
        self._vectors.append(embeddings.astype(self._vectors.values.dtype, copy=False))
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
        self : ExactIndex
            The index.

        Raises
        ------
        KeyError
            If an id is not in the index; then nothing is removed.
        """
        kept = np.ones(len(self), dtype=bool)
        kept[self._rows(ids)] = False
        if not kept.all():
            self._vectors.keep(kept)
            self._ids.keep(kept)
            self._prepared = None
        return self

    def query(self, embeddings, k, *, where=None, among=None):
        """Find the nearest items of each embedding.

        Parameters
        ----------
        embeddings : array-like of shape (n_queries, n_features)
            Queries.
        k : int
            Neighbours of each, from 1 to the number of items; clipped to the size of `among`.
        where : None
            Columns are not kept here: use `among`.
        among : array-like of int, default=None
            Search only these ids.

        Returns
        -------
        neighbors : Neighbors
            Euclidean distances (float64) and ids, both (n_queries, k), nearest first.

        Raises
        ------
        ValueError
            If the index is empty, `k` is out of range, `among` is empty or embeddings do not fit.
        KeyError
            If an id of `among` is not in the index.
        """
        refuse_where(self, where)
        embeddings = check_matrix(embeddings, "embeddings")
        if not len(self):
            raise ValueError("the index is empty: add embeddings before a search")
        self._check_dimension(embeddings)
        if among is None:
            distances, rows = nearest(embeddings, self._prepared_gallery(), k)
            return Neighbors(distances, self._ids.values[rows])
        among = np.sort(self._rows(check_among(among)))  # ties in the order of adding
        distances, rows = nearest(embeddings, self._vectors.values[among], clip(k, len(among)))
        return Neighbors(distances, self._ids.values[among[rows]])

    def _prepared_gallery(self):
        """The vectors as the kernel wants them, a second copy, kept from search to search."""
        vectors, prepared = self._vectors.values, getattr(self, "_prepared", None)
        self._prepared = Gallery(vectors) if prepared is None else prepared.grown(vectors)
        return self._prepared

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "_prepared"}

    def vectors(self, ids=None):
        """Embeddings of items.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        embeddings : ndarray of shape (n_items, n_features)
            Read only; without `ids` a view, which the next change of the index may overwrite.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """
        if not hasattr(self, "_vectors"):
            raise ValueError("the index is empty: add embeddings first")
        values = self._vectors.values if ids is None else self._vectors.values[self._rows(ids)]
        values = values.view()
        values.flags.writeable = False
        return values

    def __len__(self):
        return len(self._ids) if hasattr(self, "_ids") else 0

    def save(self, path):
        """Write the index to a folder, atomically and without pickle.

        Parameters
        ----------
        path : str or path-like
            Folder, made or replaced.
        """
        if not hasattr(self, "_ids"):
            raise ValueError("the index is empty: add embeddings before saving it")
        write_folder(path, _KIND, {}, {"ids": self._ids.values, "vectors": self._vectors.values})

    @classmethod
    def load(cls, path):
        """Read an index that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path-like
            Folder.

        Returns
        -------
        index : ExactIndex
            Arrays are memory-mapped: loading does not read them. The first change copies them.
        """
        _, arrays = read_folder(path, _KIND)
        return of_arrays(arrays["ids"], arrays["vectors"])

    def _follow(self, ids):
        """Whether `ids` come after all others, as they do where a counter gives them: then none is in use."""
        last = self._ids.values[-1] if len(self) else -np.inf
        return bool(ids.min() > last and self._are_ascending())

    def _are_ascending(self):
        ids = self._ids.values
        return bool((ids[1:] > ids[:-1]).all())

    def _rows(self, ids):
        """Row of each id."""
        ids = np.asarray(ids).ravel()
        stored = self._ids.values if len(self) else np.empty(0, dtype=np.int64)
        order = None if len(self) and self._are_ascending() else np.argsort(stored, kind="stable")
        place = np.searchsorted(stored, ids, sorter=order)
        rows = place if order is None else order[np.minimum(place, len(stored) - 1)] if len(stored) else place
        missing = place >= len(stored)
        missing[~missing] = stored[rows[~missing]] != ids[~missing]
        if missing.any():
            raise KeyError(f"id {ids[missing][0]} is not in the index")
        return rows

    def _check_dimension(self, embeddings):
        n_features = self._vectors.values.shape[1]
        if embeddings.shape[1] != n_features:
            raise ValueError(
                f"embeddings have {embeddings.shape[1]} dimensions and the index holds {n_features}: "
                "both must come from the same embedder"
            )


def of_arrays(ids, vectors):
    """Return an index around arrays, as of memory-mapped files, without a copy."""
    index = ExactIndex()
    index._ids, index._vectors = GrowingArray.of_file(ids), GrowingArray.of_file(vectors)
    return index
