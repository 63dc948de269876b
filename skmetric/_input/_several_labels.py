"""Labels of several columns or of several in a cell: sets of tags, and levels of a hierarchy."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from skmetric._checks import as_array, column_of, encode_labels, name_rows, read_labels

_TABLES = (list, tuple, set, frozenset)


# Several labels of a sample


def read_sets(y: Any, y_gallery: Any = None) -> tuple[csr_array, csr_array]:
    """Indicators (n, n_labels) of the labels of both sides, which are one without a gallery."""
    sides = [_read_side(y, "y")] + ([] if y_gallery is None else [_read_side(y_gallery, "y_gallery")])
    if len({issparse(side) for side in sides}) > 1:
        raise ValueError(
            "y is a matrix of 0 and 1 on one side and lists of labels on the other: give one kind"
        )
    if not issparse(sides[0]):
        sides = _indicators(sides)
    if len({side.shape[1] for side in sides}) > 1:
        raise ValueError(
            f"y has {sides[0].shape[1]} labels and y_gallery has {sides[1].shape[1]}: their columns must be "
            "the same labels"
        )
    return sides[0], sides[-1]


def has_several(y: Any) -> bool:
    """Whether samples have several labels each: a wide table, or a column or list of sets or of lists."""
    shape: tuple[int, ...] = tuple(getattr(y, "shape", (0,)))
    if len(shape) != 1:
        return len(shape) == 2 and shape[1] > 1
    is_column = hasattr(y, "__len__") and not hasattr(y, "detach")  # a tensor holds numbers
    rows = _rows_of(y) if is_column else []
    if not rows or not all(isinstance(row, _TABLES) for row in rows):
        return False
    return any(isinstance(row, set | frozenset) or len(row) != 1 for row in rows)


def label_names(y: Any) -> NDArray[Any]:
    """Names of the labels of multi-label data: those in the sets, or the numbers of the columns."""
    side = _read_side(y, "y")
    return np.arange(side.shape[1]) if issparse(side) else _vocabulary([side])


def _read_side(y: Any, name: str) -> Any:
    """A sparse indicator, or a list of sets."""
    y = as_array(y)
    if issparse(y):
        return _check_indicator(csr_array(y), name)
    if not hasattr(y, "__len__"):
        raise ValueError(f"{name} must be a matrix of 0 and 1 or a list of sets; got {type(y).__name__}")
    rows = _rows_of(y)
    if rows and all(isinstance(row, _TABLES) for row in rows):
        flat = {label for row in rows for label in row}
        lists = all(isinstance(row, list | tuple) for row in rows)
        if lists and flat <= {0, 1} and len({len(row) for row in rows}) == 1 and len(rows[0]) > 1:
            raise ValueError(
                f"{name} is a list of lists of 0 and 1, which could be a matrix of 0 and 1 or lists of "
                "labels: give an array, or a list of sets"
            )
        return [set(row) for row in rows]
    without = [row for row, labels in enumerate(rows) if not isinstance(labels, _TABLES)]
    if 0 < len(without) < len(rows):
        raise ValueError(
            f"{name} has no set of labels in {name_rows(without)}: give an empty set to a sample without any"
        )
    table = np.asarray(y)
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must be a matrix of 0 and 1, one column a label, or a list of sets of labels, with "
            f"relevance='multilabel'; got shape {table.shape} and dtype {table.dtype}. One label for each "
            "sample is relevance='labels'"
        )
    return _check_indicator(csr_array(table), name)


def _check_indicator(matrix: csr_array, name: str) -> csr_array:
    strange = (matrix.data != 0) & (matrix.data != 1)
    if strange.any():
        rows = np.unique(np.searchsorted(matrix.indptr, np.flatnonzero(strange), side="right") - 1)
        raise ValueError(f"{name} must hold 0 and 1 alone, one column a label; {name_rows(rows)} do not")
    matrix = matrix.astype(np.float64)
    matrix.eliminate_zeros()
    return matrix


def _vocabulary(sides: list[list[set]]) -> NDArray[Any]:
    found = {label for side in sides for row in side for label in row}
    return np.unique(read_labels(list(found))) if found else np.zeros(0, dtype=int)


def _indicators(sides: list[list[set]]) -> list[csr_array]:
    place_of = {label: place for place, label in enumerate(_vocabulary(sides).tolist())}
    result = []
    for side in sides:
        columns = [sorted(place_of[label] for label in row) for row in side]
        ends = np.concatenate([[0], np.cumsum([len(row) for row in columns])]).astype(np.intp)
        flat = np.array([place for row in columns for place in row], dtype=np.intp)
        result.append(csr_array((np.ones(len(flat)), flat, ends), shape=(len(side), len(place_of))))
    return result


# Levels of a hierarchy


def read_levels(y: Any, y_gallery: Any = None) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Codes (n, n_levels) of the labels of both sides, coarsest level first. Levels must be nested."""
    sides = [_columns(y, "y")] + ([] if y_gallery is None else [_columns(y_gallery, "y_gallery")])
    if len({len(side) for side in sides}) > 1:
        raise ValueError(f"y has {len(sides[0])} levels and y_gallery has {len(sides[1])}: they must agree")
    pairs = [encode_labels(*columns) for columns in zip(*sides, strict=True)]
    by_side: list[list[Any]] = [[pair[side] for pair in pairs] for side in range(len(sides))]
    codes = [np.stack(columns, axis=1) for columns in by_side]  # (n, n_levels) each
    _check_nested(np.concatenate(codes), [pair[2] for pair in pairs])
    return codes[0], codes[-1]


def coarsest(y: Any) -> NDArray[Any]:
    """Labels of the coarsest level of a hierarchy whose levels are nested."""
    read_levels(y)
    return _columns(y, "y")[0]


def finest(y: Any) -> NDArray[Any]:
    """Labels of the finest level."""
    return _columns(y, "y")[-1]


def _columns(y: Any, name: str) -> list[NDArray[Any]]:
    """The levels of a side, each as labels (n,)."""
    y = as_array(y)
    rows = _rows_of(y)
    shape: tuple[int, ...] = tuple(getattr(y, "shape", (0,)))
    columns: list[Any] = [y]
    if rows and all(isinstance(row, list | tuple | np.ndarray) for row in rows):
        if len({len(row) for row in rows}) > 1:
            raise ValueError(f"{name} has samples with different numbers of levels: give all of them each")
        columns = [list(column) for column in zip(*rows, strict=True)]
    elif len(shape) == 2 and not issparse(y):
        columns = [column_of(y, level) for level in range(shape[1])]  # which may differ in type
    if not columns or issparse(y) or len(shape) > 2:
        raise ValueError(f"{name} must have one column for each level, the coarsest first")
    return [read_labels(column, name) for column in columns]


def _rows_of(y: Any) -> list[Any]:
    """What a sequence or a column of objects has for each sample; nothing of numbers, text and tables."""
    dtype, shape = getattr(y, "dtype", None), getattr(y, "shape", (0,))
    if len(shape) != 1 or isinstance(y, str) or not isinstance(y, Iterable):
        return []
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return []
    if hasattr(y, "to_pylist"):  # pyarrow
        return y.to_pylist()
    rows = y.to_list() if hasattr(y, "to_list") else list(y)  # polars, pandas
    return [row.tolist() if isinstance(row, np.ndarray) else row for row in rows] if dtype else rows


def _check_nested(codes: NDArray[np.intp], labels: list[NDArray[Any]]) -> None:
    for level in range(1, codes.shape[1]):
        pairs = np.unique(codes[:, level - 1 : level + 1], axis=0)  # (n_pairs, 2): parent, child
        children, counts = np.unique(pairs[:, 1], return_counts=True)
        if (counts > 1).any():
            child = children[counts > 1][0]
            parents = labels[level - 1][pairs[pairs[:, 1] == child, 0]].tolist()
            raise ValueError(
                f"y is not nested: label {labels[level].tolist()[child]!r} of level {level} lies in "
                f"{parents[0]!r} and in {parents[1]!r} of level {level - 1}. Columns go from coarse to fine, "
                "and each label has one parent: make labels unique, as by joining them with their parent's"
            )


def read_rows(y: Any, name: str) -> Any:
    """Labels of any kind as an array whose first axis is the samples."""
    y = as_array(y)
    if issparse(y):
        return csr_array(y)
    if hasattr(y, "ndim"):
        return np.asarray(y)
    if y is None or not hasattr(y, "__len__"):
        raise ValueError(
            f"{name} must hold the labels that relevance= is called with; got {type(y).__name__}"
        )
    if any(isinstance(row, _TABLES) for row in y):
        rows = np.empty(len(y), dtype=object)
        rows[:] = list(y)
        return rows
    return read_labels(y, name)
