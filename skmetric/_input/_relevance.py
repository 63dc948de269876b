"""Which samples belong together, and how much: grades between the rows of two sides.

A grade is a number from 0; 0 is "not relevant". Labels of one column need none of this: two samples are
relevant to each other if their labels are equal.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from skmetric._checks import as_array, name_rows

from ._several_labels import read_levels, read_rows, read_sets

NAMES = ("labels", "multilabel", "hierarchy")


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
        first = read_rows(y, "y")
        function = Function(
            relevance, first, first if y_gallery is None else read_rows(y_gallery, "y_gallery")
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
