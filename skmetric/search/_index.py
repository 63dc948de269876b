"""What every index offers, and no more."""

from abc import ABC, abstractmethod

from sklearn.base import BaseEstimator


class Index(BaseEstimator, ABC):
    """A collection of embeddings under integer ids that can be searched by Euclidean distance.

    :class:`BaseEstimator` gives parameters, ``clone`` and ``repr``, no more; ``clone`` gives an empty index.
    Names of items, labels and metadata are not its business: :class:`SimilaritySearch` keeps those.

    See Also
    --------
    ExactIndex : Exact, in memory: the default.

    Notes
    -----
    Parameters are stored by ``__init__`` and checked when the index is first filled.

    Examples
    --------
    >>> from skmetric.search import ExactIndex, Index
    >>> isinstance(ExactIndex(), Index)
    True
    """

    @abstractmethod
    def add(self, ids, embeddings):
        """Add embeddings under ids that are not in use.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their embeddings; searchable when the call returns.

        Returns
        -------
        self : Index
            The index.

        Raises
        ------
        ValueError
            If an id is in use or comes twice, or embeddings are not finite or of another dimension.
        """

    @abstractmethod
    def remove(self, ids):
        """Take items out.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids to remove.

        Returns
        -------
        self : Index
            The index.

        Raises
        ------
        KeyError
            If an id is not in the index; then nothing is removed.
        """

    @abstractmethod
    def query(self, embeddings, k):
        """Find the nearest items of each embedding.

        Parameters
        ----------
        embeddings : array-like of shape (n_queries, n_features)
            Queries.
        k : int
            Neighbours of each, from 1 to the number of items.

        Returns
        -------
        neighbors : Neighbors
            Euclidean distances (float64) and **ids** in place of row numbers, both (n_queries, k), nearest
            first.

        Raises
        ------
        ValueError
            If `k` is out of range or embeddings do not fit.
        """

    @abstractmethod
    def vectors(self, ids=None):
        """Embeddings of items.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        embeddings : ndarray of shape (n_items, n_features)
            Read only.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """

    @abstractmethod
    def __len__(self):
        """Items in the index."""

    @abstractmethod
    def save(self, path):
        """Write the index to a folder, atomically and without pickle.

        Parameters
        ----------
        path : str or path-like
            Folder, made or replaced.
        """

    @classmethod
    @abstractmethod
    def load(cls, path):
        """Read an index that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path-like
            Folder.

        Returns
        -------
        index : Index
            Arrays are memory-mapped: loading does not read them.
        """
