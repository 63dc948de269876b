"""All pairs, triplets or quadruplets that labels allow, each with a number, and how some are drawn.

A space says how many tuples there are, proposes some row by row, so that small classes are met too, and
numbers them. Distinct numbers are distinct tuples.
"""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from ._by_class import ByClass

_Positions = NDArray[np.intp]
_COUNTABLE = 2.0**62  # numbers up to here fit into int64
_DENSE = 4  # times as many tuples as are asked for are few enough to list


class Space(ABC):
    """Tuples with the numbers 0 to `total` - 1."""

    total: int

    @abstractmethod
    def propose(self, n: int, rng: np.random.Generator) -> _Positions:
        """Positions (n, n_members) of tuples, the first of which reach every class; some may come twice."""

    @abstractmethod
    def number(self, members: _Positions) -> NDArray[np.int64]:
        """Numbers of tuples, (n,)."""

    @abstractmethod
    def members(self, numbers: NDArray[np.int64]) -> _Positions:
        """Positions (n, n_members) of the tuples with these numbers."""


class Pairs(Space):
    """Unordered pairs: each position with those from `low` to below `high`, all after it."""

    def __init__(self, low: _Positions, high: _Positions) -> None:
        self.low, self.counts = low, high - low
        self.ends = np.cumsum(self.counts)
        self.total = int(self.ends[-1]) if len(low) else 0

    def number(self, members: _Positions) -> NDArray[np.int64]:
        before, after = np.minimum(*members.T), np.maximum(*members.T)
        return self.ends[before] - self.counts[before] + after - self.low[before]

    def members(self, numbers: NDArray[np.int64]) -> _Positions:
        before = np.searchsorted(self.ends, numbers, side="right")
        after = numbers - (self.ends[before] - self.counts[before]) + self.low[before]
        return np.column_stack([before, after])


class SimilarPairs(Pairs):
    """Pairs of rows of one class."""

    def __init__(self, rows: ByClass) -> None:
        self.rows = rows
        super().__init__(np.arange(len(rows.codes)) + 1, rows.start + rows.size)

    def propose(self, n: int, rng: np.random.Generator) -> _Positions:
        anchors = deal(self.rows, self.rows.sizes > 1, n, rng)
        return np.column_stack([anchors, partners(self.rows, anchors, rng)])


class DissimilarPairs(Pairs):
    """Pairs of rows of two classes."""

    def __init__(self, rows: ByClass) -> None:
        self.rows = rows
        super().__init__(rows.start + rows.size, np.full(len(rows.codes), len(rows.codes)))

    def propose(self, n: int, rng: np.random.Generator) -> _Positions:
        anchors = deal(self.rows, self.rows.sizes > 0, n, rng)
        return np.column_stack([anchors, strangers(self.rows, anchors, rng)])


class Triplets(Space):
    """Anchor, another row of its class, a row of another class."""

    def __init__(self, rows: ByClass) -> None:
        self.rows, n = rows, len(rows.codes)
        self.n_strangers = n - rows.size
        self.counts = (rows.size - 1) * self.n_strangers
        self.ends = np.cumsum(self.counts)
        size = rows.sizes.astype(float)
        total = float(np.sum(size * (size - 1) * (n - size)))
        self.total = int(total if total > _COUNTABLE else self.ends[-1])

    def propose(self, n: int, rng: np.random.Generator) -> _Positions:
        anchors = deal(self.rows, self.rows.sizes > 1, n, rng)
        positive, negative = partners(self.rows, anchors, rng), strangers(self.rows, anchors, rng)
        return np.column_stack([anchors, positive, negative])

    def number(self, members: _Positions) -> NDArray[np.int64]:
        anchors, positive, negative = members.T
        start, size = self.rows.start[anchors], self.rows.size[anchors]
        positive = positive - start - (positive > anchors)
        negative = negative - np.where(negative >= start + size, size, 0)
        return self.ends[anchors] - self.counts[anchors] + positive * self.n_strangers[anchors] + negative

    def members(self, numbers: NDArray[np.int64]) -> _Positions:
        anchors = np.searchsorted(self.ends, numbers, side="right")
        start, size = self.rows.start[anchors], self.rows.size[anchors]
        within = numbers - (self.ends[anchors] - self.counts[anchors])
        positive, negative = np.divmod(within, self.n_strangers[anchors])
        positive += start + (positive >= anchors - start)
        negative += np.where(negative >= start, size, 0)
        return np.column_stack([anchors, positive, negative])


class Quadruplets(Space):
    """A pair of one class, then a pair of two classes."""

    def __init__(self, rows: ByClass) -> None:
        self.near, self.far = SimilarPairs(rows), DissimilarPairs(rows)
        self.total = self.near.total * self.far.total

    def propose(self, n: int, rng: np.random.Generator) -> _Positions:
        return np.hstack([self.near.propose(n, rng), self.far.propose(n, rng)])

    def number(self, members: _Positions) -> NDArray[np.int64]:
        return self.near.number(members[:, :2]) * self.far.total + self.far.number(members[:, 2:])

    def members(self, numbers: NDArray[np.int64]) -> _Positions:
        near, far = np.divmod(numbers, self.far.total)
        return np.hstack([self.near.members(near), self.far.members(far)])


def draw(space: Space, n: int, rng: np.random.Generator) -> _Positions:
    """At most `n` distinct tuples in random order, as positions; all there are, if these are fewer."""
    if n >= space.total:
        return shuffled(space.members(np.arange(space.total)), rng)
    proposed = space.propose(n, rng)
    if space.total > _COUNTABLE:  # of so many, two that are equal are not to be expected
        return shuffled(proposed, rng)
    found = _each_once(space.number(proposed))
    while len(found) < n:
        missing = n - len(found)
        if space.total <= _DENSE * n:
            is_left = np.ones(space.total, bool)
            is_left[found] = False
            more = rng.choice(np.flatnonzero(is_left), missing, replace=False)
        else:
            more = rng.integers(space.total, size=missing)
        found = _each_once(np.concatenate([found, more]))
    return shuffled(space.members(found), rng)


def shuffled(members: _Positions, rng: np.random.Generator) -> _Positions:
    """Tuples in random order; ``take`` copies rows several times faster than an index in brackets."""
    return members.take(rng.permutation(len(members)), axis=0)


def _each_once(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorted numbers, each once; ``np.unique`` makes a hash table, which takes ten times as long."""
    numbers = np.sort(numbers)
    return np.concatenate([numbers[:1], numbers[1:][numbers[1:] != numbers[:-1]]])


def deal(rows: ByClass, is_in: NDArray[np.bool_], n: int, rng: np.random.Generator) -> _Positions:
    """`n` positions of the classes that are in: one of each class, then all others in turn, then again."""
    classes = rng.permutation(np.flatnonzero(is_in))
    first = rows.starts[classes] + rng.integers(rows.sizes[classes])
    if n <= len(first):
        return first[:n]
    is_left = is_in[rows.codes]
    is_left[first] = False
    return np.resize(np.concatenate([first, rng.permutation(np.flatnonzero(is_left))]), n)


def partners(rows: ByClass, anchors: _Positions, rng: np.random.Generator) -> _Positions:
    """A position of the class of each anchor, never the anchor."""
    classes = rows.codes[anchors]
    drawn = rows.starts[classes] + rng.integers(rows.sizes[classes] - 1)
    drawn += drawn >= anchors
    return drawn


def strangers(rows: ByClass, anchors: _Positions, rng: np.random.Generator) -> _Positions:
    """A position of another class than that of each anchor."""
    classes = rows.codes[anchors]
    size = rows.sizes[classes]
    drawn = rng.integers(len(rows.codes) - size)
    drawn += size * (drawn >= rows.starts[classes])
    return drawn
