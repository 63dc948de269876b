"""Labelled rows in the order of their classes: what all tuples are drawn from."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import read_labels


class ByClass(NamedTuple):
    """Labelled rows, class after class. A position counts them in this order."""

    rows: NDArray[np.intp]  # (n_labelled,) row number of each position
    codes: NDArray[np.intp]  # (n_labelled,) class of each position, ascending
    starts: NDArray[np.intp]  # (n_classes,) first position of each class
    sizes: NDArray[np.intp]  # (n_classes,)
    n_samples: int  # labelled or not

    @property
    def start(self) -> NDArray[np.intp]:
        """First position of the class of each position."""
        return self.starts[self.codes]

    @property
    def size(self) -> NDArray[np.intp]:
        """Number of rows of the class of each position."""
        return self.sizes[self.codes]


def by_class(y: Any, unlabeled: Any) -> ByClass:
    """Sort labelled rows by class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.
    unlabeled : object
        The value of `y` that marks rows without a label; None: all rows have one.

    Returns
    -------
    ByClass
        Without the unlabelled rows.
    """
    y, labeled = read_labeled(y, unlabeled)
    kept = np.flatnonzero(labeled)
    codes = _codes(y if len(kept) == len(y) else y[kept])
    small = codes.astype(np.uint16) if codes.max(initial=0) < 1 << 16 else codes  # which sorts in linear time
    order = np.argsort(small, kind="stable")
    sizes = np.bincount(codes)
    return ByClass(kept[order], codes[order], np.cumsum(sizes) - sizes, sizes, len(y))


def read_labeled(y: Any, unlabeled: Any, *, warns: bool = False) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels, and which rows have one: those that differ from `unlabeled`."""
    if unlabeled is None:
        y = read_labels(y, warns=warns)
        return y, np.ones(len(y), bool)
    if isinstance(unlabeled, float | np.floating) and np.isnan(unlabeled):
        return _read_with_nan(y)
    y = read_labels(y, warns=warns)
    if isinstance(unlabeled, str | bytes) != _holds_text(y):
        raise ValueError(
            f"unlabeled={unlabeled!r} and the labels in y, such as {y[0]!r}, are of different types: it must "
            "be the value in y that marks rows without a label"
        )
    labeled = np.asarray(y != unlabeled, dtype=bool)
    if not labeled.any():
        raise ValueError(f"y is {unlabeled!r} in all rows, which unlabeled= says to have no label")
    return y, labeled


def _read_with_nan(y: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Labels of which NaN marks missing ones; these get the label of some other row."""
    values = np.asarray(y)
    labeled = np.asarray(values == values, dtype=bool)
    if not labeled.any():
        raise ValueError("y is NaN in all rows, which unlabeled= says to have no label")
    filled = values.copy()
    filled[~labeled] = values[np.argmax(labeled)]
    return read_labels(filled), labeled


def _holds_text(y: NDArray[Any]) -> bool:
    return y.dtype.kind in "USO" and len(y) > 0 and isinstance(y[0], str | bytes)


def _codes(y: NDArray[Any]) -> NDArray[np.intp]:
    """Number of the class of each label, in linear time for text and for integers of a small range."""
    if y.dtype.kind in "USO":
        labels = y.tolist()
        number = {label: code for code, label in enumerate(sorted(set(labels)))}
        return np.fromiter(map(number.__getitem__, labels), np.intp, len(labels))
    if y.dtype.kind in "iu" and len(y) and int(y.max()) - int(y.min()) <= 4 * len(y):
        shifted = (y - y.min()).astype(np.intp)
        return (np.cumsum(np.bincount(shifted) > 0) - 1)[shifted]
    return np.unique(y, return_inverse=True)[1]
