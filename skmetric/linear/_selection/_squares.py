"""Squared distances between the rows held out, and the MAP@R of classes from them: for one candidate of many.

Arrays of all pairs are written into memory that was taken once: to take it anew costs more than to fill it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._splits import Split

_INDEX = np.uint64(0xFFFFFFFF)
_FITTING = (1e-20, 1e30)  # largest squares that float32 holds, with digits for those that are much smaller


class Room(NamedTuple):
    """Memory for the pairs of some rows, which each candidate overwrites; (n_rows, n_rows) each."""

    squares: NDArray[np.float64]
    across: NDArray[np.float64]  # what rows have in common across the directions of the class means
    rounded: NDArray[np.float32]
    keys: NDArray[np.uint64]

    @classmethod
    def of(cls, n_rows: int) -> Room:
        """Room for so many rows; the system gives memory only to what is written."""
        shape = n_rows, n_rows
        return cls(np.empty(shape), np.empty(shape), np.empty(shape, np.float32), np.empty(shape, np.uint64))


def squared_distances(products: NDArray[np.float64], normalize: bool) -> NDArray[np.float64]:
    """From inner products of rows, in place; with `normalize` half of it, of rows of unit length."""
    squares = np.maximum(np.diag(products), 0)  # (n_rows,)
    if not normalize:
        products *= -2
        products += squares[:, None]
        products += squares
        return np.maximum(products, 0, out=products)
    lengths = np.sqrt(squares)
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    products *= inverse[:, None]
    products *= inverse
    np.subtract(1, products, out=products)
    if not lengths.all():  # a row of zeros stays one: it is at distance 1 from the unit rows
        none = lengths == 0
        products[none] = products[:, none] = 0.5
        products[np.ix_(none, none)] = 0
    return np.maximum(products, 0, out=products)


def squares_scores(
    squares: NDArray[np.float64], split: Split, room: Room | None = None
) -> NDArray[np.float64]:
    """MAP@R of each held-out class that has a pair, from squared distances between all held-out rows.

    Squares that float32 does not tell apart are in the order of the rows.
    """
    codes, weights = split.held_out_codes, split.held_out_weights
    n_relevant = np.bincount(codes)[codes] - 1  # (n_rows,)
    depth = int(n_relevant.max(initial=0))
    if not depth:
        return np.empty(0)
    found = _nearest(squares, depth, Room.of(len(squares)) if room is None else room)
    ranks = np.arange(1, depth + 1)
    hits = (codes[found] == codes[:, None]) & (ranks <= n_relevant[:, None])  # (n_rows, depth)
    values = (np.cumsum(hits, axis=1) * hits / ranks).sum(axis=1) / np.maximum(n_relevant, 1)
    return class_means(values, codes, np.where(n_relevant > 0, weights, 0))


def _nearest(squares: NDArray[np.float64], depth: int, room: Room) -> NDArray[np.intp]:
    """Rows that are nearest to each row, itself left out, (n_rows, depth); `squares` are changed."""
    unit = fitting_unit(squares)
    if unit != 1:
        squares *= unit
    np.fill_diagonal(squares, np.inf)  # a row is not found by itself
    rounded = room.rounded
    np.copyto(rounded, squares, casting="same_kind")
    if depth == 1:  # classes of two rows: nothing to sort
        return rounded.argmin(axis=1)[:, None]  # the first of equals
    keys = np.left_shift(rounded.view(np.uint32), np.uint64(32), out=room.keys, dtype=np.uint64)
    keys |= np.arange(len(keys), dtype=np.uint64)
    if depth < len(keys) - 1:
        keys.partition(depth - 1, axis=1)
    nearest = np.sort(keys[:, :depth], axis=1)
    return (nearest & _INDEX).astype(np.intp)


def fitting_unit(squares: NDArray[np.float64]) -> float:
    """Power of two that brings squares to where float32 has digits for them; 1 for those that are there."""
    largest = float(squares.max(initial=0.0))
    if largest == 0 or _FITTING[0] < largest < _FITTING[1]:
        return 1.0
    return float(np.ldexp(1.0, min(-int(np.frexp(largest)[1]), 1023)))  # 2 ** 1024 is infinite


def class_means(
    values: NDArray[np.float64], codes: NDArray[np.intp], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Weighted mean of each class that has a weight."""
    total = np.bincount(codes, weights)
    sums = np.bincount(codes, weights * values)
    return sums[total > 0] / total[total > 0]
