"""A gallery in memory: ids, labels and metadata of items beside an index of their embeddings."""

from typing import final

import numpy as np

from skmetric.retrieval import Neighbors
from skmetric.search._gallery._side import Side
from skmetric.search._index._growing import GrowingArray
from skmetric.search._index._hits import Hits
from skmetric.search._index._where import conditions

from ._gallery import EMPTY, Gallery, Labelled
from ._labels import LabelColumn
from ._layout import Layout, check_user_ids, refuse_duplicates
from ._lock import SharedLock, reads, writes
from ._metadata import check_metadata


@final
class MemoryGallery(Gallery):
    """Ids, labels and metadata of items, row by row, in the order of enrolment.

    The index knows items by `keys`, integers that ascend and are never used twice; users know them by `ids`.
    Threads may search while one changes it.
    """

    def __init__(self, index, embeddings, ids, labels, metadata):
        n_items = len(embeddings)
        self.lock = SharedLock()
        self.index = index
        self.has_own_ids = ids is not None
        self.keys = GrowingArray(np.arange(n_items))
        self.next_key = n_items
        self.ids = GrowingArray(self.keys.values if ids is None else check_user_ids(ids, n_items))
        self._key_of = {}
        self._enter(self.ids.values, self.keys.values)
        self.labels = None if labels is None else LabelColumn(labels)
        self.prototypes = None  # of the matcher, until the gallery changes
        self.ranked = None  # what ranking options made of it, until it changes
        self.columns = {
            name: GrowingArray(values) for name, values in check_metadata(metadata, n_items).items()
        }
        index.add(self.keys.values, embeddings)

    @property
    def has_labels(self):
        """Whether items have labels."""
        return self.labels is not None

    def __len__(self):
        return len(self.keys)

    def __getstate__(self):
        return self.__dict__ | {"ranked": None}

    def has_column(self, name):
        """Whether items have a column of metadata of that name."""
        return name in self.columns

    def reading(self):
        """A context in which no other thread changes anything."""
        return self.lock.reading()

    # Changes

    @writes
    def add(self, embeddings, ids, labels, metadata):
        """Enrol items, all or none."""
        self._append(embeddings, *self._layout().check(len(embeddings), ids, labels, metadata))

    @writes
    def update(self, ids, embeddings, labels, metadata):
        """Replace items; they move to the end."""
        ids = np.atleast_1d(np.asarray(ids))
        old = self.keys_of(ids)
        rows = self._layout().check(len(embeddings), ids, labels, metadata, is_update=True)
        self._drop(old)
        self._append(embeddings, *rows)

    @writes
    def remove(self, ids):
        """Take items out."""
        self._drop(self.keys_of(ids))

    def keys_of(self, ids):
        """Keys of items by id; KeyError if one is unknown, ValueError if one comes twice."""
        ids = np.atleast_1d(np.asarray(ids)).tolist()
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
        self.prototypes = None
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
        self.prototypes = None
        kept = np.ones(len(self), dtype=bool)
        kept[self.rows(keys)] = False
        for i in self.ids.values[~kept].tolist():
            del self._key_of[i]
        for array in (self.keys, self.ids, *self.columns.values()):
            array.keep(kept)
        if self.labels is not None:
            self.labels.keep(kept)

    def _layout(self):
        columns = {name: column.values.dtype for name, column in self.columns.items()}
        id_kind = self.ids.values.dtype.kind if self.has_own_ids else None
        return Layout(id_kind, None if self.labels is None else self.labels.is_text, columns)

    def _enter(self, ids, keys):
        self._key_of.update(zip(ids.tolist(), keys.tolist(), strict=True))

    # What is here

    @reads
    def all_ids(self):
        """Ids, row by row."""
        return self.ids.values.copy()

    @reads
    def all_labels(self):
        """Labels, row by row; None without labels."""
        return None if self.labels is None else self.labels.decode(self.labels.codes.values)

    @reads
    def classes(self):
        """Labels of the classes that have an item, sorted."""
        return self.labels.classes

    @reads
    def tally(self):
        """Labels, and the number of items under each code."""
        return self.labels, np.bincount(self.labels.codes.values, minlength=len(self.labels.code_of))

    @reads
    def sizes(self):
        """Number of items and of classes."""
        return len(self), 0 if self.labels is None else len(self.labels.present)

    def rows(self, keys):
        """Row of each key, -1 for -1; keys ascend, so this is a binary search."""
        return np.where(keys < 0, -1, np.searchsorted(self.keys.values, keys))

    def side(self):
        """Embeddings and class codes, row by row."""
        return Side(self.index.vectors(), self.labels.codes.values)

    def in_memory(self):
        """Itself."""
        return self

    def passing(self, where, k=1):
        """Rows that pass a filter, `k` or more: a dict of columns and what they must hold."""
        columns = {name: column.values for name, column in self.columns.items()}
        if self.labels is not None:
            columns.setdefault("label", self.all_labels())
        asked = conditions(where, {name: values.dtype for name, values in columns.items()})
        masks = [condition.passes(columns[condition.column]) for condition in asked]
        rows = np.flatnonzero(np.logical_and.reduce(masks))
        if not len(rows):
            raise ValueError(f"no item of the gallery passes where={where!r}")
        if k > len(rows):
            raise ValueError(f"n_neighbors={k} is more than the {len(rows)} items that pass where={where!r}")
        return rows

    # Searches

    @reads
    def neighbors(self, embeddings, k, where=None):
        """Neighbours with rows for indices."""
        return self._among(embeddings, k, None if where is None else self.passing(where, k))

    @reads
    def up_to(self, embeddings, k, where=None):
        """As `neighbors`, but fewer where there are fewer."""
        passing = None if where is None else self.passing(where)
        n_items = len(self) if passing is None else len(passing)
        return self._among(embeddings, min(k, max(n_items, 1)), passing)

    @reads
    def labelled(self, embeddings, k, where=None, labels=None):
        """Neighbours with their classes."""
        if not len(self):
            raise ValueError(EMPTY)
        found = self.up_to(embeddings, k, where)
        codes = np.where(found.indices < 0, -1, self.labels.codes.values[found.indices])
        return Labelled(found.distances, codes, self.labels)

    @reads
    def look_up(self, embeddings, k, where=None):
        """Hits with all that is known of them."""
        return self.described(self.neighbors(embeddings, k, where))

    @reads
    def described(self, found):
        """Neighbours, whose indices are rows, as hits with ids and columns; without those of row -1."""
        queries = np.repeat(np.arange(len(found.indices)), found.indices.shape[1])
        rows, distances = found.indices.ravel(), found.distances.ravel()
        if (rows < 0).any():
            queries, rows, distances = (part[rows >= 0] for part in (queries, rows, distances))
        columns = {}
        if self.labels is not None:
            columns["label"] = self.labels.decode(self.labels.codes.values[rows])
        columns |= {name: column.values[rows] for name, column in self.columns.items()}
        return Hits(queries, self.ids.values[rows], distances, columns)

    def _among(self, embeddings, k, passing):
        keys = {} if passing is None else {"among": self.keys.values[passing]}
        found = self.index.query(embeddings, k, **keys)
        return Neighbors(found.distances, self.rows(found.indices))

    # A folder

    def describe(self):
        """What is not in `arrays`, as JSON."""
        return {
            "next_key": self.next_key,
            "has_own_ids": self.has_own_ids,
            "has_labels": self.labels is not None,
            "columns": list(self.columns),
        }

    def arrays(self):
        """All rows as arrays by name; columns of metadata by number."""
        arrays = {"keys": self.keys.values, "ids": self.ids.values}
        if self.labels is not None:
            names = self.labels.decode(np.arange(len(self.labels.code_of)))
            if names.dtype == object and all(isinstance(name, str) for name in names):
                names = names.astype(str)
            arrays |= {"codes": self.labels.codes.values, "labels": names}
        columns = self.columns.values()
        return arrays | {f"metadata_{i}": column.values for i, column in enumerate(columns)}

    @classmethod
    def restore(cls, index, described, arrays):
        """The gallery that `describe` and `arrays` wrote."""
        gallery = cls.__new__(cls)
        gallery.lock = SharedLock()
        gallery.index = index
        gallery.has_own_ids, gallery.next_key = described["has_own_ids"], described["next_key"]
        gallery.keys, gallery.ids = GrowingArray.of_file(arrays["keys"]), GrowingArray.of_file(arrays["ids"])
        gallery._key_of = {}
        gallery._enter(arrays["ids"], arrays["keys"])
        gallery.labels = None
        if described["has_labels"]:
            gallery.labels = LabelColumn(arrays["labels"])
            gallery.labels.codes = GrowingArray.of_file(arrays["codes"])
        gallery.columns = {
            name: GrowingArray.of_file(arrays[f"metadata_{i}"]) for i, name in enumerate(described["columns"])
        }
        gallery.prototypes, gallery.ranked = None, None
        return gallery
