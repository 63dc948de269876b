"""MAP@R of the classes held out: of embeddings, and of candidates whose embeddings are never made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric.base import unit_rows
from skmetric.linear._closed_form._scatter import ClassScatter, class_scatter, dense, joined
from skmetric.linear._closed_form._whitening import scales, whiten
from skmetric.metrics._scores import parse_score, score_queries

from ._candidates import Candidate, Offered
from ._splits import ENOUGH_CLASSES, Split

_INDEX = np.uint64(0xFFFFFFFF)
_FITTING = (1e-20, 1e30)  # largest squares that float32 holds, with digits for those that are much smaller


def same_rows(X: Any) -> Any:
    """Leave rows as they are."""
    return X


def preparation(normalize: bool) -> Callable[[Any], Any]:
    """What is done to rows, dense or sparse, after the power and before they are centred."""
    return unit_rows if normalize else same_rows


class Whitened(NamedTuple):
    """Rows of the classes held out in the whitened space, in what candidates need of them."""

    psi: NDArray[np.float64]  # (n_directions,)
    n_features: int
    along: NDArray[np.float64]  # (n_rows, n_directions)
    products: NDArray[np.float64]  # (n_rows, n_rows)


class Family(NamedTuple):
    """Rows under one power and normalisation, and their scatter in parts that make up any split."""

    X: Any  # rows, dense or sparse, after the power and before the normalisation
    normalize: bool
    power: float
    parts: list[ClassScatter]
    part_of: NDArray[np.intp]  # (n_classes,)
    codes: NDArray[np.intp]
    whitened: dict[tuple[int, float], Whitened] | None  # by number of the split and shrinkage, where kept

    def trained_on(self, split: Split) -> ClassScatter:
        """Scatter of the classes that a split learns on."""
        return joined(self._parts(split))

    def mean_of(self, split: Split) -> NDArray[np.float64]:
        """Mean of the rows that a split learns on."""
        parts = self._parts(split)
        return sum(part.weights @ part.means for part in parts) / sum(part.weights.sum() for part in parts)

    def _parts(self, split: Split) -> list[ClassScatter]:
        return [self.parts[i] for i in np.unique(self.part_of[self.codes[split.train]])]

    def scored(self, split: Split) -> NDArray[np.floating]:
        """Rows of the classes held out, normalised."""
        rows: NDArray[np.floating] = preparation(self.normalize)(dense(self.X[split.held_out]))
        return rows


def make_family(
    X: Any,
    codes: NDArray[np.intp],
    n_classes: int,
    sample_weight: NDArray[np.floating] | None,
    splits: list[Split],
    normalize: bool,
    power: float,
    n_features: int | None,
    whitened: dict[tuple[int, float], Whitened] | None = None,
) -> Family:
    """One pass over the rows: the scatter of each fold, or of each class where classes are few.

    `whitened` is what an earlier call for the same family has whitened; None keeps nothing.
    """
    part_of = np.arange(n_classes)
    if n_classes >= ENOUGH_CLASSES:
        for i, split in enumerate(splits):
            part_of[np.setdiff1d(np.arange(n_classes), codes[split.train])] = i
    parts = []
    for i in range(part_of.max() + 1):
        rows = np.flatnonzero(part_of[codes] == i)
        classes, renumbered = np.unique(codes[rows], return_inverse=True)
        weights = None if sample_weight is None else sample_weight[rows]
        scatter = class_scatter(X[rows], renumbered, len(classes), weights, preparation(normalize))
        parts.append(scatter._replace(n_features=n_features))
    return Family(X, normalize, power, parts, part_of, codes, whitened)


def whitened_by(family: Family, split: Split, within: float) -> Whitened:
    """Whiten the classes held out by the others, once for all stages that try the same shrinkage."""
    key = split.number, within
    if family.whitened is not None and key in family.whitened:
        return family.whitened[key]
    scatter = family.trained_on(split)
    whitening = whiten(scatter, within)
    rows = whitening(family.scored(split) - scatter.mean)  # (n_rows, n_features)
    made = Whitened(whitening.psi, whitening.n_features, rows @ whitening.directions, rows @ rows.T)
    if family.whitened is not None:
        family.whitened[key] = made
    return made


def score_learned(
    family: Family, split: Split, within: float, others: list[tuple[float, float]], offered: Offered
) -> dict[Candidate, NDArray[np.float64]]:
    """MAP@R of each held-out class under a shrinkage inside classes and pairs (between, saturation).

    Products of embeddings are products of whitened rows, changed along the few directions of the class means:
    no candidate pays for the dimension again.
    """
    whitening = whitened_by(family, split, within)
    along, products = whitening.along, whitening.products
    scores = {}
    for between, saturation in others:
        rest, scale = scales(whitening, between, offered.weighting, saturation)
        changed = (along * (scale**2 - rest**2)) @ along.T  # (n_rows, n_rows)
        changed += rest**2 * products
        squares = squared_distances(changed, family.normalize)
        candidate = Candidate(family.normalize, True, within, between, family.power, saturation)
        scores[candidate] = squares_scores(squares, split)
    return scores


def score_unlearned(family: Family, split: Split) -> dict[Candidate, NDArray[np.float64]]:
    """MAP@R of each held-out class under plain Euclidean or cosine distance, and the latter centred."""
    rows = family.scored(split).astype(np.float64)
    mean = family.mean_of(split)
    scores = {}
    for center in (False, True) if family.normalize else (True,):
        moved = rows - mean if center else rows
        squares = squared_distances(moved @ moved.T, family.normalize)
        scores[Candidate(family.normalize, center, 1.0, 1.0, family.power)] = squares_scores(squares, split)
    return scores


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


def squares_scores(squares: NDArray[np.float64], split: Split) -> NDArray[np.float64]:
    """MAP@R of each held-out class that has a pair, from squared distances between all held-out rows.

    Squares that float32 does not tell apart are in the order of the rows.
    """
    codes, weights = split.held_out_codes, split.held_out_weights
    sizes = np.bincount(codes)
    n_relevant = sizes[codes] - 1  # (n_rows,)
    depth = int(n_relevant.max(initial=0))
    if not depth:
        return np.empty(0)
    squares *= fitting_unit(squares)
    squares[np.diag_indices(len(squares))] = np.inf  # a row is not found by itself
    keys = squares.astype(np.float32).view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(keys), dtype=np.uint64)
    if depth < len(keys) - 1:
        keys = np.partition(keys, depth - 1, axis=1)[:, :depth]
    keys.sort(axis=1)
    found = (keys[:, :depth] & _INDEX).astype(np.intp)
    ranks = np.arange(1, depth + 1)
    hits = (codes[found] == codes[:, None]) & (ranks <= n_relevant[:, None])  # (n_rows, depth)
    values = (np.cumsum(hits, axis=1) * hits / ranks).sum(axis=1) / np.maximum(n_relevant, 1)
    return class_means(values, codes, np.where(n_relevant > 0, weights, 0))


def fitting_unit(squares: NDArray[np.float64]) -> float:
    """Power of two that brings squares to where float32 has digits for them; 1 for those that are there."""
    largest = float(squares.max(initial=0.0))
    if largest == 0 or _FITTING[0] < largest < _FITTING[1]:
        return 1.0
    return float(np.ldexp(1.0, -int(np.frexp(largest)[1])))


def class_scores(embeddings: NDArray[np.floating], split: Split) -> NDArray[np.float64]:
    """MAP@R of each held-out class that has a pair."""
    return embedding_scores(embeddings, split.held_out_codes, split.held_out_weights)


def embedding_scores(
    embeddings: NDArray[np.floating], codes: NDArray[np.intp], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """MAP@R of each class that has a pair."""
    try:
        values = score_queries([parse_score("map_at_r")], embeddings, codes).values[0]
    except ValueError:  # no class has a pair
        return np.empty(0)
    kept = ~np.isnan(values)
    return class_means(values[kept], codes[kept], weights[kept])


def class_means(
    values: NDArray[np.float64], codes: NDArray[np.intp], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Weighted mean of each class that has a weight."""
    total = np.bincount(codes, weights)
    sums = np.bincount(codes, weights * values)
    return sums[total > 0] / total[total > 0]


def tested(split: Split) -> NDArray[np.intp]:
    """Classes that have a score."""
    classes, counts = np.unique(split.held_out_codes, return_counts=True)
    return classes[counts > 1]
