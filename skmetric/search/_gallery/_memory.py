"""A gallery in memory: ids, labels and metadata of items beside an index of their embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, final

import numpy as np

from skmetric._folder._arrays import Mapped
from skmetric.retrieval import Neighbors, nearest
from skmetric.search._columns._types import TEXT, as_text, shown, type_of
from skmetric.search._index._exact import ExactIndex
from skmetric.search._index._growing import GrowingArray
from skmetric.search._index._hits import Hits

from ._gallery import EMPTY, NONE_PASSES, Labelled, no_neighbors, widened
from ._held_items import HeldItems
from ._items import Items, KeysById, Made
from ._labels import LabelColumn, is_text
from ._layout import Layout, asked_ids, check_user_ids
from ._lock import SharedLock, reads, writes
from ._metadata import check_metadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric._folder._arrays import StoredArrays
    from skmetric.search._index._index import Index

    from ._selection import Selection

    Where = Mapping[str, Any] | Selection | None


@final
class MemoryGallery(HeldItems):
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

    def _layout(self) -> Layout:
        columns = {name: column.values for name, column in self.columns.items()}
        has_text_ids = type_of(self.ids.dtype) is TEXT if self.has_own_ids else None
        return Layout(has_text_ids, None if self.labels is None else self.labels.is_text, columns)

    def in_memory(self) -> MemoryGallery:
        """Itself."""
        return self

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
