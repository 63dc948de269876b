"""What a gallery in memory holds: one state of its items, as others read it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skmetric._checks import encode_labels
from skmetric._input._groups import check_groups
from skmetric._kernel import _squares
from skmetric.search._columns._types import shown
from skmetric.search._columns._where import Condition, conditions
from skmetric.search._gallery._side import Side
from skmetric.search._index._exact import ExactIndex
from skmetric.search._index._growing import GrowingArray

from ._gallery import Gallery
from ._items import Items, KeysById, Made
from ._labels import LabelColumn
from ._layout import asked_ids, refuse_duplicates, refuse_unknown
from ._lock import SharedLock, reads
from ._metadata import GROUPS
from ._selection import parts_of
from ._whole import Whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._index._index import Index

    from ._selection import Selection

    Where = Mapping[str, Any] | Selection | None

_PICKLED = ("index", "keys", "ids", "labels", "columns", "next_key", "samples")  # of `Items`


class HeldItems(Gallery):
    """Ids, labels and metadata of items, row by row, in the order of enrolment; one state at a time."""

    has_own_ids: bool
    lock: SharedLock
    _items: Items

    # One state of the items, which changes replace by one assignment

    @property
    def index(self) -> Index:  # type: ignore[override]
        """The index of the embeddings; a change makes another."""
        return self._items.index

    @index.setter
    def index(self, index: Index) -> None:
        self._items = replace(self._items, index=index, made=Made())

    @property
    def keys(self) -> GrowingArray:
        """Key of each row in the index."""
        return self._items.keys

    @property
    def ids(self) -> GrowingArray:
        """Id of each row."""
        return self._items.ids

    @property
    def labels(self) -> LabelColumn:
        """Label of each row; None without labels, which :attr:`has_labels` tells."""
        return self._items.labels  # type: ignore[return-value]

    @property
    def columns(self) -> dict[str, GrowingArray]:
        """Metadata by name."""
        return self._items.columns

    @property
    def samples(self) -> GrowingArray | None:
        """What the metric learner embeds, row by row, where the gallery refits it."""
        return self._items.samples

    @property
    def next_key(self) -> int:
        """Key of the next item: it tells one state of the items from another with as many."""
        return self._items.next_key

    @property
    def made(self) -> Made:
        """What searches have made of the state of the items."""
        return self._items.made

    @property
    def has_labels(self) -> bool:
        return self._items.labels is not None

    def __len__(self) -> int:
        return len(self._items.keys)

    def __getstate__(self) -> dict[str, Any]:
        """One state of the items, whole also while another thread changes them."""
        state, items = self.__dict__.copy(), self._items
        del state["_items"]
        return state | {name: getattr(items, name) for name in _PICKLED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parts: dict[str, Any] = {name: state.get(name) for name in _PICKLED}  # of earlier ones no samples
        rest = {name: value for name, value in state.items() if name not in _PICKLED}
        for name in ("_key_of", "prototypes", "by_class", "ranked", "_searchable"):  # of earlier versions
            rest.pop(name, None)
        self.__dict__.update(rest, _items=Items(**parts, keys_by_id=KeysById(), made=Made()))

    def has_column(self, name: str) -> bool:
        return name in self.columns

    def reading(self) -> AbstractContextManager[None]:
        """A context in which no other thread changes anything."""
        return self.lock.reading()

    def keys_of(self, ids: Any, named_by: str | None = None) -> NDArray[np.int64]:
        """Keys of items by id; KeyError if one is unknown, ValueError if one comes twice."""
        ids, known = asked_ids(ids, named_by), self._items.known()
        refuse_unknown([i for i in ids if i not in known], named_by)
        refuse_duplicates(ids, named_by)
        return np.array([known[i] for i in ids], dtype=np.int64)

    # What is here

    @reads
    def all_ids(self) -> NDArray[Any]:
        return shown(self.ids.values.copy())

    @reads
    def items(self, where: Where = None) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Ids, "label" and metadata of the items that pass."""
        rows = np.arange(len(self)) if where is None else self.passing(where)
        keys = self.keys_among(where)
        if keys is not None:  # in their order
            at = self.rows(keys)
            rows = at[np.isin(at, rows)]
        return shown(self.ids.values[rows]), self._columns_of(rows)

    @reads
    def all_labels(self) -> NDArray[Any] | None:
        return None if self.labels is None else self.labels.decode(self.labels.codes.values)

    @reads
    def classes(self) -> NDArray[Any]:
        return self.labels.classes

    @reads
    def tally(self) -> tuple[LabelColumn, NDArray[np.integer[Any]]]:
        """Labels, and the number of items under each code."""
        return self.labels, np.bincount(self.labels.codes.values, minlength=len(self.labels))

    @reads
    def sizes(self) -> tuple[int, int]:
        """Number of items and of classes."""
        return len(self), 0 if self.labels is None else len(self.labels)

    def known_sizes(self) -> tuple[int, int]:
        """As `sizes`."""
        return self.sizes()

    def rows(self, keys: NDArray[Any]) -> NDArray[np.intp]:
        """Row of each key, -1 for -1."""
        return self._items.rows(keys)

    def side(self) -> Side:
        """Embeddings and class codes, row by row."""
        return Side(self.index.vectors(), self.labels.codes.values)

    def side_with_groups(self) -> Side:
        """As `side`, with the groups of the items if they have some."""
        groups = self._groups()
        return self.side() if groups is None else self.side()._replace(groups=encode_labels(groups)[0])

    def side_and_queries(self, queries: Side, groups: Any) -> tuple[Side, Side]:
        """The gallery and queries, with groups as codes if those of the queries are given."""
        if groups is None:
            return self.side(), queries
        of_items = self.groups_of_items()
        groups = check_groups(groups, len(queries.codes))
        codes, codes_items, _ = encode_labels(groups, of_items, "groups and those of the items")
        return self.side()._replace(groups=codes_items), queries._replace(groups=codes)

    def groups_of_items(self) -> NDArray[Any]:
        """Group of each item, which a call with `groups` needs."""
        groups = self._groups()
        if groups is None:
            raise ValueError("groups= needs the groups of the items too: fit with groups")
        return groups

    def _groups(self) -> NDArray[Any] | None:
        """Group of each item, none missing; None if items have no groups."""
        if GROUPS not in self.columns:
            return None
        return check_groups(shown(self.columns[GROUPS].values), name=f"metadata {GROUPS!r}")

    def searchable(self) -> _squares.Gallery:
        """The embeddings, row by row, as the kernel searches them; kept until the gallery changes."""
        if isinstance(self.index, ExactIndex):
            return self.index._searchable()
        made = self.made
        if made.searchable is None:
            made.searchable = _squares.Gallery(self.index.vectors())
        return made.searchable

    @reads
    def whole(self) -> Whole:
        """All items."""
        items = self._items
        ids = items.ids.values
        counts = not self.has_own_ids and np.array_equal(ids, np.arange(len(ids)))
        labels = None if items.labels is None else items.labels.decode(items.labels.codes.values)
        metadata = {name: column.values for name, column in items.columns.items()}
        return Whole(self.index.vectors(items.keys.values), None if counts else ids, labels, metadata)

    def passing(self, where: Where) -> NDArray[np.intp]:
        """Rows that pass a filter or a `Selection`; maybe none."""
        keys = self.keys_among(where)
        mask = np.full(len(self), keys is None)
        if keys is not None:
            mask[self.rows(keys)] = True
        for condition in self.conditions(parts_of(where)[0]):
            mask &= condition.passes(self._values(condition.column))
        return np.flatnonzero(mask)

    @reads
    def conditions(self, where: Any) -> list[Condition]:
        """Conditions of a filter."""
        if where is None:
            return []
        dtypes = {name: column.dtype for name, column in self.columns.items()}
        if self.has_labels:
            dtypes.setdefault("label", self.labels.dtype)
        return conditions(where, dtypes)

    def names(self) -> list[str]:
        return ["label"] * self.has_labels + list(self.columns)

    def _values(self, name: str) -> NDArray[Any]:
        """Values of a column that a filter can name, row by row."""
        if name in self.columns:
            return self.columns[name].values
        return self.labels.decode(self.labels.codes.values)

    @reads
    def vectors_at(self, keys: NDArray[np.int64]) -> NDArray[Any]:
        """Embeddings of items by key."""
        return self.index.vectors(keys)

    def _columns_of(self, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """Label and metadata of rows, in the forms that users get."""
        columns = {}
        if self.labels is not None:
            columns["label"] = self.labels.decode(self.labels.codes.values[rows])
        return columns | {name: shown(column.values[rows]) for name, column in self.columns.items()}
