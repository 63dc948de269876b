"""What indexes on servers offer beyond those in memory: columns, new ids, changes that many processes see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_matrix
from skmetric.retrieval import Neighbors
from skmetric.search._columns._where import Condition, conditions
from skmetric.search._index._checks import check_among
from skmetric.search._index._hits import Hits, check_found, in_order
from skmetric.search._index._index import Index

from ._columns import dtypes_of
from ._remote import check_count
from ._secrets import Address, Token, Uri, hide
from ._store import Mode, Next, Opened, Store

_HIDING: dict[str, type] = {"conninfo": Address, "uri": Uri, "token": Token}


class SharedIndex(Index, ABC):
    """An index on a server: many processes hold it, and only the server knows what is in it.

    A subclass has a :class:`Store` behind `_opened`, which sends the requests.
    """

    holds_columns = True

    @abstractmethod
    def _opened(self) -> Store:
        """The store."""

    @abstractmethod
    def _fill(
        self,
        ids: ArrayLike | None,
        embeddings: ArrayLike,
        columns: Mapping[str, ArrayLike] | None,
        mode: Mode,
        expected: Opened | None = None,
    ) -> Self:
        """Check items and store them; for the modes, and what is `expected`, see `Store`."""

    @abstractmethod
    def _search_options(self, k: int) -> Any:
        """What the store must know of the method of search."""

    def remove(self, ids: ArrayLike) -> Self:
        self._opened().remove(np.asarray(ids).ravel())
        return self

    def query(
        self,
        embeddings: ArrayLike,
        k: int,
        *,
        where: Mapping[str, Any] | None = None,
        among: ArrayLike | None = None,
    ) -> Neighbors:
        """Find the nearest items of each embedding, a batch in one round trip.

        Parameters
        ----------
        embeddings : array-like of shape (n_queries, n_features)
            Queries.
        k : int
            Neighbours of each, from 1 to the number of items; a cluster of Milvus gives up to 16,384. With a
            filter that fewer items pass, there are as many as pass.
        where : dict of str to value, list, slice, None or Not, default=None
            Only items whose columns have a value, one of several, or one from ``slice(low, high)``, both
            ends included; None finds items without a value, :class:`Not` all other values.
        among : array-like of int, default=None
            Only these ids, each once.

        Returns
        -------
        Neighbors
            Euclidean distances (float64 of what the server finds in float32) and ids, both (n_queries, k),
            nearest first; id -1 at distance infinity where an approximate search found no more.

        Raises
        ------
        ValueError
            If the index is empty, `k` is out of range, embeddings do not fit, or no item passes the filter.
        KeyError
            If an id of `among` is not in the index.
        """
        embeddings = check_matrix(embeddings, "embeddings")
        among = None if among is None else check_among(among)
        if among is not None:
            in_order(self._opened().known(among), among)
        found = self._look_up(embeddings, k, where=where, among=among).neighbors(len(embeddings))
        return check_found(found, k, self.__len__, where is not None or among is not None)

    def vectors(self, ids: ArrayLike | None = None) -> NDArray[np.float32]:
        """Fetch embeddings of items from the server.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        ndarray of shape (n_items, n_features)
            Read only, float32.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """
        return self._opened().vectors(None if ids is None else np.asarray(ids).ravel())

    def columns(self, ids: ArrayLike | None = None) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Fetch labels and metadata of items.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; those that are not there any more are left out. None gives all.

        Returns
        -------
        ids : ndarray of shape (n_items,)
            Ids, ascending.
        columns : dict of str to ndarray of shape (n_items,)
            By name.
        """
        return self._opened().columns(None if ids is None else np.asarray(ids).ravel())

    def new_ids(self, n_items: int) -> NDArray[np.int64]:
        """Draw ids that no other process is given.

        Parameters
        ----------
        n_items : int
            How many.

        Returns
        -------
        ndarray of shape (n_items,)
            In PostgreSQL ascending, of a counter, above all that it gave before and all that are in the
            table. Milvus has no counter: there they are drawn at random among 63-bit numbers, so that two
            alike are not to be expected before billions of items.
        """
        return self._opened().new_ids(int(n_items))

    def clear(self) -> Self:
        """Drop the table or collection with all items, for every process.

        Returns
        -------
        Index
            Empty.
        """
        self._opened().drop()
        return self

    def _successor(self, text: str, expected: Opened | None) -> Next:
        """What will take the place of the items, with embeddings by the embedder of a `text`."""
        raise ValueError(
            f"{type(self).__name__} cannot give its items new embeddings in one transaction: fill a second "
            "collection by fit with the new embedder, and point an alias at it. The guide shows how"
        )

    def __len__(self) -> int:
        return self._opened().count()

    def update(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: Mapping[str, ArrayLike] | None = None
    ) -> Self:
        return self._fill(ids, embeddings, columns, "replace")

    @classmethod
    def of_arrays(cls, content: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls(**content["params"])

    def _look_up(
        self,
        embeddings: NDArray[np.floating],
        k: int,
        names: Sequence[str] = (),
        *,
        where: Mapping[str, Any] | None = None,
        among: NDArray[np.int64] | None = None,
        also: Sequence[Condition] = (),
        is_ranked: bool = False,
        expected: Opened | None = None,
    ) -> Hits:
        """Up to `k` hits of each query with columns, in one round trip; `also` are conditions beside `where`.

        With `is_ranked` an id is the place of the item among all, in the order of the gallery.
        """
        opened = self._opened()
        check_count(k)
        asked = [] if where is None else conditions(where, dtypes_of(opened.types))
        return opened.look_up(
            embeddings,
            int(k),
            names,
            [*asked, *also],
            among,
            self._search_options(int(k)),
            is_ranked,
            expected,
        )


def called(kind: type[Index], content: Mapping[str, Any]) -> str:
    """The call that makes an index which a folder describes, without secrets and without making it."""
    given = content.get("params")
    given = given if isinstance(given, dict) else {}
    defaults = {name: parameter.default for name, parameter in signature(kind).parameters.items()}
    shown = [
        f"{name}={hide({name: given[name]}, **{name: _HIDING[name]})[name]!r}"
        if name in _HIDING
        else f"{name}={given[name]!r}"
        for name, default in defaults.items()
        if name in given and given[name] != default
    ]
    return f"{kind.__name__}({', '.join(shown)})"
