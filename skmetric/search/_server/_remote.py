"""What indexes on servers have in common: the shape of an answer, checks of a query, ids over processes."""

from __future__ import annotations

import itertools
import threading
import time
from numbers import Integral

import numpy as np
from numpy.typing import NDArray


def check_count(k: int) -> None:
    """Refuse a `k` that is no number of neighbours."""
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k must be an integer from 1; got {k!r}")


HOLDS_ITEMS = "holds items already: open it by SimilaritySearch.attach, or clear the index first"


class Clock:
    """Numbers that ascend over the calls of all processes, as far as their clocks agree: microseconds."""

    def __init__(self) -> None:
        self._lock, self._last = threading.Lock(), 0

    def draw(self, n: int) -> NDArray[np.int64]:
        """`n` numbers, ascending, above all that this process drew before."""
        with self._lock:
            first = max(time.time_ns() // 1000, self._last + 1)
            self._last = first + n - 1
        return np.arange(first, first + n)


clock = Clock()


def batches(n_items: int, size: int) -> list[slice]:
    """Slices of at most `size`."""
    starts = itertools.count(0, max(1, size))
    return [
        slice(start, start + size) for start in itertools.takewhile(lambda start: start < n_items, starts)
    ]


def batches_of(sizes: NDArray[np.int64], most: int) -> list[slice]:
    """Slices of consecutive rows whose sizes add up to at most `most`; a larger row is alone."""
    ends, found, start, before = np.cumsum(sizes), [], 0, 0
    while start < len(sizes):
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        found.append(slice(start, stop))
        start, before = stop, int(ends[stop - 1])
    return found
