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
from ._squares import Room, class_means, squared_distances, squares_scores


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
    products: NDArray[np.float64] | None  # (n_rows, n_rows); None if the directions span all that rows have

    def products_under(self, rest: float, scale: NDArray[np.float64], room: Room) -> NDArray[np.float64]:
        """Inner products of the rows when directions are scaled, and all across them by `rest`; in `room`.

        They are the products of whitened rows, changed along the few directions of the class means: no
        candidate pays for the dimension again.
        """
        if self.products is None:
            stretched = self.along * scale
            return np.matmul(stretched, stretched.T, out=room.squares)  # half the work: it is symmetric
        changed = np.matmul(self.along * (scale**2 - rest**2), self.along.T, out=room.squares)
        changed += np.multiply(self.products, rest**2, out=room.across)
        return changed


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
    spans = whitening.directions.shape[0] == whitening.directions.shape[1]
    products = None if spans else rows @ rows.T
    made = Whitened(whitening.psi, whitening.n_features, rows @ whitening.directions, products)
    if family.whitened is not None:
        family.whitened[key] = made
    return made


def score_learned(
    family: Family, split: Split, within: float, others: list[tuple[float, float]], offered: Offered
) -> dict[Candidate, NDArray[np.float64]]:
    """MAP@R of each held-out class under a shrinkage inside classes and pairs (between, saturation)."""
    whitening = whitened_by(family, split, within)
    room = Room.of(len(split.held_out))
    scores = {}
    for between, saturation in others:
        rest, scale = scales(whitening, between, offered.weighting, saturation)
        products = whitening.products_under(rest, scale, room)  # (n_rows, n_rows)
        squares = squared_distances(products, family.normalize)
        candidate = Candidate(family.normalize, True, within, between, family.power, saturation)
        scores[candidate] = squares_scores(squares, split, room)
    return scores


def score_unlearned(family: Family, split: Split) -> dict[Candidate, NDArray[np.float64]]:
    """MAP@R of each held-out class under plain Euclidean or cosine distance, and the latter centred."""
    rows = family.scored(split).astype(np.float64)
    mean, room = family.mean_of(split), Room.of(len(rows))
    scores = {}
    for center in (False, True) if family.normalize else (True,):
        moved = rows - mean if center else rows
        products = np.matmul(moved, moved.T, out=room.squares)
        squares = squared_distances(products, family.normalize)
        candidate = Candidate(family.normalize, center, 1.0, 1.0, family.power)
        scores[candidate] = squares_scores(squares, split, room)
    return scores


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


def tested(split: Split) -> NDArray[np.intp]:
    """Classes that have a score."""
    classes, counts = np.unique(split.held_out_codes, return_counts=True)
    return classes[counts > 1]
