"""Scores of all classes: distances to the nearest item of every class, and shares of votes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skmetric._kernel._squares import Search
from skmetric._kernel._threads import map_blocks
from skmetric.retrieval import nearest as search_nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric._kernel._squares import Gallery

_NEARLY = 1e-6  # relative: squares in which a product may have lost more digits than a distance may


class ByClass(NamedTuple):
    """Rows of a gallery in the order of their classes."""

    rows: NDArray[np.intp]  # (n_items,), those of one class beside each other, ascending
    starts: NDArray[np.intp]  # (n_classes,), where each class begins

    @classmethod
    def of(cls, codes: NDArray[Any], present: NDArray[Any]) -> ByClass:
        """Sort rows of class `codes`, all of which are in `present`, into the order of `present`."""
        column = np.zeros(int(present.max()) + 1, dtype=np.intp)
        column[present] = np.arange(len(present))
        columns = column[codes]
        rows = np.argsort(columns, kind="stable")
        return cls(rows, np.searchsorted(columns[rows], np.arange(len(present))))


def nearest_of_classes(
    embeddings: NDArray[Any], gallery: Gallery, by_class: ByClass
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distance to the nearest item of each class and its row, both (n_queries, n_classes).

    One product gives all float32 squares of a block. Those that may be the least of their class, given the
    rounding of float32, are computed again in float64. Ties are in the order of the gallery.
    """
    search = Search(embeddings, gallery)
    rows, starts = by_class
    n_classes = len(starts)
    sizes = np.diff(starts, append=len(rows))
    shape = len(embeddings), n_classes
    distances, nearest = np.empty(shape), np.empty(shape, dtype=np.intp)

    def fill(block: NDArray[np.intp]) -> None:
        squares, norms = search.squares(block)
        least = np.empty((len(block), n_classes), dtype=np.float32)
        for at, row in enumerate(squares):
            row[:] = row[rows]  # class by class
            np.minimum.reduceat(row, starts, out=least[at])
        limits = (least + search.slack(norms[:, None], least.astype(np.float64))).astype(np.float32)
        limits = np.nextafter(limits, np.float32(np.inf))  # (n_block, n_classes)
        for query, row, limit in zip(block, squares, limits, strict=True):
            places = np.flatnonzero(row <= np.repeat(limit, sizes))
            exact = search.exact_squares(query, rows[places])
            if len(places) > n_classes:
                places, exact = _first_least(places, exact, starts)
            distances[query], nearest[query] = np.sqrt(exact), rows[places]

    for _ in map_blocks(fill, search.blocks()):
        pass
    return distances, nearest


def _first_least(
    places: NDArray[np.intp], values: NDArray[np.float64], starts: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The place of the least value of each class, the first of equal ones, and the value."""
    firsts = np.searchsorted(places, starts)
    least = np.minimum.reduceat(values, firsts)
    at = np.flatnonzero(values == np.repeat(least, np.diff(firsts, append=len(places))))
    return places[at[np.searchsorted(at, firsts)]], least


def nearest_prototypes(
    embeddings: NDArray[Any], prototypes: NDArray[Any], by_class: ByClass
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distance to the nearest prototype of each class, (n_queries, n_classes), and the nearest of all.

    Prototypes are few, so one product in float64 gives all distances. Those in which it cancels are computed
    again from differences; where two are nearly the least, the search of `predict` says which is.
    """
    squares = _squares(embeddings.astype(np.float64), prototypes.astype(np.float64))
    least = np.minimum.reduceat(squares[:, by_class.rows], by_class.starts, axis=1)
    places = squares.argmin(axis=1)
    if squares.shape[1] > 1:
        first, second = np.partition(squares, 1, axis=1)[:, :2].T
        near = np.flatnonzero(second <= first * (1 + _NEARLY))
        if len(near):
            places[near] = search_nearest(embeddings[near], prototypes).indices[:, 0]
    return np.sqrt(least), places


def _squares(queries: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances, (n_queries, n_rows)."""
    centre = rows.mean(axis=0)
    queries, rows = queries - centre, rows - centre
    sizes = np.einsum("ij,ij->i", queries, queries)[:, None] + np.einsum("ij,ij->i", rows, rows)
    squares = sizes - 2 * (queries @ rows.T)
    at, to = np.nonzero(~(squares > _NEARLY * sizes))  # also what overflowed
    for part in (slice(start, start + 2**14) for start in range(0, len(at), 2**14)):
        difference = queries[at[part]] - rows[to[part]]
        squares[at[part], to[part]] = np.einsum("ij,ij->i", difference, difference)
    return squares


def votes_of_classes(votes: NDArray[Any], codes: NDArray[Any], present: NDArray[Any]) -> NDArray[np.float64]:
    """Share of the votes of each of the classes `present`, (n_queries, n_classes).

    `votes` and `codes` of neighbours are (n_queries, k). A query without a vote has no shares.
    """
    column = np.zeros(int(present.max()) + 1, dtype=np.intp)
    column[present] = np.arange(len(present))
    at = column[codes] + len(present) * np.arange(len(codes))[:, None]
    sums = np.bincount(at.ravel(), votes.ravel(), len(codes) * len(present)).reshape(len(codes), -1)
    total = votes.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)


def with_winner(scores: NDArray[np.float64], winner: NDArray[np.intp]) -> NDArray[np.float64]:
    """Scores of which the first largest is that of the `winner`: in a tie, one unit in the last place up."""
    rows = np.flatnonzero(scores.argmax(axis=1) != winner)
    scores[rows, winner[rows]] = np.nextafter(scores[rows].max(axis=1), np.inf)
    return scores
