"""Labels of items as integer codes."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import check_labels, is_cheap, join_labels
from skmetric._input._several_labels import has_several
from skmetric.search._columns._types import as_text, check_text, shown
from skmetric.search._index._growing import GrowingArray


@final
class LabelColumn:
    """Labels as integer codes in order of first appearance, so that a new class changes no old code.

    :meth:`appended` and :meth:`kept` make the changed column beside this one, which stays as it is. Each name
    has an item: the names of classes that lose their last item are dropped, and codes close up.
    """

    def __init__(self, labels: NDArray[Any]) -> None:
        unique, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        order = np.argsort(first)
        names = unique[order]
        code_of_unique = np.empty(len(unique), dtype=np.int32)
        code_of_unique[order] = np.arange(len(unique))
        self._gives_objects = labels.dtype == object  # as they came, so do they go
        self._is_text = is_text(labels)
        self._names = GrowingArray(names.astype(object) if labels.dtype.kind in "UT" else names)
        self.codes = GrowingArray(code_of_unique[inverse])
        self._code_of: dict[Any, int] | None = None  # made when first asked for
        self._sorted: NDArray[np.intp] | None = None

    @classmethod
    def of_file(cls, names: NDArray[Any], codes: GrowingArray) -> LabelColumn:
        """The column of a folder, whose codes are of `names`; those without an item are dropped."""
        return cls(names)._with(codes=codes)._compact()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_code_of": None, "_sorted": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _code_of=None, _sorted=None)
        self.__dict__.pop("code_of", None)  # of an earlier version, as is what follows
        if "_is_text" not in state:
            names = self._names.values
            self._gives_objects, self._is_text = names.dtype == object, is_text(names)
        compact = self._compact()
        self._names, self.codes = compact._names, compact.codes

    def __len__(self) -> int:
        """Number of classes."""
        return len(self._names)

    def check(self, labels: NDArray[Any]) -> None:
        """Refuse labels of another kind than those here."""
        if len(self._names) and is_text(labels) != self.is_text:
            raise ValueError(
                "y holds labels of another type than at fit, text on one side only: convert them to one"
            )

    def appended(self, labels: NDArray[Any]) -> LabelColumn:
        """Make a column with the labels of new items at the end."""
        unique, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        code_of, self._code_of = self._codes_by_name(), None  # one heir alone writes in it
        new = np.array([label not in code_of for label in unique.tolist()], dtype=bool)
        in_order = unique[new][np.argsort(first[new])]
        names = _named(self._names, in_order)
        code_of.update(zip(in_order.tolist(), range(len(self._names), len(names)), strict=True))
        codes = np.array([code_of[label] for label in unique.tolist()], dtype=np.int32)
        return self._with(_names=names, codes=self.codes.appended(codes[inverse]), _code_of=code_of)

    def kept(self, mask: NDArray[np.bool_]) -> LabelColumn:
        """Make a column of the labels where the mask is True, with the names of these alone."""
        return self._with(codes=self.codes.kept(mask), _code_of=self._code_of)._compact()

    def encode(self, labels: NDArray[Any]) -> NDArray[np.integer[Any]]:
        """Code of each label, -1 for a class that has no item here."""
        self.check(labels)
        unique, inverse = np.unique(labels, return_inverse=True)
        code_of = self._codes_by_name()
        codes = np.array([code_of.get(label, -1) for label in unique.tolist()], dtype=np.int32)
        return np.where(codes < len(self), codes, -1)[inverse]  # an heir may know more names by now

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
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the names; objects are text."""
        return self._names.values.dtype

    @property
    def is_text(self) -> bool:
        """Whether labels are text."""
        return self._is_text

    @property
    def present(self) -> NDArray[np.intp]:
        """Codes of the classes in order of their labels."""
        if self._sorted is None:
            self._sorted = np.argsort(self._names.values, kind="stable")
        return self._sorted

    @property
    def classes(self) -> NDArray[Any]:
        """Labels of the classes, sorted."""
        return self.decode(self.present)

    def _codes_by_name(self) -> dict[Any, int]:
        """Code of each name. A change that was cut short may have taken the dict along: then a new one."""
        if self._code_of is None:
            self._code_of = {name: code for code, name in enumerate(self._names.values.tolist())}
        return self._code_of

    def _with(self, **parts: Any) -> LabelColumn:
        column = LabelColumn.__new__(LabelColumn)
        column.__dict__.update(self.__dict__ | {"_code_of": None, "_sorted": None} | parts)
        return column

    def _compact(self) -> LabelColumn:
        """Leave out names that have no item."""
        has_item = np.bincount(self.codes.values, minlength=len(self)) > 0
        if has_item.all():
            return self
        new_codes = (np.cumsum(has_item) - 1).astype(np.int32)
        codes = GrowingArray(new_codes[self.codes.values])
        return self._with(_names=self._names.kept(has_item), codes=codes)


def _named(names: GrowingArray, new: NDArray[Any]) -> GrowingArray:
    """Names of codes and new ones, none changed where numbers of two types meet."""
    old = names.values
    is_mixed = np.result_type(old.dtype, new.dtype).kind == "f" and old.dtype.kind != "f"
    if len(old) and (is_mixed or (old.dtype.kind == "f" and new.dtype.kind in "iu")):
        return GrowingArray(join_labels(old, new))
    return names.appended(new)


def check_y(y: Any, n_samples: int) -> NDArray[Any] | None:
    """Labels as an array, or None; text costs no more than its length."""
    if y is None:
        return None
    refuse_several(y)
    if isinstance(y, list | tuple) and y and all(isinstance(label, str) for label in y):
        check_text(y, "y")
        y = shown(as_text(y))
    labels = check_labels(y, n_samples, warns=True)
    if labels.dtype.kind in "UT" or (labels.dtype.kind == "O" and isinstance(labels[0], str)):
        check_text(labels.tolist(), "y")
    return labels


def refuse_several(y: Any) -> None:
    """Refuse several labels of a sample, with what a search can do for them."""
    if has_several(y):
        raise ValueError(
            "y has several labels of a sample, and should be a 1d array: a search recognises one class for "
            "each. Give the class alone, or leave y out (and fit an embedder that learns from several labels "
            "before). Keep labels to filter by as columns of metadata, metadata={'red': [True, ...]}, and "
            "filter by where={'red': True}; score several labels by retrieval_report(X, y, y_gallery, "
            "relevance='multilabel'), levels by relevance='hierarchy'; choose a distance below which items "
            "share a label by calibrate_pairs"
        )


def is_text(labels: NDArray[Any]) -> bool:
    """Whether labels are text."""
    return labels.dtype.kind in "UST" or (
        labels.dtype.kind == "O" and len(labels) > 0 and isinstance(labels[0], str | bytes)
    )
