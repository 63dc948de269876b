"""What indexes on servers have in common: the shape of an answer, checks of a query, ids over processes."""

import itertools
import os
import threading
import time
from numbers import Integral

import numpy as np

from skmetric.retrieval import Neighbors

from ._requests import check_dimension


def check_query(embeddings, k, n_features):
    """Refuse queries of another dimension, and `k` that is no number of neighbours."""
    check_dimension(embeddings, n_features)
    if not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k must be an integer from 1; got {k!r}")


def gather(queries, distances, ids, n_queries):
    """Neighbours of rows of (query, distance, id) in order; a short row ends with -1 at infinity."""
    counts = np.bincount(queries, minlength=n_queries)
    rank = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = n_queries, int(counts.max(initial=0))
    found = Neighbors(np.full(shape, np.inf), np.full(shape, -1, dtype=np.int64))
    found.distances[queries, rank], found.indices[queries, rank] = distances, ids
    return found


def check_found(found, k, count, is_filtered):
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


def in_order(ids, wanted):
    """Position in `ids` of each of the `wanted`; KeyError if one is not there."""
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids, wanted, sorter=order)
    missing = place >= len(ids)
    missing[~missing] = ids[order[place[~missing]]] != wanted[~missing]
    if missing.any():
        raise KeyError(f"id {wanted[missing][0]} is not in the index")
    return order[place]


class Clock:
    """Numbers that ascend and that no other process draws, without asking anyone.

    Microseconds since 1970 in the upper bits; 11 random bits of the process below.
    """

    def __init__(self):
        self._lock, self._last, self._process = threading.Lock(), 0, None

    def draw(self, n):
        """`n` numbers, ascending, above all that this process drew before."""
        with self._lock:
            if self._process is None or self._process[0] != os.getpid():
                self._process = os.getpid(), int.from_bytes(os.urandom(2), "big") % 2048
            first = max(time.time_ns() // 1000, self._last + 1)
            self._last = first + n - 1
        return (np.arange(first, first + n) << 11) + self._process[1]


clock = Clock()


def batches(n_items, size):
    """Slices of at most `size`."""
    starts = itertools.count(0, max(1, size))
    return [
        slice(start, start + size) for start in itertools.takewhile(lambda start: start < n_items, starts)
    ]
