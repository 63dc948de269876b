"""A gallery in memory: ids, labels and metadata of items beside an index of their embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, final

import numpy as np

from skmetric import _kernel
from skmetric.retrieval import Neighbors
from skmetric.search._gallery._side import Side
from skmetric.search._index._columns import TEXT, as_text, shown, type_of
from skmetric.search._index._exact import ExactIndex
from skmetric.search._index._growing import GrowingArray
from skmetric.search._index._hits import Hits
from skmetric.search._index._where import conditions

from ._gallery import EMPTY, NONE_PASSES, Gallery, Labelled, no_neighbors, widened
from ._labels import LabelColumn, is_text
from ._layout import Layout, asked_ids, check_user_ids, refuse_duplicates
from ._lock import SharedLock, reads, writes
from ._metadata import check_metadata
from ._selection import parts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._index._index import Index

    from ._selection import Selection

    Where = Mapping[str, Any] | Selection | None


@final
class MemoryGallery(Gallery):
    """Ids, labels and metadata of items, row by row, in the order of enrolment.

    The index knows items by `keys`, integers that ascend and are never used twice; users know them by `ids`.
    Threads may search while one changes it.
    """

    labels: LabelColumn  # None without labels
    prototypes: tuple[Any, Side] | None  # a matcher and its prototypes, until the gallery changes
    by_class: Any  # the order of rows by class, until the gallery changes
    ranked: tuple[Any, dict[Any, Any]] | None  # what ranking options made of a state of the gallery
    _searchable: _kernel.Gallery | None

    def __init__(
        self,
        index: Index,
        embeddings: NDArray[Any],
        ids: Any,
        labels: NDArray[Any] | None,
        metadata: Any,
    ) -> None:
        n_items = len(embeddings)
        self.lock = SharedLock()
        self.index = index
        self.has_own_ids = ids is not None
        self.keys = GrowingArray(np.arange(n_items))
        self.next_key = n_items
        self.ids = GrowingArray(self.keys.values if ids is None else check_user_ids(ids, n_items))
        self._key_of: dict[Any, int] = {}
        self._enter(self.ids.values, self.keys.values)
        self.labels = None if labels is None else LabelColumn(labels)  # type: ignore[assignment]
        self._changed()
        self.ranked = None
        self.columns = {
            name: GrowingArray(values) for name, values in check_metadata(metadata, n_items).items()
        }
        index.add(self.keys.values, embeddings)

    @property
    def has_labels(self) -> bool:
        return self.labels is not None

    def __len__(self) -> int:
        return len(self.keys)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"prototypes": None, "by_class": None, "ranked": None, "_searchable": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.ranked = None  # an earlier version kept something else there
        self._changed()

    def _changed(self) -> None:
        """Forget what was made of the items."""
        self.prototypes, self.by_class, self._searchable = None, None, None

    def has_column(self, name: str) -> bool:
        return name in self.columns

    def reading(self) -> AbstractContextManager[None]:
        """A context in which no other thread changes anything."""
        return self.lock.reading()

    # Changes

    @writes
    def add(self, embeddings: NDArray[Any], ids: Any, labels: Any, metadata: Any) -> None:
        self._append(embeddings, *self._layout().check(len(embeddings), ids, labels, metadata))

    @writes
    def update(self, ids: Any, embeddings: NDArray[Any], labels: Any, metadata: Any) -> None:
        """Replace items; they move to the end."""
        ids = asked_ids(ids)
        old = self.keys_of(ids)
        rows = self._layout().check(len(embeddings), ids, labels, metadata, is_update=True)
        self._drop(old)
        self._append(embeddings, *rows)

    @writes
    def upsert(self, ids: Any, embeddings: NDArray[Any], labels: Any, metadata: Any) -> None:
        """Replace items, which move to the end, and enrol the others."""
        rows = self._layout().check(len(embeddings), ids, labels, metadata)
        known = [] if rows[0] is None else [i for i in rows[0].tolist() if i in self._key_of]
        if known:
            self._drop(self.keys_of(known))
        self._append(embeddings, *rows)

    @writes
    def redescribe(self, ids: Any, metadata: Any) -> None:
        """Replace columns: new ones are made aside, and put in the place of the old at once."""
        rows = self.rows(self.keys_of(ids))
        made = {}
        for name, values in self._layout().described(len(rows), metadata).items():
            old = self.columns[name].values
            whole = old.astype(np.result_type(old.dtype, values.dtype))  # a copy
            whole[rows] = values
            made[name] = GrowingArray(whole)
        self.columns = self.columns | made

    @writes
    def remove(self, ids: Any) -> None:
        """Take items out."""
        self._drop(self.keys_of(ids))

    def keys_of(self, ids: Any) -> NDArray[np.int64]:
        """Keys of items by id; KeyError if one is unknown, ValueError if one comes twice."""
        ids = asked_ids(ids)
        unknown = [i for i in ids if i not in self._key_of]
        if unknown:
            more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
            raise KeyError(f"id {unknown[0]!r} is not in the gallery{more}: nothing was changed")
        refuse_duplicates(ids)
        return np.array([self._key_of[i] for i in ids], dtype=np.int64)

    def _append(self, embeddings, ids, labels, columns):
        keys = np.arange(self.next_key, self.next_key + len(embeddings))
        ids = keys if ids is None else ids
        used = next((i for i in ids.tolist() if i in self._key_of), None)
        if used is not None:
            raise ValueError(f"id {used!r} is in the gallery already: use update, or remove it first")
        self.index.add(keys, embeddings)
        self._changed()
        self.keys.append(keys)
        self.ids.append(ids)
        self._enter(ids, keys)
        self.next_key = int(keys[-1]) + 1
        if labels is not None:
            self.labels.append(labels)
        for name, values in columns.items():
            self.columns[name].append(values)

    def _drop(self, keys):
        self.index.remove(keys)
        self._changed()
        kept = np.ones(len(self), dtype=bool)
        kept[self.rows(keys)] = False
        for i in self.ids.values[~kept].tolist():
            del self._key_of[i]
        for array in (self.keys, self.ids, *self.columns.values()):
            array.keep(kept)
        if self.labels is not None:
            self.labels.keep(kept)

    def _layout(self):
        columns = {name: column.values for name, column in self.columns.items()}
        has_text_ids = type_of(self.ids.values.dtype) is TEXT if self.has_own_ids else None
        return Layout(has_text_ids, None if self.labels is None else self.labels.is_text, columns)

    def _enter(self, ids, keys):
        self._key_of.update(zip(ids.tolist(), keys.tolist(), strict=True))

    # What is here

    @reads
    def all_ids(self) -> NDArray[Any]:
        return shown(self.ids.values.copy())

    @reads
    def items(self, where: Where = None) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Ids, "label" and metadata of the items that pass."""
        rows = np.arange(len(self)) if where is None else self.passing(where)
        among = parts_of(where)[1]
        if among is not None:  # in their order
            at = self.rows(self.keys_of(among))
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
        return self.labels, np.bincount(self.labels.codes.values, minlength=len(self.labels.code_of))

    @reads
    def sizes(self) -> tuple[int, int]:
        """Number of items and of classes."""
        return len(self), 0 if self.labels is None else len(self.labels.present)

    def known_sizes(self) -> tuple[int, int]:
        """As `sizes`."""
        return self.sizes()

    def rows(self, keys: NDArray[Any]) -> NDArray[np.intp]:
        """Row of each key, -1 for -1; keys ascend, so this is a binary search."""
        return np.where(keys < 0, -1, np.searchsorted(self.keys.values, keys))

    def side(self) -> Side:
        """Embeddings and class codes, row by row."""
        return Side(self.index.vectors(), self.labels.codes.values)

    def searchable(self) -> _kernel.Gallery:
        """The embeddings, row by row, as the kernel searches them; kept until the gallery changes."""
        if isinstance(self.index, ExactIndex):
            return self.index._searchable()
        if self._searchable is None:
            self._searchable = _kernel.Gallery(self.index.vectors())
        return self._searchable

    def in_memory(self) -> MemoryGallery:
        """Itself."""
        return self

    def passing(self, where: Where) -> NDArray[np.intp]:
        """Rows that pass a filter or a `Selection`; maybe none."""
        where, among = parts_of(where)
        mask = np.ones(len(self), dtype=bool)
        if among is not None:
            mask[:] = False
            mask[self.rows(self.keys_of(among))] = True
        if where is None:
            return np.flatnonzero(mask)
        columns = {name: column.values for name, column in self.columns.items()}
        if self.labels is not None:
            columns.setdefault("label", self.all_labels())
        asked = conditions(where, {name: values.dtype for name, values in columns.items()})
        for condition in asked:
            mask &= condition.passes(columns[condition.column])
        return np.flatnonzero(mask)

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
        keys: dict[str, Any] = {} if passing is None else {"among": self.keys.values[passing]}
        found = self.index.query(embeddings, k, **keys)
        return Neighbors(found.distances, self.rows(found.indices))

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
    def look_up(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Hits:
        """Hits with all that is known of them."""
        return self.described(self.up_to(embeddings, k, where))

    @reads
    def described(self, found: Neighbors) -> Hits:
        """Neighbours, whose indices are rows, as hits with ids and columns; without those of row -1."""
        queries = np.repeat(np.arange(len(found.indices)), found.indices.shape[1])
        rows, distances = found.indices.ravel(), found.distances.ravel()
        if (rows < 0).any():
            is_found = rows >= 0
            queries, rows, distances = queries[is_found], rows[is_found], distances[is_found]
        return Hits(queries, shown(self.ids.values[rows]), distances, self._columns_of(rows))

    def _columns_of(self, rows):
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
            "columns": list(self.columns),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All rows as arrays by name; columns of metadata by number."""
        arrays = {"keys": self.keys.values, "ids": self.ids.values}
        if self.labels is not None:
            arrays["labels"] = self.labels.decode(np.arange(len(self.labels.code_of)))
            arrays["codes"] = self.labels.codes.values
        return arrays | {f"metadata_{i}": column.values for i, column in enumerate(self.columns.values())}

    @classmethod
    def restore(cls, index, described, arrays):
        """The gallery that `describe` and `arrays` wrote."""
        gallery = cls.__new__(cls)
        gallery.lock = SharedLock()
        gallery.index = index
        gallery.has_own_ids, gallery.next_key = described["has_own_ids"], described["next_key"]
        gallery.keys, gallery.ids = GrowingArray.of_file(arrays["keys"]), _restored("ids", arrays)
        gallery._key_of = {}
        gallery._enter(gallery.ids.values, arrays["keys"])
        gallery.labels = None  # type: ignore[assignment]
        if described["has_labels"]:
            gallery.labels = LabelColumn(shown(arrays["labels"]))
            gallery.labels.codes = GrowingArray.of_file(arrays["codes"])
        gallery.columns = {
            name: _restored(f"metadata_{i}", arrays) for i, name in enumerate(described["columns"])
        }
        gallery._changed()
        gallery.ranked = None
        return gallery


def _restored(name, arrays):
    """An array of a folder, mapped where it is as it was; text is read."""
    values = arrays[name]
    return GrowingArray(as_text(values.tolist())) if is_text(values) else GrowingArray.of_file(values)
