"""The nearest items of queries, by float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._squares import Search, candidates
from skmetric._kernel._threads import map_blocks


def nearest_items(search: Search, k: int) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Distances and numbers of the `k` nearest items of each query, both (n_queries, k), ties by number.

    Where items are hidden and fewer are left, item -1 at distance infinity fills up.
    """
    distances: NDArray[Any] = np.full((search.n_queries, k), np.inf)
    items = np.full((search.n_queries, k), -1, dtype=np.intp)

    def fill(rows: NDArray[np.intp]) -> None:
        for row, squares, norm in zip(rows, *search.squares(rows), strict=True):
            found = candidates(search, squares, norm, k)
            exact = search.exact_squares(row, found)
            order = search.order(exact, found)[:k]
            distances[row, : len(order)] = np.sqrt(exact[order])
            items[row, : len(order)] = found[order]

    for _ in map_blocks(fill, search.blocks()):
        pass
    return distances, items
