"""What a search found, as the entries that there are, and checks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric.retrieval import Neighbors


class Hits(NamedTuple):
    """What a search found, one entry for each query and neighbour, in order of both."""

    queries: NDArray[np.intp]  # (n_hits,), from 0
    ids: NDArray[Any]  # (n_hits,)
    distances: NDArray[np.float64]  # (n_hits,)
    columns: dict[str, NDArray[Any]]  # each (n_hits,)

    def neighbors(self, n_queries: int) -> Neighbors:
        """The hits as neighbours, as wide as the query with most; a short row ends with -1 at infinity."""
        return Neighbors(*(self.spread(part, n_queries, fill) for part, fill in self._parts()))

    def spread(self, values: NDArray[Any], n_queries: int, fill: float) -> NDArray[Any]:
        """Values of the hits, (n_queries, width), with `fill` at the end of a short row."""
        counts = np.bincount(self.queries, minlength=n_queries)
        spread = np.full((n_queries, int(counts.max(initial=0))), fill, dtype=values.dtype)
        spread[self.queries, self.ranks(n_queries)] = values
        return spread

    def ranks(self, n_queries: int) -> NDArray[np.intp]:
        """Rank of each hit among those of its query, from 0."""
        counts = np.bincount(self.queries, minlength=n_queries)
        return np.arange(len(self.queries)) - np.repeat(np.cumsum(counts) - counts, counts)

    def _parts(self) -> Iterator[tuple[NDArray[Any], float]]:
        return iter(((self.distances, np.inf), (self.ids, -1)))


def check_found(found: Neighbors, k: int, count: Callable[[], int], is_filtered: bool) -> Neighbors:
    """Refuse an answer that is short because there are not `k` items; `count` tells how many there are."""
    if found.indices.shape[1] == k:
        return found
    if is_filtered:
        if not found.indices.shape[1]:
            raise ValueError("no item passes the filter")
        return found
    n_items = count()
    if not n_items:
        raise ValueError("the index is empty: add embeddings before a search")
    if k > n_items:
        raise ValueError(f"k={k} is more than the {n_items} items in the index")
    return found


def in_order(ids: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.intp]:
    """Position in `ids` of each of the `wanted`; KeyError if one is not there."""
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids, wanted, sorter=order)
    missing = place >= len(ids)
    missing[~missing] = ids[order[place[~missing]]] != wanted[~missing]
    if missing.any():
        raise KeyError(f"id {wanted[missing][0]} is not in the index")
    return order[place]
