"""What is known of the items of a gallery beside their embeddings: ids, labels, metadata."""

from numbers import Integral
from typing import final

import numpy as np

from skmetric._checks import check_labels

from ._growing import GrowingArray
from ._metadata import check_kind, check_metadata
from ._where import conditions


@final
class Gallery:
    """Ids, labels and metadata of items, row by row, in the order of enrolment.

    The index knows items by `keys`, integers that ascend and are never used twice; users know them by `ids`.
    """

    def __init__(self, n_items, ids, labels, metadata):
        self.has_own_ids = ids is not None
        self.keys = GrowingArray(np.arange(n_items))
        self.next_key = n_items
        self.ids = GrowingArray(self.keys.values if ids is None else _check_ids(ids, n_items))
        self._key_of = {}
        self._enter(self.ids.values, self.keys.values)
        self.labels = None if labels is None else LabelColumn(labels)
        self.prototypes = None  # of the matcher, until the gallery changes
        self.ranked = None  # what ranking options made of it, until it changes
        self.has_said_all_accepted = False
        self.columns = {
            name: GrowingArray(values) for name, values in check_metadata(metadata, n_items).items()
        }

    def __len__(self):
        return len(self.keys)

    def __getstate__(self):
        return self.__dict__ | {"ranked": None}

    def prepare(self, n_items, ids, labels, metadata, replaced=frozenset()):
        """Check new rows against those that are here, but for ids to be `replaced`, and change nothing.

        Returns what `append` takes.
        """
        if not replaced and self.has_own_ids != (ids is not None):
            raise ValueError(
                "ids must be given each time or never: at fit they were" + " not" * (ids is not None)
            )
        if (self.labels is None) != (labels is None):
            had = "without labels: refit to give some" if self.labels is None else "with labels: give y"
            raise ValueError(f"the gallery was fitted {had}")
        keys = np.arange(self.next_key, self.next_key + n_items)
        ids = keys if ids is None else _check_ids(ids, n_items)
        if ids.dtype.kind != self.ids.values.dtype.kind:
            raise ValueError("ids must be all integers or all text: those at fit were of the other kind")
        used = next((i for i in ids.tolist() if i in self._key_of and i not in replaced), None)
        if used is not None:
            raise ValueError(f"id {used!r} is in the gallery already: use update, or remove it first")
        if labels is not None:
            self.labels.check(labels)
        dtypes = {name: column.values.dtype for name, column in self.columns.items()}
        columns = check_metadata(metadata, n_items, dtypes)
        if columns.keys() != self.columns.keys():
            raise ValueError(
                f"metadata must have the columns given at fit, {sorted(self.columns)}; got {sorted(columns)}"
            )
        for name, values in columns.items():
            check_kind(name, values.dtype, dtypes[name])
        return keys, ids, labels, columns

    def append(self, keys, ids, labels, columns):
        """Add rows that `prepare` has checked."""
        self.prototypes = None
        self.keys.append(keys)
        self.ids.append(ids)
        self._enter(ids, keys)
        self.next_key = int(keys[-1]) + 1
        if labels is not None:
            self.labels.append(labels)
        for name, values in columns.items():
            self.columns[name].append(values)

    def keys_of(self, ids):
        """Keys of items by id; KeyError if one is unknown, ValueError if one comes twice."""
        ids = np.atleast_1d(np.asarray(ids)).tolist()
        unknown = [i for i in ids if i not in self._key_of]
        if unknown:
            more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
            raise KeyError(f"id {unknown[0]!r} is not in the gallery{more}: nothing was changed")
        _refuse_duplicates(ids)
        return np.array([self._key_of[i] for i in ids], dtype=np.int64)

    def remove(self, keys):
        """Drop the rows of keys."""
        self.prototypes = None
        kept = np.ones(len(self), dtype=bool)
        kept[self.rows(keys)] = False
        for i in self.ids.values[~kept].tolist():
            del self._key_of[i]
        for array in (self.keys, self.ids, *self.columns.values()):
            array.keep(kept)
        if self.labels is not None:
            self.labels.keep(kept)

    def rows(self, keys):
        """Row of each key, -1 for -1; keys ascend, so this is a binary search."""
        return np.where(keys < 0, -1, np.searchsorted(self.keys.values, keys))

    def values(self):
        """Columns of metadata as arrays."""
        return {name: column.values for name, column in self.columns.items()}

    def passing(self, where):
        """Rows that pass a filter: a dict of columns and what they must hold, or one of what."""
        columns = self.values()
        if self.labels is not None:
            columns.setdefault("label", self.labels.decode(self.labels.codes.values))
        asked = conditions(where, {name: values.dtype for name, values in columns.items()})
        masks = [condition.passes(columns[condition.column]) for condition in asked]
        return np.flatnonzero(np.logical_and.reduce(masks))

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
    def restore(cls, described, arrays):
        """The gallery that `describe` and `arrays` wrote."""
        gallery = cls.__new__(cls)
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
        gallery.prototypes, gallery.ranked, gallery.has_said_all_accepted = None, None, False
        return gallery

    def _enter(self, ids, keys):
        self._key_of.update(zip(ids.tolist(), keys.tolist(), strict=True))


@final
class LabelColumn:
    """Labels as integer codes in order of first appearance, so that a new class changes no old code."""

    def __init__(self, labels):
        self._names = GrowingArray(labels[:0])
        self.code_of = {}
        self.codes = GrowingArray(np.empty(0, dtype=np.int32))
        self._sorted = None
        self.append(labels)

    def check(self, labels):
        """Refuse labels of another kind than those here."""
        if len(self._names) and _is_text(labels) != _is_text(self._names.values):
            raise ValueError(
                "y holds labels of another type than at fit, text on one side only: convert them to one"
            )

    def append(self, labels):
        """Add the labels of new items."""
        unique, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        new = np.array([label not in self.code_of for label in unique.tolist()])
        in_order = unique[new][np.argsort(first[new])]
        self._names.append(in_order)
        self.code_of.update(zip(in_order.tolist(), range(len(self.code_of), len(self._names)), strict=True))
        codes = np.array([self.code_of[label] for label in unique.tolist()], dtype=np.int32)
        self.codes.append(codes[inverse])
        self._sorted = None

    def keep(self, kept):
        """Drop the labels of removed items."""
        self.codes.keep(kept)
        self._sorted = None

    def encode(self, labels):
        """Code of each label, -1 for a class that has no item here."""
        self.check(labels)
        unique, inverse = np.unique(labels, return_inverse=True)
        present = set(self.present.tolist())
        codes = np.array([self.code_of.get(label, -1) for label in unique.tolist()], dtype=np.int32)
        return np.where(np.isin(codes, list(present)), codes, -1)[inverse]

    def decode(self, codes):
        """Labels of codes."""
        return self._names.values[codes]

    @property
    def present(self):
        """Codes of the classes that have an item, in order of their labels."""
        if self._sorted is None:
            codes = np.unique(self.codes.values)
            self._sorted = codes[np.argsort(self._names.values[codes], kind="stable")]
        return self._sorted

    @property
    def classes(self):
        """Labels of the classes that have an item, sorted."""
        return self._names.values[self.present]


def check_y(y, n_samples):
    """Labels as an array, or None."""
    return None if y is None else check_labels(y, n_samples)


def _check_ids(ids, n_items):
    ids = np.asarray(ids if hasattr(ids, "dtype") else np.array(list(ids), dtype=object))
    if ids.dtype.kind in "OT" and all(isinstance(i, str) for i in ids.ravel()):
        ids = ids.astype(str)
    if ids.dtype == object and all(isinstance(i, Integral) and not isinstance(i, bool) for i in ids.ravel()):
        ids = np.array(ids.tolist())
    if ids.shape != (n_items,):
        raise ValueError(f"ids must be one for each of the {n_items} items; got shape {ids.shape}")
    if ids.dtype.kind not in "iuU":
        kinds = sorted({type(i).__name__ for i in ids.ravel().tolist()})
        raise ValueError(f"ids must be integers or text, all of one kind; got {', '.join(kinds)}")
    if ids.dtype == np.uint64 and ids.max() > np.iinfo(np.int64).max:
        raise ValueError(f"id {ids.max()} is beyond 64-bit integers: give ids as text")
    ids = ids if ids.dtype.kind == "U" else ids.astype(np.int64)
    _refuse_duplicates(ids.tolist())
    return ids


def _refuse_duplicates(ids):
    if len(set(ids)) < len(ids):
        seen = set()
        twice = next(i for i in ids if i in seen or seen.add(i))
        raise ValueError(f"id {twice!r} comes more than once: ids name one item each")


def _is_text(labels):
    return labels.dtype.kind in "US" or (
        labels.dtype.kind == "O" and len(labels) > 0 and isinstance(labels[0], str | bytes)
    )
