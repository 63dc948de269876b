"""A gallery on a server: many processes see the same items, and nothing about them is kept here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING, Any, final
from uuid import uuid4

import numpy as np

from skmetric.search._columns._types import INTEGER, TEXT, ColumnType, type_of
from skmetric.search._columns._where import Condition, conditions
from skmetric.search._index._exact import ExactIndex
from skmetric.search._index._hits import in_order
from skmetric.search._server._columns import ITEM_ID, LABEL, dtypes_of, typed_columns
from skmetric.search._server._reembedding import FIRST, replace
from skmetric.search._server._remote import batches

from ._gallery import EMPTY, NONE_PASSES, Gallery, Labelled, widened
from ._labels import LabelColumn
from ._layout import Layout, asked_ids, check_user_ids, refuse_duplicates, refuse_unknown
from ._memory import MemoryGallery
from ._metadata import GROUPS, check_metadata
from ._selection import parts_of
from ._whole import Whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.retrieval import Neighbors
    from skmetric.search._index._hits import Hits
    from skmetric.search._server._shared import SharedIndex
    from skmetric.search._server._store import Opened

    from ._samples import EmbedIds, Samples
    from ._selection import Selection

    Where = Mapping[str, Any] | Selection | None

_IDS = 8192  # of one request
_FRESH = 20  # sizes are asked for anew after one item in so many


@final
class ServerGallery(Gallery):
    """Items in the table or collection of an index; each call asks the server.

    Labels are the column "label" and ids of the user the column "item_id", whose values the server keeps
    unique where it can; without that column the ids are the index's own. Both are there since the first fill.
    """

    index: SharedIndex
    opened: Opened | None = None  # None in galleries that earlier versions pickled

    def __init__(self, index: SharedIndex) -> None:
        self.index = index
        store = index._opened()
        self.n_features, self.types = store.n_features, store.types
        self.opened = store.opened
        # with the number of items that were enrolled here since
        self._sizes: tuple[tuple[int, int], int] | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "dtypes" in state:  # of an earlier version
            state = state | {"types": {name: type_of(dtype) for name, dtype in state["dtypes"].items()}}
            del state["dtypes"]
        self.__dict__.update(state)

    @classmethod
    def start(cls, index, embeddings, ids, labels, metadata):
        """Fill the index, which must have no items."""
        columns = check_metadata(metadata, len(embeddings))
        if ITEM_ID in columns:
            raise ValueError(f"metadata {ITEM_ID!r}: the index has a column of that name, rename yours")
        ids = None if ids is None else check_user_ids(ids, len(embeddings))
        index._fill(None, embeddings, _held(ids, labels, columns), "start")
        return cls(index)

    @property
    def has_own_ids(self) -> bool:
        """Whether the user gave ids."""
        return ITEM_ID in self.types

    @property
    def has_labels(self) -> bool:
        return LABEL in self.types

    def __len__(self) -> int:
        return len(self.index)

    def has_column(self, name: str) -> bool:
        return name in self._metadata()

    def reading(self) -> AbstractContextManager[None]:
        """No more than each call promises: other processes change the same items."""
        return nullcontext()

    # Changes

    def add(self, embeddings: NDArray[Any], ids: Any, labels: Any, metadata: Any) -> None:
        """Enrol items under new keys; the server refuses ids that are in use."""
        rows = self._check(len(embeddings), ids, labels, metadata)
        keys = self.index.new_ids(len(embeddings))
        self.index._fill(keys, embeddings, _held(*rows), "add", self.opened)
        if self._sizes is not None:
            self._sizes = self._sizes[0], self._sizes[1] + len(embeddings)

    def update(self, ids: Any, embeddings: NDArray[Any], labels: Any, metadata: Any) -> None:
        """Replace items under their keys."""
        asked = asked_ids(ids)
        given, labels, columns = self._check(len(embeddings), asked, labels, metadata, is_update=True)
        held = _held(given if self.has_own_ids else None, labels, columns)
        self._at_keys(asked, lambda keys: self.index._fill(keys, embeddings, held, "replace", self.opened))

    def upsert(self, ids: Any, embeddings: NDArray[Any], labels: Any, metadata: Any) -> None:
        """Replace items under their keys, and enrol the others, in one request of the index."""
        rows = self._check(len(embeddings), ids, labels, metadata)
        asked = [] if rows[0] is None else rows[0].tolist()
        if not asked:
            raise ValueError("ids must be given, and at fit they were not: fit with ids= to upsert")
        found = self._found(asked)
        keys = np.array([found.get(i, -1) for i in asked], dtype=np.int64)
        keys[keys < 0] = self.index.new_ids(int((keys < 0).sum()))
        self.index._fill(keys, embeddings, _held(*rows), "upsert", self.opened)
        self._sizes = None

    def redescribe(self, ids: Any, metadata: Any) -> None:
        """Replace columns of items, in one request of the index."""
        asked = asked_ids(ids)
        columns = self._layout().described(len(asked), metadata)
        arrays, types = typed_columns(columns, len(asked), ())
        self._at_keys(asked, lambda keys: self._store.describe(keys, arrays, types))

    def remove(self, ids: Any) -> None:
        """Take items out."""
        self._at_keys(asked_ids(ids), self.index.remove)

    def _at_keys(self, ids, change):
        """Change the items of ids; once more where another process has replaced one in between."""
        try:
            return change(self.keys_of(ids))
        except KeyError:
            pass
        return change(self.keys_of(ids))

    def keys_of(self, ids: Any, named_by: str | None = None) -> NDArray[np.int64]:
        """Keys of items by id; KeyError if one is unknown, ValueError if one comes twice."""
        asked = asked_ids(ids, named_by)
        refuse_duplicates(asked, named_by)
        found = self._found(asked)
        refuse_unknown([i for i in asked if i not in found], named_by)
        return np.array([found[i] for i in asked], dtype=np.int64)

    def _found(self, asked):
        """Key of each id that is there."""
        kind = self.types[ITEM_ID] if self.has_own_ids else INTEGER
        asked = [i for i in asked if isinstance(i, str) == (kind is TEXT) and (kind is TEXT or _is_int64(i))]
        found: dict[Any, int] = {}
        for part in batches(len(asked), _IDS):
            found |= self._keys_by_id(asked[part], kind)
        return found

    def _keys_by_id(self, ids: list[Any], kind: ColumnType) -> dict[Any, int]:
        if not self.has_own_ids:
            return {key: key for key in self._store.known(np.array(ids, dtype=np.int64)).tolist()}
        keys, columns = self._store.columns(None, [ITEM_ID], [Condition(ITEM_ID, kind, tuple(ids))])
        return dict(zip(columns[ITEM_ID].tolist(), keys.tolist(), strict=True))

    def _layout(self):
        return Layout(
            self.types[ITEM_ID] is TEXT if self.has_own_ids else None,
            self.types[LABEL] is TEXT if self.has_labels else None,
            {name: np.empty(0, dtype=dtype) for name, dtype in self._metadata().items()},
        )

    def _check(self, n_items, ids, labels, metadata, is_update=False):
        ids, labels, columns = self._layout().check(n_items, ids, labels, metadata, is_update)
        return ids, _as_stored(labels, self.types.get(LABEL)), columns

    # The embedder

    def fingerprint(self) -> Any:
        """What the server keeps about the embedder of the items, as `keep_fingerprint` got it, or None."""
        try:
            return json.loads(self._store.fingerprint() or "null")
        except ValueError:  # edited by hand
            return None

    def keep_fingerprint(self, described: Any) -> None:
        """Keep what JSON can hold about the embedder of the items on the server; None drops it."""
        self._store.keep_fingerprint(None if described is None else json.dumps(described))
        self.opened = self._store.opened

    def reembedded(self, embed: EmbedIds, described: Any, samples: Samples) -> ServerGallery:
        """The gallery after all items got new embeddings, which `embed` gives for ids, on the server too.

        `described` is what `keep_fingerprint` takes; `samples` must cover all items.
        """
        if not len(self):
            raise ValueError(EMPTY)
        # of embeddings that a user brings nobody knows whether they are of the same embedder: never
        described = {"reembedded": uuid4().hex} if described is None else described

        def ids_of(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
            there, columns = self._store.columns(keys, [ITEM_ID] * self.has_own_ids)
            return there, columns.get(ITEM_ID, there)

        def by_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[Any]]:
            there, ids = ids_of(keys)
            return there, embed(ids) if len(there) else np.empty((0, 0))

        with closing(self.index._successor(json.dumps(described), self.opened)) as made:
            samples.check_cover(ids_of(made.waiting(FIRST, None)[0])[1])
            replace(made, by_keys, samples.batch_size, self._store.title)
        return type(self)(self.index)

    # What is there

    def all_ids(self) -> NDArray[Any]:
        keys, columns, _ = self._store.contents([ITEM_ID] * self.has_own_ids, with_vectors=False)
        return columns.get(ITEM_ID, keys)

    def all_labels(self) -> NDArray[Any] | None:
        return self._store.contents([LABEL], with_vectors=False)[1][LABEL] if self.has_labels else None

    def items(self, where: Where = None) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Ids, "label" and metadata of the items that pass."""
        names = [*self.names(), *[ITEM_ID] * self.has_own_ids]
        asked, keys = self.conditions(parts_of(where)[0]), self.keys_among(where)
        if keys is None:
            found, columns, _ = self._store.contents(names, with_vectors=False, conditions=asked)
        else:  # in their order
            found, columns = self._store.columns(keys, names, asked)
            place = dict(zip(found.tolist(), range(len(found)), strict=True))
            order = np.array([place[key] for key in keys.tolist() if key in place], dtype=np.intp)
            found, columns = found[order], {name: values[order] for name, values in columns.items()}
        return columns.pop(ITEM_ID, found), columns

    def classes(self) -> NDArray[Any]:
        return self._store.tally(LABEL)[0]

    def tally(self) -> tuple[LabelColumn, NDArray[np.integer[Any]]]:
        """Labels, and the number of items under each code."""
        values, counts = self._store.tally(LABEL)
        return LabelColumn(values), counts

    def sizes(self) -> tuple[int, int]:
        """Number of items and of classes; asked for after every twentieth part that is enrolled here."""
        if self._sizes is None or _FRESH * self._sizes[1] >= self._sizes[0][0]:
            if self.has_labels:
                counts = self._store.tally(LABEL)[1]
                self._sizes = (int(counts.sum()), len(counts)), 0
            else:
                self._sizes = (len(self), 0), 0
        return self._sizes[0]

    def known_sizes(self) -> tuple[int, int] | None:
        """As `sizes` last were."""
        return None if self._sizes is None else self._sizes[0]

    def whole(self) -> Whole:
        """All items."""
        names = [*self.names(), *[ITEM_ID] * self.has_own_ids]
        keys, columns, vectors = self._store.contents(names, expected=self.opened)
        ids, labels = columns.pop(ITEM_ID, keys), columns.pop(LABEL, None)
        counts = np.array_equal(ids, np.arange(len(ids))) and not self.has_own_ids
        return Whole(vectors, None if counts else ids, labels, columns)  # type: ignore[arg-type]  # fetched

    def in_memory(self) -> MemoryGallery:
        """What is there now, with no metadata but groups, as a gallery over an exact index."""
        kept = [GROUPS] * self.has_column(GROUPS)
        names = [LABEL] * self.has_labels + [ITEM_ID] * self.has_own_ids + kept
        keys, columns, vectors = self._store.contents(names, expected=self.opened)
        if not len(keys):
            raise ValueError(EMPTY)
        metadata = {name: columns[name] for name in kept} or None
        return MemoryGallery(ExactIndex(), vectors, columns.get(ITEM_ID, keys), columns.get(LABEL), metadata)

    # Searches: one round trip

    def neighbors(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """Neighbours with rows for indices; the server counts the rows that come before."""
        found = self.up_to(embeddings, k, where)
        return widened(found, min(k, len(self))) if found.indices.shape[1] < k else found

    def up_to(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """As `neighbors`, but no wider than what a filter leaves."""
        return self._hits(embeddings, k, (), where, is_ranked=True).neighbors(len(embeddings))

    def exactly(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """As `up_to`: the index of the server may be approximate."""
        return self.up_to(embeddings, k, where)

    def labelled(
        self, embeddings: NDArray[Any], k: int, where: Where = None, labels: LabelColumn | None = None
    ) -> Labelled:
        """Neighbours with their classes."""
        hits = self._hits(embeddings, k, (LABEL,), where)
        if not len(hits.ids):
            raise ValueError(NONE_PASSES.format(where=where))
        return Labelled.of_hits(hits, len(embeddings), labels)

    def of_other_classes(
        self,
        embeddings: NDArray[Any],
        label: Any,
        k: int,
        where: Where = None,
        labels: LabelColumn | None = None,
    ) -> Labelled:
        """Neighbours with their classes, among the items of other classes than that of a label."""
        plain = label.item() if isinstance(label, np.generic) else label
        another = Condition(LABEL, self.types[LABEL], (plain,), negated=True)
        hits = self._asked(embeddings, k, (LABEL,), where, also=[another])
        return Labelled.of_hits(hits, len(embeddings), labels)

    def hits(self, embeddings: NDArray[Any], k: int, where: Where = None, names: Sequence[str] = ()) -> Hits:
        """Hits with rows for ids."""
        return self._hits(embeddings, k, names, where, is_ranked=True)

    def keyed(self, embeddings: NDArray[Any], k: int, where: Where = None, names: Sequence[str] = ()) -> Hits:
        """Hits with keys for ids, and all columns, which come in the same round trip."""
        return self._hits(embeddings, k, [*self.names(), *[ITEM_ID] * self.has_own_ids], where)

    def named(self, hits: Hits) -> Hits:
        """Hits of `keyed` under the ids of the user."""
        columns = dict(hits.columns)
        return hits._replace(ids=columns.pop(ITEM_ID, hits.ids), columns=columns)

    def conditions(self, where: Any) -> list[Condition]:
        """Conditions of a filter."""
        dtypes = dtypes_of({name: kind for name, kind in self.types.items() if name != ITEM_ID})
        return [] if where is None else conditions(where, dtypes)

    def names(self) -> list[str]:
        return [LABEL] * self.has_labels + list(self._metadata())

    def rows(self, keys: NDArray[Any]) -> NDArray[np.intp]:
        """Row of each key."""
        return in_order(self._store.contents([], with_vectors=False)[0], keys)

    def vectors_at(self, keys: NDArray[np.int64]) -> NDArray[Any]:
        """Embeddings of items by key."""
        return self._store.vectors(keys, self.opened)

    def _asked(self, embeddings, k, names, where, is_ranked=False, also=()):
        """Up to `k` hits of each query, among those that pass a filter or a `Selection`."""
        also = [*self.conditions(parts_of(where)[0]), *also]
        keys = self.keys_among(where)
        return self.index._look_up(
            embeddings, k, names, among=keys, also=also, is_ranked=is_ranked, expected=self.opened
        )

    def _hits(self, embeddings, k, names, where, is_ranked=False):
        """Up to `k` hits of each query; a gallery without items is refused, if there is no filter."""
        hits = self._asked(embeddings, k, names, where, is_ranked)
        if not len(hits.ids) and where is None:
            raise ValueError(EMPTY)
        return hits

    # A folder

    def describe(self) -> dict[str, Any]:
        """Nothing: it is on the server."""
        return {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """None."""
        return {}

    @property
    def _store(self):
        return self.index._opened()

    def _metadata(self):
        """Columns of metadata by dtype."""
        return {name: kind.dtype for name, kind in self.types.items() if name not in (LABEL, ITEM_ID)}


def _held(ids, labels, columns):
    """What the index will hold of items."""
    own = {ITEM_ID: ids, LABEL: labels}
    return columns | {name: values for name, values in own.items() if values is not None}


def _as_stored(labels, kind):
    """Labels of the type of their column: those that scikit-learn takes for classes are whole numbers."""
    if labels is None or labels.dtype.kind != "f" or kind is not INTEGER:
        return labels
    return labels.astype(np.int64)


def _is_int64(value):
    return -(2**63) <= value < 2**63
