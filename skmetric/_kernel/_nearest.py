"""The nearest items of queries, by float64."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._squares import Search, candidates, upper_bounds
from skmetric._kernel._threads import map_blocks

_AT_ONCE = 2**20  # coordinates of candidates whose exact distances are computed together


def nearest_items(search: Search, k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distances and numbers of the `k` nearest items of each query, both (n_queries, k), ties by number.

    Where items are hidden and fewer are left, item -1 at distance infinity fills up.
    """
    distances: NDArray[Any] = np.full((search.n_queries, k), np.inf)
    items = np.full((search.n_queries, k), -1, dtype=np.intp)

    def fill(rows: NDArray[np.intp]) -> None:
        squares, norms = search.squares(rows)
        for part, place, near in _candidates_of(search, rows, squares, norms, k):
            row, rank, exact, found = _in_order(search, part, place, near, k)
            distances[row, rank] = np.sqrt(exact)
            items[row, rank] = found

    for _ in map_blocks(fill, search.blocks()):
        pass
    return distances, items


def _candidates_of(
    search: Search,
    rows: NDArray[np.intp],
    squares: NDArray[np.float32],
    norms: NDArray[np.float64],
    k: int,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
    """Rows, and pairs of the place of a row among them and an item that may be one of its `k` nearest.

    All rows of a block come together where the pairs are few; else each row by itself, with less memory.
    """
    n_features = search.queries.shape[1]
    if len(rows) * k * n_features <= _AT_ONCE:
        bounds = upper_bounds(squares, k)
        near = squares <= (bounds + search.slack(norms, bounds))[:, None]  # (n_rows, n_gallery)
        if np.count_nonzero(near) * n_features <= _AT_ONCE:
            if search.leaves_self_out or search.hidden is not None:
                near &= squares < np.inf
            place, found = np.nonzero(near)
            yield rows, place, found
            return
    for row, of_row, norm in zip(rows, squares, norms, strict=True):
        found = candidates(search, of_row, norm, k)
        yield row[None], np.zeros(len(found), dtype=np.intp), found


def _in_order(
    search: Search, rows: NDArray[np.intp], place: NDArray[np.intp], found: NDArray[np.intp], k: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.intp]]:
    """Rows, ranks below `k`, exact squares and items of pairs, `place` of which ascends."""
    exact = search.exact_squares(rows[place], found)
    order = search.order(exact, found, place)
    starts = np.searchsorted(place, np.arange(len(rows)))
    rank = np.arange(len(place)) - starts[place]  # in order, places are where they were
    kept = rank < k
    return rows[place[kept]], rank[kept], exact[order[kept]], found[order[kept]]
