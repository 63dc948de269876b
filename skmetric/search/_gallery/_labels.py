"""Labels of items as integer codes."""

from typing import final

import numpy as np

from skmetric._checks import check_labels
from skmetric.search._index._growing import GrowingArray


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
        if len(self._names) and is_text(labels) != self.is_text:
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
    def is_text(self):
        """Whether labels are text."""
        return is_text(self._names.values)

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


def is_text(labels):
    """Whether labels are text."""
    return labels.dtype.kind in "UST" or (
        labels.dtype.kind == "O" and len(labels) > 0 and isinstance(labels[0], str | bytes)
    )
