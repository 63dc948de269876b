"""Class-disjoint splits of the training rows, and the rows that are scored in each."""

from __future__ import annotations

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

MIN_CLASSES = 4  # below, none can be held out
ENOUGH_CLASSES = 16  # for folds, and to assume that something can be learned
MAX_HELD_OUT = 2000  # rows scored in all splits together
N_FOLDS = 4
_N_REPEATED = 12  # splits of few classes, of which one alone decides by luck


class Split(NamedTuple):
    """Rows to learn on and rows of other classes to score."""

    train: NDArray[np.intp]
    train_codes: NDArray[np.intp]  # from 0 among the classes of `train`
    held_out: NDArray[np.intp]  # distinct rows
    held_out_codes: NDArray[np.intp]
    held_out_weights: NDArray[np.floating]
    number: int = 0


def class_splits(
    X: Any,
    codes: NDArray[np.intp],
    n_classes: int,
    sample_weight: NDArray[np.floating] | None,
    rng: np.random.RandomState,
) -> list[Split]:
    """Class-disjoint splits: four folds, or up to twelve splits of few classes; none below four classes."""
    if n_classes < MIN_CLASSES:
        return []
    groups = _folds(n_classes, rng) if n_classes >= ENOUGH_CLASSES else _repeated(n_classes, rng)
    weights = np.ones(X.shape[0], int) if sample_weight is None else sample_weight
    most = MAX_HELD_OUT // len(groups)
    masks = [np.isin(np.arange(n_classes), group) for group in groups]
    return [_split(X, codes, weights, mask, most, rng)._replace(number=i) for i, mask in enumerate(masks)]


def _folds(n_classes: int, rng: np.random.RandomState) -> list[NDArray[np.intp]]:
    return np.array_split(rng.permutation(n_classes), N_FOLDS)


def _repeated(n_classes: int, rng: np.random.RandomState) -> list[NDArray[np.intp]]:
    """Sets of two or three classes: all pairs if these are few, else each class is held out as often.

    So the choice depends little on the draw.
    """
    size = max(2, n_classes // 4)
    pairs = [np.array(pair) for pair in combinations(range(n_classes), 2)]
    if size == 2 and len(pairs) <= _N_REPEATED:
        return [pairs[i] for i in rng.permutation(len(pairs))]
    turns = [rng.permutation(n_classes)[: n_classes // size * size] for _ in range(_N_REPEATED)]
    groups = [group for turn in turns for group in turn.reshape(-1, size)]
    return groups[:_N_REPEATED]


def _split(
    X: Any,
    codes: NDArray[np.intp],
    weights: NDArray[np.floating],
    is_held_out: NDArray[np.bool_],
    most: int,
    rng: np.random.RandomState,
) -> Split:
    out = is_held_out[codes]
    rows, row_weights = distinct_rows(X, codes, weights, np.flatnonzero(out))
    if len(rows) > most:
        kept = np.sort(rng.choice(len(rows), most, replace=False))
        rows, row_weights = rows[kept], row_weights[kept]
    renumbered = np.cumsum(~is_held_out) - 1
    return Split(np.flatnonzero(~out), renumbered[codes[~out]], rows, codes[rows], row_weights)


def distinct_rows(
    X: Any, codes: NDArray[np.intp], weights: NDArray[np.floating], rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """Return the first occurrences of equal rows of a class, and their weights summed.

    A copy is found without any metric: by its bytes, which ``+ 0`` makes the same for -0.0 and 0.0. A row of
    weight k must count as k copies do.
    """
    keys = np.array([hash((codes[row], *_bytes_of(X, row))) for row in rows], dtype=np.int64)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    summed = np.bincount(inverse, weights[rows])[order]
    return rows[first[order]], summed.astype(weights.dtype)  # counts stay counts


def _bytes_of(X: Any, row: np.intp) -> tuple[bytes, ...]:
    """What a row has in common with its copies alone; sparse rows hold each entry once, and no zeros."""
    if not issparse(X):
        return ((X[row] + 0).tobytes(),)
    entries = slice(X.indptr[row], X.indptr[row + 1])
    return X.indices[entries].tobytes(), X.data[entries].tobytes()
