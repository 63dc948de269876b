"""One state of the items of a gallery in memory; a change makes another beside it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from skmetric.search._index._growing import GrowingArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric._kernel import _squares
    from skmetric.search._index._index import Index

    from ._labels import LabelColumn
    from ._side import Side


@final
class Made:
    """What searches made of a state of the items, kept for the next search in the same state."""

    prototypes: tuple[Any, Side] | None = None  # a matcher and its prototypes
    by_class: Any = None  # the order of rows by class
    ranked: tuple[Any, dict[Any, Any]] | None = None  # what ranking options made
    searchable: _squares.Gallery | None = None


@final
class KeysById:
    """The key of each id, as a dict that is made when first asked for and handed on from state to state.

    Only the heir writes in it. Where a change is cut short after it took the dict, the state that stays
    makes a new one.
    """

    _known: dict[Any, int] | None = None

    def of(self, ids: GrowingArray, keys: GrowingArray) -> dict[Any, int]:
        """The dict of the state whose ids and keys these are."""
        if self._known is None:
            known = dict(zip(ids.values.tolist(), keys.values.tolist(), strict=True))
            if len(known) < len(keys):  # of a folder that was made up
                raise ValueError("two items have one id: the folder is damaged, take it from a copy")
            self._known = known
        return self._known

    def handed_on(self, known: dict[Any, int]) -> KeysById:
        """Give the dict away."""
        heir = KeysById()
        self._known, heir._known = None, known
        return heir


@final
@dataclass(frozen=True, eq=False)
class Items:
    """Rows of a gallery in the order of enrolment, with the index of their embeddings."""

    index: Index
    keys: GrowingArray  # int64, ascending: names of the items in the index, none of them ever used twice
    ids: GrowingArray  # names of the items for users
    labels: LabelColumn | None
    columns: dict[str, GrowingArray]  # metadata
    next_key: int
    keys_by_id: KeysById
    made: Made
    samples: GrowingArray | None = None  # what the metric learner embeds, where the gallery refits it

    def known(self) -> dict[Any, int]:
        """Key of each id; only to read."""
        return self.keys_by_id.of(self.ids, self.keys)

    def rows(self, keys: NDArray[Any]) -> NDArray[np.intp]:
        """Row of each key, -1 for -1; keys ascend, so this is a binary search."""
        return np.where(keys < 0, -1, np.searchsorted(self.keys.values, keys))

    def with_items(
        self,
        embeddings: NDArray[Any],
        ids: NDArray[Any] | None,
        labels: NDArray[Any] | None,
        columns: dict[str, NDArray[Any]],
        samples: NDArray[Any] | None = None,
    ) -> Items:
        """These items and more at the end; an id that is here already then means the new item."""
        keys = np.arange(self.next_key, self.next_key + len(embeddings))
        ids = keys if ids is None else ids
        index = copy.copy(self.index)
        index.add(keys, embeddings)
        known = self.known()
        keys_by_id = self.keys_by_id.handed_on(known)
        known.update(zip(ids.tolist(), keys.tolist(), strict=True))
        return replace(
            self,
            index=index,
            keys=self.keys.appended(keys),
            ids=self.ids.appended(ids),
            labels=None if self.labels is None or labels is None else self.labels.appended(labels),
            columns={name: self.columns[name].appended(values) for name, values in columns.items()},
            next_key=self.next_key + len(embeddings),
            keys_by_id=keys_by_id,
            made=Made(),
            samples=None if self.samples is None or samples is None else self.samples.appended(samples),
        )

    def without(self, keys: NDArray[np.int64]) -> Items:
        """The other items: copies, in which nothing of those of `keys` is left."""
        index = copy.copy(self.index)
        index.remove(keys)
        rows = self.rows(keys)
        kept = np.ones(len(self.keys), dtype=bool)
        kept[rows] = False
        known = self.known()
        keys_by_id = self.keys_by_id.handed_on(known)
        for i, key in zip(self.ids.values[rows].tolist(), keys.tolist(), strict=True):
            if known[i] == key:  # else another item has the id by now
                del known[i]
        return replace(
            self,
            index=index,
            keys=self.keys.kept(kept),
            ids=self.ids.kept(kept),
            labels=None if self.labels is None else self.labels.kept(kept),
            columns={name: column.kept(kept) for name, column in self.columns.items()},
            keys_by_id=keys_by_id,
            made=Made(),
            samples=None if self.samples is None else self.samples.kept(kept),
        )

    def described(self, rows: NDArray[np.intp], columns: dict[str, NDArray[Any]]) -> Items:
        """These items with other values of some columns."""
        made = {}
        for name, values in columns.items():
            old = self.columns[name].values
            whole = old.astype(np.result_type(old.dtype, values.dtype))  # a copy
            whole[rows] = values
            made[name] = GrowingArray(whole)
        return replace(self, columns=self.columns | made)
