"""Rankings by grades: what a search found, how relevant it is, and the best that could be found."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._input._relevance import Relevance
from skmetric._kernel._squares import Search, candidates


class Grades(NamedTuple):
    """Grades of the items that a search found, beside those of all items searched."""

    found: NDArray[np.float64]  # (n_queries, depth), nearest first
    best: NDArray[np.float64]  # (n_queries, depth), largest first: what the best search finds
    mean_gains: NDArray[np.float64]  # (n_queries, 2): means of g and of `powers` over the items searched


def powers(grades: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gains 2^g - 1 of grades (n, n_items), over 2 to the largest grade of the row, (n,): none overflows."""
    return -np.expm1(-np.log(2) * grades) * np.exp2(grades - largest[:, None])


class Graded(NamedTuple):
    """A block of queries."""

    relevant: NDArray[np.bool_]  # (n_block, depth)
    n_relevant: NDArray[np.intp]  # (n_block,)
    n_items: NDArray[np.intp]  # (n_block,), searched
    grades: Grades


class Grading:
    """Grades of queries, with what groups hide: items with a grade above 0 that are of the query's group.

    Parameters
    ----------
    relevance : Relevance
        Of queries and gallery.
    groups : tuple of two ndarrays or None
        Codes of the groups of queries and of the gallery.
    alone : bool
        Whether the gallery is the queries themselves: each is left out of its own search.
    """

    def __init__(self, relevance: Relevance, groups: Any, alone: bool) -> None:
        self.relevance, self.groups, self.alone = relevance, groups, alone

    def needed(self, depth: int) -> int:
        """How many of the nearest items to give to `block` for that many ranks."""
        return depth if self.groups is None else self.relevance.shape[1] - self.alone

    def block(self, rows: NDArray[np.intp], order: NDArray[np.intp], depth: int) -> Graded:
        """Grades of a block, from its nearest items: `order` (n_block, n_needed) without the query itself.

        An item of -1 is one that a search did not find: there is nothing relevant in its place.
        """
        grades = self.relevance.grades(rows)  # (n_block, n_gallery)
        gone = np.zeros(grades.shape, dtype=bool)
        if self.alone:
            gone[np.arange(len(rows)), rows] = True
        if self.groups is not None:
            gone |= (grades > 0) & (self.groups[0][rows, None] == self.groups[1])
        grades[gone] = 0
        n_items = grades.shape[1] - gone.sum(axis=1)  # (n_block,)
        is_out = order < 0
        if self.groups is not None:  # what is left, still nearest first, and then what is gone
            is_out |= np.take_along_axis(gone, order, axis=1)
            last = is_out.argsort(axis=1, kind="stable")
            order = np.take_along_axis(order, last, axis=1)
            is_out = np.take_along_axis(is_out, last, axis=1)
        found = np.take_along_axis(grades, order[:, :depth], axis=1)
        found[is_out[:, :depth]] = 0
        best = -np.sort(-grades, axis=1)[:, :depth]
        gains = [grades.sum(axis=1), powers(grades, best[:, 0]).sum(axis=1)]
        means = np.stack(gains, axis=1) / np.maximum(n_items, 1)[:, None]
        return Graded(found > 0, (grades > 0).sum(axis=1), n_items, Grades(found, best, means))


def order_of(search: Search, rows: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """The `k` nearest items of a block of queries, (n_block, k)."""
    order = np.empty((len(rows), k), dtype=np.intp)
    for place, (row, squares, norm) in enumerate(zip(rows, *search.squares(rows), strict=True)):
        found = candidates(search, squares, norm, k)
        order[place] = found[search.order(search.exact_squares(row, found), found)[:k]]
    return order
