"""What new items must be like: ids, labels and metadata against those that a gallery has."""

from numbers import Integral
from typing import NamedTuple

import numpy as np

from ._labels import is_text
from ._metadata import check_kind, check_metadata


class Layout(NamedTuple):
    """What items are like: the kind of ids that users gave, whether labels are text, dtypes of columns."""

    id_kind: str | None
    has_text_labels: bool | None  # None without labels
    columns: dict

    def check(self, n_items, ids, labels, metadata, is_update=False):
        """Return ids, labels and columns of new items as arrays, or say what is wrong with them."""
        if not is_update and (self.id_kind is None) != (ids is None):
            raise ValueError(
                "ids must be given each time or never: at fit they were" + " not" * (ids is not None)
            )
        if (self.has_text_labels is None) != (labels is None):
            had = (
                "without labels: refit to give some"
                if self.has_text_labels is None
                else "with labels: give y"
            )
            raise ValueError(f"the gallery was fitted {had}")
        if ids is not None:
            ids = check_user_ids(ids, n_items)
            if ids.dtype.kind != (self.id_kind or "i"):
                raise ValueError("ids must be all integers or all text: those at fit were of the other kind")
        if labels is not None and is_text(labels) != self.has_text_labels:
            raise ValueError(
                "y holds labels of another type than at fit, text on one side only: convert them to one"
            )
        columns = check_metadata(metadata, n_items, self.columns)
        if columns.keys() != self.columns.keys():
            raise ValueError(
                f"metadata must have the columns given at fit, {sorted(self.columns)}; got {sorted(columns)}"
            )
        for name, values in columns.items():
            check_kind(name, values.dtype, self.columns[name])
        return ids, labels, columns


def check_user_ids(ids, n_items):
    """Ids as an array of integers or text, each once, or what is wrong with them."""
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
    refuse_duplicates(ids.tolist())
    return ids


def refuse_duplicates(ids):
    """Refuse a list in which an id comes twice."""
    if len(set(ids)) < len(ids):
        seen = set()
        twice = next(i for i in ids if i in seen or seen.add(i))
        raise ValueError(f"id {twice!r} comes more than once: ids name one item each")
