"""Embeddings beside FAISS's own structures, from which rows are taken out without a copy of the others."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from skmetric.search._index._growing import GrowingArray


@final
class Kept:
    """Embeddings row by row. Those taken out stay in the array until all rows are asked for as one.

    :meth:`appended` and :meth:`without` make the changed rows beside these. `kept[rows]` copies some rows.

    Parameters
    ----------
    array : GrowingArray
        The embeddings, (n_items, n_features).
    """

    def __init__(self, array: GrowingArray) -> None:
        self._held: tuple[GrowingArray, GrowingArray | None] = array, None

    @classmethod
    def _of(cls, array: GrowingArray, places: GrowingArray | None) -> Kept:
        kept = cls.__new__(cls)
        kept._held = array, places  # place of each row in the array; None is its own number
        return kept

    def __len__(self) -> int:
        array, places = self._held
        return len(array if places is None else places)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> NDArray[Any]:
        array, places = self._held
        return array.values[rows if places is None else places.values[rows]]

    @property
    def values(self) -> NDArray[Any]:
        """All rows as one array, which takes the place of the one with more rows."""
        array, places = self._held
        if places is not None:
            array = GrowingArray(array.values[places.values])
            self._held = array, None
        return array.values

    def placed(self, rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """An array, and the places of rows in it."""
        array, places = self._held
        return array.values, rows if places is None else places.values[rows]

    def appended(self, vectors: NDArray[Any]) -> Kept:
        """These rows, and more at the end."""
        array, places = self._held
        if places is not None:
            places = places.appended(np.arange(len(array), len(array) + len(vectors)))
        return self._of(array.appended(vectors), places)

    def without(self, kept: NDArray[np.bool_]) -> Kept:
        """The rows where the mask is True."""
        array, places = self._held
        left = np.flatnonzero(kept) if places is None else places.values[kept]
        return self._of(array, GrowingArray(left))

    def __reduce__(self) -> tuple[Any, ...]:
        array, places = self._held
        return Kept, (array if places is None else GrowingArray(array.values[places.values]),)
