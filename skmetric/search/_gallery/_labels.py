"""Labels of items as integer codes."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import check_labels, join_labels
from skmetric.search._index._columns import as_text, check_text, is_cheap, shown
from skmetric.search._index._growing import GrowingArray


@final
class LabelColumn:
    """Labels as integer codes in order of first appearance, so that a new class changes no old code."""

    def __init__(self, labels: NDArray[Any]) -> None:
        self._gives_objects = labels.dtype == object  # as they came, so do they go
        self._is_text = is_text(labels)
        self._names = GrowingArray(labels[:0].astype(object) if labels.dtype.kind in "UT" else labels[:0])
        self.code_of: dict[Any, int] = {}
        self.codes = GrowingArray(np.empty(0, dtype=np.int32))
        self._sorted: NDArray[np.intp] | None = None
        self.append(labels)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_is_text" not in state:  # of an earlier version
            names = self._names.values
            self._gives_objects, self._is_text = names.dtype == object, is_text(names)

    def check(self, labels: NDArray[Any]) -> None:
        """Refuse labels of another kind than those here."""
        if len(self._names) and is_text(labels) != self.is_text:
            raise ValueError(
                "y holds labels of another type than at fit, text on one side only: convert them to one"
            )

    def append(self, labels: NDArray[Any]) -> None:
        """Add the labels of new items."""
        unique, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        new = np.array([label not in self.code_of for label in unique.tolist()], dtype=bool)
        in_order = unique[new][np.argsort(first[new])]
        self._name(in_order)
        self.code_of.update(zip(in_order.tolist(), range(len(self.code_of), len(self._names)), strict=True))
        codes = np.array([self.code_of[label] for label in unique.tolist()], dtype=np.int32)
        self.codes.append(codes[inverse])
        self._sorted = None

    def _name(self, labels: NDArray[Any]) -> None:
        """Append names of codes, none changed where numbers of two types meet."""
        names = self._names.values
        is_mixed = np.result_type(names.dtype, labels.dtype).kind == "f" and names.dtype.kind != "f"
        if len(names) and (is_mixed or (names.dtype.kind == "f" and labels.dtype.kind in "iu")):
            self._names = GrowingArray(join_labels(names, labels))
        else:
            self._names.append(labels)

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the labels of removed items."""
        self.codes.keep(kept)
        self._sorted = None

    def encode(self, labels: NDArray[Any]) -> NDArray[np.integer[Any]]:
        """Code of each label, -1 for a class that has no item here."""
        self.check(labels)
        unique, inverse = np.unique(labels, return_inverse=True)
        present = set(self.present.tolist())
        codes = np.array([self.code_of.get(label, -1) for label in unique.tolist()], dtype=np.int32)
        return np.where(np.isin(codes, list(present)), codes, -1)[inverse]

    def decode(self, codes: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Labels of codes, in the form that users get."""
        names = self._names.values
        if names.dtype != object or self._gives_objects or not self._is_text:
            return names[codes]
        lengths = np.array([len(name) for name in names.tolist()], dtype=np.int64)
        used = lengths[codes]
        if is_cheap(int(used.max(initial=0)), len(used), int(used.sum())):
            width = max(1, int(used.max(initial=0)))
            return names.astype(f"U{width}")[codes]
        return names[codes]

    @property
    def is_text(self) -> bool:
        """Whether labels are text."""
        return self._is_text

    @property
    def present(self) -> NDArray[np.intp]:
        """Codes of the classes that have an item, in order of their labels."""
        if self._sorted is None:
            codes = np.unique(self.codes.values)
            self._sorted = codes[np.argsort(self._names.values[codes], kind="stable")]
        return self._sorted

    @property
    def classes(self) -> NDArray[Any]:
        """Labels of the classes that have an item, sorted."""
        return self.decode(self.present)


def check_y(y: Any, n_samples: int) -> NDArray[Any] | None:
    """Labels as an array, or None; text costs no more than its length."""
    if y is None:
        return None
    if isinstance(y, list | tuple) and y and all(isinstance(label, str) for label in y):
        check_text(y, "y")
        y = shown(as_text(y))
    labels = check_labels(y, n_samples, warns=True)
    if labels.dtype.kind in "UT" or (labels.dtype.kind == "O" and isinstance(labels[0], str)):
        check_text(labels.tolist(), "y")
    return labels


def is_text(labels: NDArray[Any]) -> bool:
    """Whether labels are text."""
    return labels.dtype.kind in "UST" or (
        labels.dtype.kind == "O" and len(labels) > 0 and isinstance(labels[0], str | bytes)
    )
