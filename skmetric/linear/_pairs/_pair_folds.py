"""Pairs to learn on and pairs to score, without a class on both sides as far as pairs tell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skmetric.linear._selection._splits import MIN_CLASSES, N_FOLDS

_MOST = 5000  # pairs scored in a fold


class Fold(NamedTuple):
    """Numbers of the pairs to learn on, and of pairs of other samples to score."""

    train: NDArray[np.intp]
    held_out: NDArray[np.intp]


def known_classes(pairs: NDArray[np.intp], similar: NDArray[np.bool_], n_rows: int) -> NDArray[np.intp]:
    """Class of each row as far as pairs tell, (n_rows,): similar pairs link rows of one class."""
    linked = pairs[similar]
    links = coo_array((np.ones(len(linked)), linked.T), shape=(n_rows, n_rows))
    return connected_components(links, directed=False)[1].astype(np.intp)


def pair_folds(
    pairs: NDArray[np.intp], similar: NDArray[np.bool_], n_rows: int, rng: np.random.RandomState
) -> tuple[list[Fold], int]:
    """Folds without a common known class, and how many of these classes have a similar pair.

    A pair whose rows lie on both sides is in neither: it cannot be a similar one.
    """
    known = known_classes(pairs, similar, n_rows)
    classes = np.unique(known[pairs[similar]])
    if len(classes) < MIN_CLASSES:
        return [], len(classes)
    n_folds = min(N_FOLDS, len(classes) // 2)
    fold_of = rng.randint(n_folds, size=known.max() + 1)  # also of rows that no similar pair names
    fold_of[rng.permutation(classes)] = np.arange(len(classes)) % n_folds
    first, second = fold_of[known[pairs]].T
    folds = []
    for fold in range(n_folds):
        held_out = np.flatnonzero((first == fold) & (second == fold))
        train = np.flatnonzero((first != fold) & (second != fold))
        if all(0 < similar[part].sum() < len(part) for part in (train, held_out)):
            folds.append(Fold(train, _drawn(held_out, similar, rng)))
    return folds, len(classes)


def _drawn(
    held_out: NDArray[np.intp], similar: NDArray[np.bool_], rng: np.random.RandomState
) -> NDArray[np.intp]:
    """At most so many of each kind as are scored."""
    kinds = (held_out[similar[held_out]], held_out[~similar[held_out]])
    return np.concatenate([rng.permutation(kind)[: _MOST // 2] for kind in kinds])
