"""Which samples belong together, and how much: grades between the rows of two sides.

A grade is a number from 0; 0 is "not relevant". Labels of one column need none of this: two samples are
relevant to each other if their labels are equal.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from skmetric._checks import as_array, column_of, encode_labels, name_rows, read_labels

NAMES = ("labels", "multilabel", "hierarchy")
_TABLES = (list, tuple, set, frozenset)


class Relevance(ABC):
    """Grades of queries against a gallery; without a gallery against one another.

    Parameters
    ----------
    n_queries, n_gallery : int
        Rows of the two sides.
    """

    def __init__(self, n_queries: int, n_gallery: int) -> None:
        self.shape = n_queries, n_gallery

    @abstractmethod
    def grades(self, rows: NDArray[np.intp], others: Any = slice(None)) -> NDArray[np.float64]:
        """Grades (n_rows, n_others) of some queries against all of the gallery, or some of it."""

    @abstractmethod
    def told_by(self) -> Any:
        """What the grades of the queries among themselves come from: labels, or the grades."""


class Overlap(Relevance):
    """Jaccard overlap of the labels of two samples: common labels over all of both, 0 without labels."""

    def __init__(self, queries: csr_array, gallery: csr_array) -> None:
        super().__init__(queries.shape[0], gallery.shape[0])
        self.queries, self.gallery = queries, gallery
        self.sizes = [np.asarray(side.sum(axis=1), dtype=np.float64).ravel() for side in (queries, gallery)]

    def grades(self, rows: NDArray[np.intp], others: Any = slice(None)) -> NDArray[np.float64]:
        common = (self.queries[rows] @ self.gallery[others].T).toarray()  # (n_rows, n_others)
        union = self.sizes[0][rows, None] + self.sizes[1][others] - common
        return common / np.maximum(union, 1)

    def told_by(self) -> Any:
        return self.queries


class Levels(Relevance):
    """Share of the levels of a hierarchy, from the coarsest, at which two samples have the same label."""

    def __init__(self, queries: NDArray[np.intp], gallery: NDArray[np.intp]) -> None:
        super().__init__(len(queries), len(gallery))
        self.queries, self.gallery = queries, gallery  # (n, n_levels) codes

    def grades(self, rows: NDArray[np.intp], others: Any = slice(None)) -> NDArray[np.float64]:
        gallery, n_levels = self.gallery[others], self.queries.shape[1]
        same = [self.queries[rows, level, None] == gallery[:, level] for level in range(n_levels)]
        return np.sum(same, axis=0, dtype=np.float64) / n_levels  # nested: a level has all coarser ones

    def told_by(self) -> Any:
        return self.queries


class Matrix(Relevance):
    """Grades as they are given."""

    def __init__(self, matrix: Any) -> None:
        super().__init__(*matrix.shape)
        self.matrix = matrix

    def grades(self, rows: NDArray[np.intp], others: Any = slice(None)) -> NDArray[np.float64]:
        part = self.matrix[rows][:, others]
        return np.asarray(part.toarray() if issparse(part) else part, dtype=np.float64)

    def told_by(self) -> Any:
        return self.matrix


class Function(Relevance):
    """Grades by a function of two arrays of labels, called with some rows at a time."""

    def __init__(self, function: Callable[..., Any], queries: Any, gallery: Any) -> None:
        super().__init__(queries.shape[0], gallery.shape[0])
        self.function, self.queries, self.gallery = function, queries, gallery

    def grades(self, rows: NDArray[np.intp], others: Any = slice(None)) -> NDArray[np.float64]:
        first, second = self.queries[rows], self.gallery[others]
        grades = as_array(self.function(first, second))
        name = name_of(self.function)
        grades = np.asarray(grades.toarray() if issparse(grades) else grades)
        if grades.dtype.kind not in "biuf":
            raise ValueError(f"relevance={name} gave {grades.dtype}, and must give grades: numbers from 0")
        grades = grades.astype(np.float64)
        wanted = (first.shape[0], second.shape[0])
        if grades.shape != wanted:
            raise ValueError(
                f"relevance={name} gave grades of shape {grades.shape} for {wanted[0]} and {wanted[1]} "
                f"labels: it must give {wanted}, one for each pair"
            )
        _check_grades(grades, f"relevance={name}")
        return grades

    def told_by(self) -> Any:
        return self.queries


def is_matrix(relevance: Any) -> bool:
    """Whether `relevance` is the grades themselves, which need no labels."""
    return not (relevance is None or isinstance(relevance, str) or callable(relevance))


def name_of(relevance: Any) -> str:
    """What error messages call the parameter `relevance`."""
    if isinstance(relevance, str) or relevance is None:
        return repr(relevance)
    return getattr(relevance, "__name__", type(relevance).__name__) if callable(relevance) else "a matrix"


def check_name(relevance: Any) -> None:
    """Refuse a name that is none of `NAMES`; a matrix or a function passes."""
    if isinstance(relevance, str) and relevance not in NAMES:
        raise ValueError(
            f"relevance={relevance!r} is unknown: use one of {', '.join(map(repr, NAMES))}, a matrix of "
            "grades or a function of two arrays of labels"
        )


def read_relevance(
    relevance: Any, y: Any, y_gallery: Any = None, *, n_queries: int, n_gallery: int | None = None
) -> Relevance | None:
    """Grades from the parameter `relevance` and labels as users give them.

    Parameters
    ----------
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix, callable or None
        "multilabel": `y` is a matrix of 0 and 1, or a list of sets. "hierarchy": `y` has a column a level,
        the coarsest first. An array or a sparse matrix has the grades themselves. A callable makes them of
        two arrays of labels.
    y, y_gallery : array-like
        Labels of the two sides; without `y_gallery` the queries are searched among one another.
    n_queries, n_gallery : int
        Rows of the two sides. `n_gallery` is None without a gallery.

    Returns
    -------
    Relevance or None
        None for "labels" and None: equality of labels.

    Raises
    ------
    ValueError
        If labels do not fit, levels are not nested, or grades are negative, not finite or of another shape.
    """
    if relevance is None or (isinstance(relevance, str) and relevance == "labels"):
        return None
    if isinstance(relevance, str):
        check_name(relevance)
        if y is None:
            raise ValueError(f"y is None, and relevance={relevance!r} needs the labels of the samples")
        read = read_sets if relevance == "multilabel" else read_levels
        sides = read(y, y_gallery)
        _check_lengths(sides, n_queries, n_gallery)
        return Overlap(*sides) if relevance == "multilabel" else Levels(*sides)
    if callable(relevance):
        first = _as_rows(y, "y")
        function = Function(
            relevance, first, first if y_gallery is None else _as_rows(y_gallery, "y_gallery")
        )
        _check_lengths((function.queries, function.gallery), n_queries, n_gallery)
        return function
    return Matrix(_read_matrix(relevance, n_queries, n_gallery))


def _check_lengths(sides: Any, n_queries: int, n_gallery: int | None) -> None:
    for side, name, n_rows in zip(sides, ("y", "y_gallery"), (n_queries, n_gallery), strict=True):
        if n_rows is not None and side.shape[0] != n_rows:
            raise ValueError(f"{name} has labels of {side.shape[0]} samples for {n_rows} rows")


def _read_matrix(relevance: Any, n_queries: int, n_gallery: int | None) -> Any:
    matrix = as_array(relevance)
    matrix = csr_array(matrix) if issparse(matrix) else np.asarray(matrix)
    wanted = n_queries, n_queries if n_gallery is None else n_gallery
    if matrix.shape != wanted:
        why = (
            "a square matrix, of the queries among themselves" if n_gallery is None else "queries by gallery"
        )
        raise ValueError(f"relevance has shape {matrix.shape}, and must have {wanted}: {why}")
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"relevance must hold numbers, and has dtype {matrix.dtype}")
    _check_grades(matrix, "relevance")
    return matrix


def _check_grades(grades: Any, name: str) -> None:
    """Refuse grades that are negative or not finite, with their rows."""
    values = grades.data if issparse(grades) else grades
    if values.size == 0 or (np.isfinite(values).all() and values.min() >= 0):
        return
    bad = ~np.isfinite(values) | (values < 0)
    if issparse(grades):
        rows = np.unique(np.searchsorted(grades.indptr, np.flatnonzero(bad), side="right") - 1)
    else:
        rows = np.flatnonzero(bad.any(axis=1))
    raise ValueError(
        f"{name} has grades that are negative or not finite in {name_rows(rows)}: grades start at 0, which "
        "is not relevant"
    )


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
    """Codes (n, n_levels) of the labels of both sides, the coarsest first; refuse what is not nested."""
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


def _as_rows(y: Any, name: str) -> Any:
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
