"""What every index offers, and no more."""

from abc import ABC, abstractmethod

from sklearn.base import BaseEstimator

from skmetric._documented import DocumentedMixin

from ._folder import read_folder, write_folder


class Index(DocumentedMixin, BaseEstimator, ABC):
    """A collection of embeddings under integer ids that can be searched by Euclidean distance.

    :class:`BaseEstimator` gives parameters, ``clone`` and ``repr``, no more; ``clone`` gives an empty index.
    Names of items are not its business: :class:`SimilaritySearch` keeps those.

    Attributes
    ----------
    holds_columns : bool
        Whether the index keeps labels and metadata of items itself, as a server does, and filters by them
        (`where`). Others are told the ids to search (`among`).

    See Also
    --------
    ExactIndex : Exact, in memory: the default.
    FaissIndex : Approximate or compressed, in memory.

    Notes
    -----
    Parameters are stored by ``__init__`` and checked when the index is first filled.

    Threads may query an index side by side, but not while one adds or removes: :class:`SimilaritySearch` sees
    to that.

    An approximate index may find fewer items than asked for. The rest of such a row, at its end, has id -1
    and distance infinity.

    Examples
    --------
    >>> from skmetric.search import ExactIndex, Index
    >>> isinstance(ExactIndex(), Index)
    True
    """

    holds_columns = False

    @abstractmethod
    def add(self, ids, embeddings, columns=None):
        """Add embeddings under ids that are not in use.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their embeddings; searchable when the call returns.
        columns : dict of str to ndarray of shape (n_items,), default=None
            Labels and metadata, the same columns each time, only where the index ``holds_columns``.

        Returns
        -------
        Index
            The index.

        Raises
        ------
        ValueError
            If an id is in use, negative or comes twice, or embeddings are not finite or of another dimension;
            if columns are given to an index that keeps none. Then nothing is added.
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
        Index
            The index.

        Raises
        ------
        KeyError
            If an id is not in the index; then nothing is removed.
        """

    @abstractmethod
    def query(self, embeddings, k, *, where=None, among=None):
        """Find the nearest items of each embedding.

        Parameters
        ----------
        embeddings : array-like of shape (n_queries, n_features)
            Queries.
        k : int
            Neighbours of each, from 1 to the number of items. With a filter that fewer items pass, there are
            as many as pass.
        where : dict of str to value, list or slice, default=None
            Only items whose columns have a value, one of several, or one from ``slice(low, high)``, both
            ends included; only where the index ``holds_columns``.
        among : array-like of int, default=None
            Only these ids, each once; only where it does not hold columns.

        Returns
        -------
        Neighbors
            Euclidean distances (float64) and **ids** in place of row numbers, both (n_queries, k), nearest
            first; id -1 at distance infinity where nothing more was found.

        Raises
        ------
        ValueError
            If the index is empty, `k` is out of range, embeddings do not fit, no item passes the filter, or
            the filter is of the kind that the index does not take.
        KeyError
            If an id of `among` is not in the index.
        """

    @abstractmethod
    def vectors(self, ids=None):
        """Return embeddings of items.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        ndarray of shape (n_items, n_features)
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
    def _to_arrays(self):
        """What a folder is to hold: parameters and the like as JSON, and a dict of arrays without objects."""

    @classmethod
    @abstractmethod
    def _of_arrays(cls, content, arrays):
        """The index that `_to_arrays` described; arrays may be memory-mapped."""

    def save(self, path):
        """Write the index to a folder, atomically and without pickle.

        Parameters
        ----------
        path : str or path-like
            Folder, made or replaced.

        Raises
        ------
        ValueError
            If the index is empty.
        """
        if not len(self):
            raise ValueError("the index is empty: add embeddings before saving it")
        content, arrays = self._to_arrays()
        write_folder(path, _kind(type(self)), {"index": content}, arrays)

    @classmethod
    def load(cls, path):
        """Read an index that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path-like
            Folder.

        Returns
        -------
        Index
            Arrays are memory-mapped: loading does not read them. The first change copies them.
        """
        manifest, arrays = read_folder(path, _kind(cls))
        return cls._of_arrays(manifest["index"], arrays)


def _kind(cls):
    return f"skmetric.search.{cls.__name__}"
