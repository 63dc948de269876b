"""Neighbours of queries twice in one pass: in the whole gallery, and with the query's class hidden."""

from typing import NamedTuple

import numpy as np

from skmetric._kernel import Gallery, Search, candidates
from skmetric._threads import map_blocks


class TwoSearches(NamedTuple):
    """Distances and class codes of the nearest items, (n_queries, k), with the own class there and hidden."""

    distances: np.ndarray
    codes: np.ndarray
    distances_hidden: np.ndarray
    codes_hidden: np.ndarray


def search_twice(gallery, queries, k):
    """The `k` nearest items of each query, and the `k` nearest that are of another class.

    The gallery is brought into the order of its classes, so that a class is a slice of each row of squared
    distances: one product serves both searches. With `queries` None each item is left out by identity. Ties
    are in order of the gallery. `k` items must be left where the largest class is hidden.
    """
    order = np.argsort(gallery.codes, kind="stable")
    codes = gallery.codes[order]
    rows = np.ascontiguousarray(gallery.embeddings[order])
    itself = queries is None
    asked, asked_codes = (rows, codes) if itself else queries
    search = Search(rows) if itself else Search(asked, Gallery(rows))
    starts, ends = (np.searchsorted(codes, asked_codes, side=side) for side in ("left", "right"))
    distances, places = np.full((2, len(asked), k), np.inf), np.zeros((2, len(asked), k), dtype=np.intp)

    def fill(block):
        for row, squares, norm in zip(block, *search.squares(block), strict=True):
            start, end = starts[row], ends[row]
            inside = squares[start:end].copy()
            squares[start:end] = np.inf
            others, other_squares = _nearest(search, row, squares, norm, k, 0, order)
            own, own_squares = _nearest(search, row, inside, norm, k, start, order)
            both, both_squares = np.concatenate([own, others]), np.concatenate([own_squares, other_squares])
            first = np.lexsort((order[both], both_squares))[:k]
            distances[0, row], places[0, row] = np.sqrt(both_squares[first]), both[first]
            distances[1, row], places[1, row] = np.sqrt(other_squares), others

    for _ in map_blocks(fill, search.blocks()):
        pass
    back = np.argsort(order) if itself else slice(None)
    found = codes[places]
    return TwoSearches(distances[0][back], found[0][back], distances[1][back], found[1][back])


def _nearest(search, row, squares, norm, k, offset, order):
    """Places and squared distances of at most `k` items among `squares`, which begin at `offset`."""
    k = min(k, len(squares))
    if k == 0:
        return np.empty(0, dtype=np.intp), np.empty(0)
    found = candidates(search, squares, norm, k)
    found = found[squares[found] < np.inf] + offset
    exact = search.exact_squares(row, found)
    if len(found) == 1:
        return found, exact
    first = np.lexsort((order[found], exact))[:k]
    return found[first], exact[first]
