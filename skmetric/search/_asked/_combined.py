"""Queries of several rows: a person by three photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skmetric.search._columns._types import shown
from skmetric.search._columns._values import column_of, is_missing, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COMBINE = ("mean", "best")
_UNIT = 1e-3  # squared norms this near to 1 are those of the unit sphere


class Queries(NamedTuple):
    """Which query each row is of."""

    names: NDArray[Any]  # (n_queries,), in order of first appearance
    of_rows: NDArray[np.intp]  # (n_rows,), numbers of queries

    @classmethod
    def of(cls, queries: Any, n_rows: int) -> Queries:
        """Queries by the names that rows have; without names each row is one."""
        if queries is None:
            return cls(np.arange(n_rows), np.arange(n_rows))
        values = (
            listed(queries) if np.iterable(queries) and not isinstance(queries, str | bytes) else [queries]
        )
        if len(values) != n_rows or getattr(queries, "ndim", 1) != 1:
            raise ValueError(
                f"queries must be one name for each of the {n_rows} rows of X; got shape {np.shape(queries)}"
            )
        for row, value in enumerate(values):
            if is_missing(value) or isinstance(value, bool) or not isinstance(value, str | int):
                raise ValueError(f"queries has {value!r} in row {row}: name each query by text or an integer")
        names = list(dict.fromkeys(values))
        if len({isinstance(name, str) for name in names}) > 1:
            raise ValueError("queries must be all integers or all text; got both")
        number_of = {name: number for number, name in enumerate(names)}
        numbers = np.array([number_of[value] for value in values], dtype=np.intp)
        firsts = np.unique(numbers, return_index=True)[1]
        return cls(shown(column_of("queries", values)[firsts]), numbers)


def check_combine(combine: object) -> None:
    """Refuse ways of making one query of rows that there are not."""
    if combine not in _COMBINE:
        raise ValueError(f"combine must be 'mean' or 'best'; got {combine!r}")


def mean_rows(embeddings: NDArray[Any], of_rows: NDArray[np.intp], n_means: int) -> NDArray[Any]:
    """Means of the rows with the same number, (n_means, n_features), in the dtype of the rows.

    Where all rows are on the unit sphere, means are put back on it.
    """
    sums = np.zeros((n_means, embeddings.shape[1]))
    np.add.at(sums, of_rows, embeddings)
    means = sums / np.bincount(of_rows, minlength=n_means)[:, None]
    return on_sphere_of(embeddings, means).astype(embeddings.dtype)


def on_sphere_of(embeddings: NDArray[Any], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points at norm 1, if all embeddings are; else as they are. A point at the origin stays there.

    Of one feature, points are no sphere: they are as they are.
    """
    squares = np.einsum("ij,ij->i", embeddings, embeddings, dtype=np.float64)
    if embeddings.shape[1] < 2 or not on_sphere(squares):
        return points
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), np.finfo(float).tiny)


def on_sphere(squares: NDArray[np.float64]) -> bool:
    """Whether embeddings are on the unit sphere, by their squared norms."""
    return bool((np.abs(squares - 1) < _UNIT).all())
