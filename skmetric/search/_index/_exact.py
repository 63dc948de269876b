"""The default index: exact, in memory, and nothing to train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_finite_rows, check_map, check_matrix
from skmetric._folder._arrays import mapped
from skmetric._kernel._squares import Gallery
from skmetric._params import InvalidParameterError, check_params
from skmetric.retrieval import Neighbors, nearest

from ._blocks import nearest_in_blocks, widened
from ._checks import check_dimension, check_k, check_keys, refuse_columns
from ._ids import Ids
from ._index import Index
from ._vectors import Stored

_CHECKED = 1 << 16  # rows that are checked at once


class _Held(NamedTuple):
    """What an index holds: replaced as one."""

    ids: Ids
    stored: Stored


@final
class ExactIndex(Index):
    """Exact Euclidean search through all embeddings, by :func:`skmetric.retrieval.nearest`.

    Embeddings are kept as they first come, float16, float32 or float64. Those in float16, and a memory map
    that is the first to be added, are not copied to float32 or into memory: they are searched block by
    block, with exact distances. A change of the index copies a memory map into memory. Those in float32 are
    kept once, in the form in which they are searched; a second copy is made where float32 cannot search
    them as they are: in float64, or where they lie in a heap far from the origin, or are very large or very
    small. Adding costs amortised time of the items added. Removing copies the items that stay: O(n_items),
    and memory for both meanwhile. Ties in distance are in the order in which items were added. A change
    that is cut short, by Ctrl-C or for want of memory, leaves the index as it was.

    Parameters
    ----------
    device : str or None, default=None
        Where queries are searched. None is NumPy on the CPU. "cuda", "cuda:1" or another device of torch is
        searched by torch, with the same neighbours in the same order; "cpu" is torch on the CPU; "auto" is a
        CUDA device where there is one, else the CPU. See Notes.

    See Also
    --------
    FaissIndex : Approximate, for millions of items on one machine.
    SimilaritySearch : Keeps names, labels and metadata beside an index.

    Notes
    -----
    **On a device** the first query copies the embeddings to it, in the dtype in which they are kept, if they
    take at most half of its free memory. If they take more, each call of `query` sends all of them in blocks
    of 128 MB. After items were added, the next query sends the new ones and up to one block of older ones;
    after a removal it sends all. A query with `among` sends the embeddings of these items. Candidates come
    from products in float32, and their distances from float64; if torch was told to multiply with less
    precision, such as TF32, products are computed in float64. Embeddings also stay in the memory of the
    process, where :meth:`SimilaritySearch.calibrate` compares them.

    A folder or pickle holds the name of the device. It loads on any machine, without importing torch. If the
    machine lacks the device, queries raise an error that names it: ``index.set_params(device=None)`` moves
    the index. "auto" runs on both machines.

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

    _parameter_constraints = {"device": [str, None]}

    _held: _Held | None = None  # what is held, swapped as one: a change that is cut short has not begun

    def __init__(self, device: str | None = None) -> None:
        self.device = device

    def add(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: dict[str, NDArray[Any]] | None = None
    ) -> Self:
        refuse_columns(self, columns=columns)
        rows = _read(embeddings)
        if self._held is None:
            self._check_device()
        self._held = self._added(self._held, check_keys(ids, len(rows)), rows)
        return self

    def remove(self, ids: ArrayLike) -> Self:
        self._held = self._without(self._opened(), ids)
        return self

    def update(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: dict[str, NDArray[Any]] | None = None
    ) -> Self:
        refuse_columns(self, columns=columns)
        rows = _read(embeddings)
        keys = check_keys(ids, len(rows))
        self._held = self._added(self._without(self._opened(), keys), keys, rows)
        return self

    def query(
        self,
        embeddings: ArrayLike,
        k: int,
        *,
        among: ArrayLike | None = None,
        where: dict[str, Any] | None = None,
    ) -> Neighbors:
        refuse_columns(self, where=where)
        queries = check_matrix(embeddings, "embeddings")
        if self._held is None:
            check_k(k, 0)
        held = self._opened()
        rows = None if among is None else np.sort(held.ids.rows(among))
        check_k(k, len(held.ids) if rows is None else len(rows))
        check_dimension(queries, held.stored.vectors.shape[1])
        distances, found = self._nearest(held.stored, queries, k, rows)
        return Neighbors(distances, held.ids.values[found if rows is None else rows[found]])

    def vectors(self, ids: ArrayLike | None = None) -> NDArray[Any]:
        """Return embeddings of items.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        ndarray of shape (n_items, n_features)
            Read only; without `ids` a view.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """
        held = self._opened()
        values = held.stored.vectors if ids is None else held.stored.vectors[held.ids.rows(ids)]
        values = values.view()
        values.flags.writeable = False
        return values

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held.ids)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        held = self._opened()
        content = {} if self.device is None else {"device": self.device}
        return content, {"ids": held.ids.values, "vectors": held.stored.vectors}

    @classmethod
    def of_arrays(cls, content: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        index = cls(**content)
        try:
            check_params(index)
        except InvalidParameterError as error:
            raise TypeError(str(error)) from None  # for `load`, which names the manifest
        index._held = _Held(Ids.of_file(arrays["ids"]), Stored.of_file(*mapped(arrays, "vectors")))
        return index

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {"device": None, **state}  # of a version that had no devices
        if "_stored" in state:  # of a version that kept the parts apart
            state = {**state, "_held": _Held(state.pop("_ids"), state.pop("_stored"))}
        super().__setstate__(state)

    def _searchable(self) -> Gallery:
        """The embeddings, row by row, as the kernel searches them."""
        return self._opened().stored.gallery()

    def _opened(self) -> _Held:
        if self._held is None:
            raise ValueError("the index is empty: add embeddings first")
        return self._held

    def _nearest(
        self, stored: Stored, queries: NDArray[Any], k: int, rows: NDArray[np.intp] | None
    ) -> Neighbors:
        """Neighbours with rows for indices; among some rows, their numbers there."""
        if self.device is not None:
            stored = stored if rows is None else Stored(stored.vectors[rows])
            return stored.on_device(self.device).nearest(queries, k)
        if rows is not None:
            return nearest(queries, widened(stored.vectors[rows]), k)
        if stored.in_blocks:
            return nearest_in_blocks(queries, stored.vectors, k)
        return nearest(queries, stored.gallery(), k)

    def _check_device(self) -> None:
        check_params(self)
        if self.device is not None:
            from ._on_device import searched_on

            searched_on(self.device)

    @staticmethod
    def _added(held: _Held | None, ids: NDArray[np.int64], embeddings: NDArray[Any]) -> _Held:
        if held is None:
            stored = Stored.of_map(embeddings) if isinstance(embeddings, np.memmap) else Stored(embeddings)
            return _Held(Ids(ids), stored)
        held.ids.refuse_used(ids)
        check_dimension(embeddings, held.stored.vectors.shape[1])
        _check_range(embeddings, held.stored.vectors.dtype)
        return _Held(held.ids.appended(ids), held.stored.appended(embeddings))

    @staticmethod
    def _without(held: _Held, ids: ArrayLike) -> _Held:
        kept = np.ones(len(held.ids), dtype=bool)
        kept[held.ids.rows(ids)] = False
        return held if kept.all() else _Held(held.ids.kept(kept), held.stored.kept(kept))


def _read(embeddings: ArrayLike) -> NDArray[np.floating]:
    """Checked rows; a memory map stays one, and float16 stays float16."""
    floats = (np.float16, np.float32, np.float64) if isinstance(embeddings, np.memmap) else (np.float16,)
    if not (
        isinstance(embeddings, np.ndarray)
        and embeddings.ndim == 2
        and embeddings.size
        and embeddings.dtype in floats
    ):
        return check_matrix(embeddings, "embeddings")
    rows: NDArray[Any] = embeddings
    check_map(rows, "embeddings")
    for start in range(0, len(rows), _CHECKED):
        if not np.isfinite(rows[start : start + _CHECKED]).all():
            check_finite_rows(rows, "embeddings")  # which names them
    return rows


def _check_range(embeddings: NDArray[np.floating], dtype: np.dtype) -> None:
    """Refuse values that become infinite in float16."""
    if dtype == np.float16 and np.abs(embeddings).max(initial=0) > np.finfo(np.float16).max:
        raise ValueError(
            "embeddings have values above 65504, and the index keeps float16, as the first ones came: "
            "scale them, or begin the index with float32"
        )
