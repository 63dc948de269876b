"""Filters of queries, one for all or one each: queries under one filter are searched together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from skmetric.search._gallery._selection import selection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._gallery._gallery import Gallery

Where: TypeAlias = "Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None"


class Filtered(NamedTuple):
    """Queries that are searched in the same items."""

    rows: NDArray[np.intp]  # numbers of the queries
    where: Any  # as a gallery takes it


def by_filter(gallery: Gallery, where: Where, among: Any, n_queries: int) -> list[Filtered]:
    """Queries by what they are searched in: one part, or with a list of filters one of each different one.

    Raises
    ------
    ValueError
        If there is not one filter for each query, or one of them is wrong: the error names the query.
    """
    rows = np.arange(n_queries)
    if not is_list(where):
        return [Filtered(rows, selection(where, among))]
    check_number(where, n_queries)
    filters: list[Any] = list(where)  # type: ignore[arg-type]
    of_all = selection(None, among)
    kinds = [_kind(gallery, query, filter_) for query, filter_ in enumerate(filters)]
    number_of = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
    numbers = np.array([number_of[kind] for kind in kinds], dtype=np.intp)
    parts = [rows[numbers == number] for number in range(len(number_of))]
    firsts = [filters[part[0]] for part in parts]
    return [
        Filtered(part, of_all if first is None else selection(first, among))
        for part, first in zip(parts, firsts, strict=True)
    ]


def is_list(where: Any) -> bool:
    """Whether there is a filter for each query."""
    return isinstance(where, Sequence | np.ndarray) and not isinstance(where, str | bytes)


def check_number(where: Where, n_queries: int) -> None:
    """Refuse a list that has not one filter for each query."""
    if is_list(where) and len(where) != n_queries:  # type: ignore[arg-type]
        n_filters = len(where)  # type: ignore[arg-type]
        raise ValueError(
            f"where has {n_filters} filters, and there are {n_queries} queries: give one for each, or one "
            "dict for all"
        )


def _kind(gallery: Gallery, query: int, where: Any) -> Any:
    """What filters have in common that let the same items pass, by the language of filters; checks it."""
    if where is None:
        return None
    try:
        return frozenset(gallery.conditions(where))
    except ValueError as error:
        raise ValueError(f"where of query {query}: {error}") from None
