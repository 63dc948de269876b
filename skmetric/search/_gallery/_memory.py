"""A gallery in memory: ids, labels and metadata of items beside an index of their embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from skmetric._checks import encode_labels
from skmetric._folder._arrays import Mapped
from skmetric._input._groups import check_groups
from skmetric._kernel import _squares
from skmetric.retrieval import Neighbors, nearest
from skmetric.search._columns._types import TEXT, as_text, shown, type_of
from skmetric.search._columns._where import Condition, conditions
from skmetric.search._gallery._side import Side
from skmetric.search._index._exact import ExactIndex
from skmetric.search._index._growing import GrowingArray
from skmetric.search._index._hits import Hits

from ._gallery import EMPTY, NONE_PASSES, Gallery, Labelled, no_neighbors, widened
from ._items import Items, KeysById, Made
from ._labels import LabelColumn, is_text
from ._layout import Layout, asked_ids, check_user_ids, refuse_duplicates, refuse_unknown
from ._lock import SharedLock, reads, writes
from ._metadata import GROUPS, check_metadata
from ._selection import parts_of
from ._whole import Whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric._folder._arrays import StoredArrays
    from skmetric.search._index._index import Index

    from ._selection import Selection

    Where = Mapping[str, Any] | Selection | None

_PICKLED = ("index", "keys", "ids", "labels", "columns", "next_key", "samples")  # of `Items`


@final
class MemoryGallery(Gallery):
    """Ids, labels and metadata of items, row by row, in the order of enrolment.

    The index knows items by `keys`, integers that ascend and are never used twice; users know them by `ids`.
    Threads may search while one changes it. A change makes the next state of the items beside the present
    one, and puts it in its place by one assignment: whatever cuts it short, the gallery is as it was.
    """

    def __init__(
        self,
        index: Index,
        embeddings: NDArray[Any],
        ids: Any,
        labels: NDArray[Any] | None,
        metadata: Any,
        samples: NDArray[Any] | None = None,
    ) -> None:
        n_items = len(embeddings)
        keys = np.arange(n_items)
        columns = check_metadata(metadata, n_items)
        own_ids = keys if ids is None else check_user_ids(ids, n_items)
        index.add(keys, embeddings)
        self.lock = SharedLock()
        self.has_own_ids = ids is not None
        self._items = Items(
            index,
            GrowingArray(keys),
            GrowingArray(own_ids),
            None if labels is None else LabelColumn(labels),
            {name: GrowingArray(values) for name, values in columns.items()},
            n_items,
            KeysById(),
            Made(),
            None if samples is None else GrowingArray(samples),
        )

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

    # Changes

    @writes
    def add(
        self,
        embeddings: NDArray[Any],
        ids: Any,
        labels: Any,
        metadata: Any,
        samples: NDArray[Any] | None = None,
    ) -> None:
        rows = self._layout().check(len(embeddings), ids, labels, metadata)
        if rows[0] is not None:
            known = self._items.known()
            used = next((i for i in rows[0].tolist() if i in known), None)
            if used is not None:
                raise ValueError(f"id {used!r} is in the gallery already: use update, or remove it first")
        self._items = self._items.with_items(embeddings, *rows, samples)

    @writes
    def update(
        self,
        ids: Any,
        embeddings: NDArray[Any],
        labels: Any,
        metadata: Any,
        samples: NDArray[Any] | None = None,
    ) -> None:
        """Replace items; they move to the end."""
        ids = asked_ids(ids)
        old = self.keys_of(ids)
        rows = self._layout().check(len(embeddings), ids, labels, metadata, is_update=True)
        self._items = self._items.with_items(embeddings, *rows, samples).without(old)

    @writes
    def upsert(
        self,
        ids: Any,
        embeddings: NDArray[Any],
        labels: Any,
        metadata: Any,
        samples: NDArray[Any] | None = None,
    ) -> None:
        """Replace items, which move to the end, and enrol the others."""
        rows = self._layout().check(len(embeddings), ids, labels, metadata)
        known = self._items.known()
        old = [known[i] for i in ([] if rows[0] is None else rows[0].tolist()) if i in known]
        items = self._items.with_items(embeddings, *rows, samples)
        self._items = items.without(np.array(old, dtype=np.int64)) if old else items

    @writes
    def redescribe(self, ids: Any, metadata: Any) -> None:
        """Replace columns: new ones are made aside, and put in the place of the old at once."""
        rows = self.rows(self.keys_of(ids))
        self._items = self._items.described(rows, self._layout().described(len(rows), metadata))

    @writes
    def remove(self, ids: Any) -> None:
        """Take items out, with all that tells of them."""
        keys = self.keys_of(ids)
        if len(keys):
            self._items = self._items.without(keys)

    def keys_of(self, ids: Any, named_by: str | None = None) -> NDArray[np.int64]:
        """Keys of items by id; KeyError if one is unknown, ValueError if one comes twice."""
        ids, known = asked_ids(ids, named_by), self._items.known()
        refuse_unknown([i for i in ids if i not in known], named_by)
        refuse_duplicates(ids, named_by)
        return np.array([known[i] for i in ids], dtype=np.int64)

    def _layout(self) -> Layout:
        columns = {name: column.values for name, column in self.columns.items()}
        has_text_ids = type_of(self.ids.dtype) is TEXT if self.has_own_ids else None
        return Layout(has_text_ids, None if self.labels is None else self.labels.is_text, columns)

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

    def in_memory(self) -> MemoryGallery:
        """Itself."""
        return self

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

    # Searches

    @reads
    def neighbors(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """Neighbours with rows for indices."""
        return widened(self.up_to(embeddings, k, where), min(k, len(self)))

    @reads
    def up_to(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """As `neighbors`, but no wider than what a filter leaves."""
        if not len(self):
            raise ValueError(EMPTY)
        passing = None if where is None else self.passing(where)
        k = min(k, len(self) if passing is None else len(passing))
        if not k:
            return no_neighbors(len(embeddings))
        if passing is None:
            found = self.index.query(embeddings, k)
        else:
            found = self.index.query(embeddings, k, among=self.keys.values[passing])
        return Neighbors(found.distances, self.rows(found.indices))

    @reads
    def exactly(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """As `up_to`, by an exact search of the embeddings that the index keeps."""
        if isinstance(self.index, ExactIndex) or not len(self):
            return self.up_to(embeddings, k, where)
        if where is None:
            return nearest(embeddings, self.searchable(), min(k, len(self)))
        passing = self.passing(where)
        if not len(passing):
            return no_neighbors(len(embeddings))
        found = nearest(embeddings, self.index.vectors()[passing], min(k, len(passing)))
        return found._replace(indices=passing[found.indices])

    @reads
    def labelled(
        self, embeddings: NDArray[Any], k: int, where: Where = None, labels: LabelColumn | None = None
    ) -> Labelled:
        """Neighbours with their classes."""
        found = self.up_to(embeddings, k, where)
        if not found.indices.shape[1]:
            raise ValueError(NONE_PASSES.format(where=where))
        codes = np.where(found.indices < 0, -1, self.labels.codes.values[found.indices])
        return Labelled(found.distances, codes, self.labels)

    @reads
    def of_other_classes(
        self,
        embeddings: NDArray[Any],
        label: Any,
        k: int,
        where: Where = None,
        labels: LabelColumn | None = None,
    ) -> Labelled:
        """Neighbours with their classes, among the items of other classes than that of a label."""
        rows, codes = self.passing(where), self.labels.codes.values
        rows = rows[codes[rows] != self.labels.encode(np.array([label]))[0]]
        if not len(rows):
            nothing = no_neighbors(len(embeddings))
            return Labelled(nothing.distances, nothing.indices, self.labels)
        found = self.index.query(embeddings, min(k, len(rows)), among=self.keys.values[rows])
        at = self.rows(found.indices)
        return Labelled(found.distances, np.where(at < 0, -1, codes[at]), self.labels)

    @reads
    def hits(self, embeddings: NDArray[Any], k: int, where: Where = None, names: Sequence[str] = ()) -> Hits:
        """Hits with rows for ids."""
        return self.as_hits(self.up_to(embeddings, k, where), names)

    @reads
    def keyed(self, embeddings: NDArray[Any], k: int, where: Where = None, names: Sequence[str] = ()) -> Hits:
        """Hits with keys for ids."""
        return self.with_keys(self.hits(embeddings, k, where, names))

    @reads
    def named(self, hits: Hits) -> Hits:
        """Hits of `keyed` with all that is known of them."""
        rows = self.rows(hits.ids)
        return hits._replace(ids=shown(self.ids.values[rows]), columns=self._columns_of(rows))

    def with_keys(self, hits: Hits) -> Hits:
        """Hits whose ids are rows with their keys instead."""
        return hits._replace(ids=self.keys.values[hits.ids])

    def as_hits(self, found: Neighbors, names: Sequence[str] = ()) -> Hits:
        """Neighbours, whose indices are rows, as hits; without those of row -1."""
        queries = np.repeat(np.arange(len(found.indices)), found.indices.shape[1])
        rows, distances = found.indices.ravel(), found.distances.ravel()
        if (rows < 0).any():
            is_found = rows >= 0
            queries, rows, distances = queries[is_found], rows[is_found], distances[is_found]
        return Hits(queries, rows, distances, {name: self._values(name)[rows] for name in names})

    @reads
    def described(self, found: Neighbors) -> Hits:
        """Neighbours, whose indices are rows, as hits with ids and columns; without those of row -1."""
        return self.named(self.with_keys(self.as_hits(found)))

    def _columns_of(self, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """Label and metadata of rows, in the forms that users get."""
        columns = {}
        if self.labels is not None:
            columns["label"] = self.labels.decode(self.labels.codes.values[rows])
        return columns | {name: shown(column.values[rows]) for name, column in self.columns.items()}

    # A folder

    def describe(self) -> dict[str, Any]:
        """What is not in `arrays`, as JSON."""
        return {
            "next_key": self.next_key,
            "has_own_ids": self.has_own_ids,
            "has_labels": self.labels is not None,
            "has_samples": self.samples is not None,
            "columns": list(self.columns),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All rows as arrays by name; columns of metadata by number."""
        arrays = {"keys": self.keys.values, "ids": self.ids.values}
        if self.labels is not None:
            arrays["labels"] = self.labels.decode(np.arange(len(self.labels)))
            arrays["codes"] = self.labels.codes.values
        if self.samples is not None:
            arrays["samples"] = self.samples.values
        return arrays | {f"metadata_{i}": column.values for i, column in enumerate(self.columns.values())}

    @classmethod
    def restore(cls, index: Index, described: dict[str, Any], arrays: StoredArrays) -> MemoryGallery:
        """The gallery that `describe` and `arrays` wrote."""
        labels = None
        if described["has_labels"]:
            labels = LabelColumn.of_file(shown(arrays["labels"]), GrowingArray.of_file(arrays["codes"]))
        gallery = cls.__new__(cls)
        gallery.lock = SharedLock()
        gallery.has_own_ids = described["has_own_ids"]
        gallery._items = Items(
            index,
            GrowingArray.of_file(arrays["keys"]),
            _restored("ids", arrays),
            labels,
            {name: _restored(f"metadata_{i}", arrays) for i, name in enumerate(described["columns"])},
            described["next_key"],
            KeysById(),
            Made(),
            _restored("samples", arrays) if described.get("has_samples") else None,
        )
        return gallery


def _restored(name: str, arrays: StoredArrays) -> GrowingArray:
    """An array of a folder: numbers mapped, text read when it is first needed."""
    part = arrays.part(name)
    if isinstance(part, Mapped):
        return GrowingArray.of_file(part.values, part.verify)
    if part.is_text:
        return GrowingArray.of_texts(len(part), part.texts)
    values = part.read()
    return GrowingArray(as_text(values.tolist()) if is_text(values) else values)
