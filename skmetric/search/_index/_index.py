"""What every index offers, and no more."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._documented import DocumentedMixin
from skmetric._folder._folder import naming_damage, read_folder, write_folder
from skmetric._sklearn import BaseEstimator
from skmetric.retrieval import Neighbors

_PLAIN = (str, int, float, bool, type(None))


class Index(DocumentedMixin, BaseEstimator, ABC):
    """A collection of embeddings under integer ids that can be searched by Euclidean distance.

    :class:`BaseEstimator` gives parameters, ``clone`` and ``repr``, no more; ``clone`` gives an empty index.
    Names of items are not kept here: :class:`SimilaritySearch` keeps them.

    A class of your own needs five methods: `add`, `remove`, `query`, `vectors` and ``__len__``. It then works
    wherever an index of this package does, in folders too. `to_arrays` and `of_arrays` store its parameters
    and those of its attributes that are arrays, numbers or text: override both where it holds anything else.

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
    to that. Pickles and copies of an index of this package may be made while a thread changes it: they hold
    the state before the change or after it.

    An approximate index may find fewer items than asked for. The rest of such a row, at its end, has id -1
    and distance infinity.

    Examples
    --------
    >>> import numpy as np
    >>> from skmetric.retrieval import Neighbors, nearest
    >>> from skmetric.search import Index, SimilaritySearch
    >>> class PlainIndex(Index):
    ...     ids, embeddings = np.empty(0, dtype=int), None
    ...
    ...     def add(self, ids, embeddings, columns=None):
    ...         old = [] if self.embeddings is None else [self.embeddings]
    ...         self.ids, self.embeddings = np.append(self.ids, ids), np.vstack([*old, embeddings])
    ...         return self
    ...
    ...     def remove(self, ids):
    ...         kept = ~np.isin(self.ids, ids)
    ...         self.ids, self.embeddings = self.ids[kept], self.embeddings[kept]
    ...         return self
    ...
    ...     def query(self, embeddings, k, *, where=None, among=None):
    ...         rows = np.flatnonzero(np.isin(self.ids, self.ids if among is None else among))
    ...         found = nearest(embeddings, self.embeddings[rows], k)
    ...         return Neighbors(found.distances, self.ids[rows[found.indices]])
    ...
    ...     def vectors(self, ids=None):
    ...         wanted = self.ids if ids is None else ids
    ...         return self.embeddings[[self.ids.tolist().index(i) for i in wanted]]
    ...
    ...     def __len__(self):
    ...         return len(self.ids)
    >>> search = SimilaritySearch(index=PlainIndex()).fit([[0.0], [5.0]], ["a", "b"])
    >>> search.partial_fit([[9.0]], ["c"]).predict([[1.0], [8.0]])
    array(['a', 'c'], dtype='<U1')
    """

    holds_columns: bool = False

    @abstractmethod
    def add(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: dict[str, NDArray[Any]] | None = None
    ) -> Self:
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
    def remove(self, ids: ArrayLike) -> Self:
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
    def query(
        self,
        embeddings: ArrayLike,
        k: int,
        *,
        where: dict[str, Any] | None = None,
        among: ArrayLike | None = None,
    ) -> Neighbors:
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
    def vectors(self, ids: ArrayLike | None = None) -> NDArray[Any]:
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
    def __len__(self) -> int:
        """Items in the index."""

    def update(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: dict[str, NDArray[Any]] | None = None
    ) -> Self:
        """Replace embeddings of items, which move to the end.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids of items in the index, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their new embeddings.
        columns : dict of str to ndarray of shape (n_items,), default=None
            Their labels and metadata, only where the index ``holds_columns``.

        Returns
        -------
        Index
            The index; as it was if an error is raised.

        Raises
        ------
        KeyError
            If an id is not in the index.
        ValueError
            As `add`.
        """
        old = np.array(self.vectors(ids))
        self.remove(ids)
        try:
            return self.add(ids, embeddings, columns)
        except BaseException:
            self.add(ids, old)
            raise

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what a folder holds of the index.

        Returns
        -------
        content : dict
            What JSON holds; here the parameters and those attributes that are numbers or text.
        arrays : dict of str to ndarray
            Arrays of numbers or text; here the attributes that are arrays.

        Raises
        ------
        TypeError
            If an attribute is neither: the class then has to override this method and `of_arrays`.
        """
        params = self.get_params(deep=False)
        state = {name: value for name, value in vars(self).items() if name not in params}
        arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
        plain = {name: _as_plain(value) for name, value in state.items() if name not in arrays}
        for name, value in (params | plain).items():
            if not isinstance(_as_plain(value), _PLAIN):
                raise TypeError(
                    f"a folder cannot hold {name!r} of {type(self).__name__}, a {type(value).__name__}: "
                    "override to_arrays and of_arrays to say how it is stored"
                )
        params = {name: _as_plain(value) for name, value in params.items()}
        return {"params": params, "attributes": plain}, arrays

    @classmethod
    def of_arrays(cls, content: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Make the index that `to_arrays` described.

        Parameters
        ----------
        content : dict
            As `to_arrays` returned it.
        arrays : mapping of str to ndarray
            As `to_arrays` returned them, perhaps memory-mapped and read only: copy what you change in place.

        Returns
        -------
        Index
            Filled.
        """
        index = cls(**content["params"])
        for name, value in (content["attributes"] | {name: arrays[name] for name in arrays}).items():
            setattr(index, name, value)
        return index

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a folder, atomically and without pickle.

        Parameters
        ----------
        path : str or path-like
            Folder, made or replaced.

        Raises
        ------
        ValueError
            If the index is empty.
        TypeError
            If a folder cannot hold an attribute of your own class.
        """
        if not len(self):
            raise ValueError("the index is empty: add embeddings before saving it")
        content, arrays = self.to_arrays()
        write_folder(path, _kind(type(self)), {"index": content}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = False) -> Self:
        """Read an index that :meth:`save` wrote.

        Parameters
        ----------
        path : str or path-like
            Folder.
        verify : bool, default=False
            Whether to compare large arrays with their checksums now; if not, that is done when each is first
            used. Small ones are always compared.

        Returns
        -------
        Index
            Large arrays are memory-mapped: loading does not read them. The first change copies them.

        Raises
        ------
        ValueError
            If a file is damaged (it is named), the manifest was edited, or the folder holds something else.
        FileNotFoundError
            If there is no such folder, or one of its files is missing.
        """
        manifest, arrays = read_folder(path, _kind(cls), verify=verify)
        with naming_damage(path):
            return cls.of_arrays(manifest["index"], arrays)


def class_name(cls: type) -> str:
    """Name of an index's class in folders, which tells those of this package from others."""
    is_ours = cls.__module__.split(".")[0] == "skmetric"
    return cls.__name__ if is_ours else f"index {cls.__qualname__}"


def _kind(cls: type) -> str:
    return f"skmetric.search.{class_name(cls)}"


def _as_plain(value: Any) -> Any:
    """A number of NumPy as Python's own."""
    return value.item() if isinstance(value, np.generic) else value
