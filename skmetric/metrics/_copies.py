"""Queries that are items of the gallery: each would find itself, and every score would be too good."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import name_rows
from skmetric._warning import warn

_NEAR = 1e-5  # of the spread of the gallery: encoded again, or saved and read in another format
_BLOCK = 4096  # rows that are looked at at once
_MANY = 0.5  # share of the queries from which copies cannot be chance
_SOME = 0.1  # share from which near-copies are worth a warning
_REMEDY = (
    "give all rows without gallery=, so that each is left out of its own search by identity, or drop these "
    "rows from the gallery"
)


def check_copies(
    queries: NDArray[Any],
    y: NDArray[Any],
    gallery: NDArray[Any],
    y_gallery: NDArray[Any],
    groups: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> None:
    """Refuse queries that are rows of the gallery; warn of few of them, and of near-copies.

    A query is treated as a row of the gallery if the two are equal in all numbers and in the label, and no
    other query and no other row of the gallery is equal to them: hash codes and the like are often equal
    without being copies. Rows that were enrolled several times are found as `_regular` says. Where neither
    tells, and each query, be it the only one, is equal to rows of the gallery with its label alone, which
    codes of few bits can also be, there is a warning. With the groups of queries and gallery, rows of the
    query's class and group do not count: the query does not find them.

    Raises
    ------
    ValueError
        If that holds of at least half of the queries, and of more than one.
    """
    query, item, distance = _pairs(np.asarray(queries), np.asarray(gallery))
    same = y[query] == y_gallery[item]
    if groups is not None:
        is_found = ~(same & (groups[0][query] == groups[1][item]))
        query, item, distance, same = query[is_found], item[is_found], distance[is_found], same[is_found]
    equal = distance == 0
    is_copy = equal & same & _alone(query) & _alone(item)
    all_equal = bool(same[equal].all()) and len(np.unique(query[equal])) == len(queries)
    if all_equal and _regular(query[equal], item[equal], y):
        is_copy = equal
    copies, near = np.unique(query[is_copy]), np.unique(query[same & (distance > 0)])
    if len(copies) > 1 and len(copies) >= _MANY * len(queries):
        raise ValueError(
            f"the queries in {name_rows(copies)} are rows of the gallery "
            f"({name_rows(np.unique(item[is_copy]))} there), with the same labels: each would find itself. "
            f"To score them, {_REMEDY}"
        )
    if all_equal:
        warn(
            "each query is equal to a row of the gallery with its label, and no row with another label is: "
            f"it finds this row first. If they are the same samples, {_REMEDY}"
        )
    elif len(copies) > 1:
        warn(
            f"the queries in {name_rows(copies)} are equal to rows of the gallery with the same labels, and "
            f"find these first: if they are the same samples, {_REMEDY}"
        )
    elif len(near) > 1 and len(near) >= _SOME * len(queries):
        warn(
            f"the queries in {name_rows(near)} lie as near to a row of the gallery with the same label as "
            f"samples that were encoded twice: if they are the same samples, {_REMEDY}"
        )


def _pairs(
    queries: NDArray[Any], gallery: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Queries and items that are equal or nearly so, and their distances: O(n * d + n * log(n)).

    Near rows are near on a line. Where the line tells little, since many rows are equal, nothing is a copy.
    No copy of all rows is made: the gallery may be a memory map.
    """
    centre = gallery.mean(axis=0, dtype=np.float64)
    line = np.random.default_rng(0).normal(size=(gallery.shape[1],))
    line = line / np.linalg.norm(line)
    at = (queries - centre) @ line
    on_line, total = np.empty(len(gallery)), 0.0
    for start in range(0, len(gallery), _BLOCK):
        part = gallery[start : start + _BLOCK] - centre  # float64
        on_line[start : start + _BLOCK] = part @ line
        total += float(np.einsum("ij,ij->", part, part))
    reach = _NEAR * float(np.sqrt(total / len(gallery)))
    order = np.argsort(on_line)
    slack = reach + 1e-12 * np.abs(on_line).max()
    first = np.searchsorted(on_line[order], at - slack, side="left")
    last = np.searchsorted(on_line[order], at + slack, side="right")
    counts = last - first
    if not 0 < counts.sum() <= 8 * (len(queries) + len(gallery)):
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    query = np.repeat(np.arange(len(queries)), counts)
    item = order[np.arange(len(query)) + np.repeat(first - (np.cumsum(counts) - counts), counts)]
    distance = np.linalg.norm(queries[query].astype(np.float64) - gallery[item], axis=1)
    kept = distance <= reach
    return query[kept], item[kept], distance[kept]


def _regular(query: NDArray[np.intp], item: NDArray[np.intp], y: NDArray[Any]) -> bool:
    """Whether equal rows repeat as rows do that were given several times: each as often as any other.

    Codes of a class that all agree may do so too, but then there are no more distinct rows than classes.
    """
    times_queried, times_enrolled = np.bincount(item), np.bincount(query)  # of each item; of each query
    times_queried, times_enrolled = times_queried[times_queried > 0], times_enrolled[times_enrolled > 0]
    n_distinct = len(times_enrolled) / times_queried[0]
    is_constant = np.ptp(times_queried) == 0 and np.ptp(times_enrolled) == 0
    return bool(is_constant and n_distinct > len(np.unique(y[query])))


def _alone(rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether each of `rows` stands there once."""
    _, where, counts = np.unique(rows, return_inverse=True, return_counts=True)
    return counts[where] == 1
