"""Choice of shrinkage, normalisation and power by pairs held out: the area under their ROC curve."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from skmetric.base import signed_power
from skmetric.linear._closed_form._scatter import dense
from skmetric.linear._closed_form._whitening import Whitening, scales
from skmetric.linear._selection._candidates import WITHIN, Candidate, Offered, between_choices, default
from skmetric.linear._selection._results import Scores, results, surest
from skmetric.linear._selection._scoring import preparation
from skmetric.linear._selection._selection import FIRST_WITHIN, MILD_WITHIN
from skmetric.linear._selection._splits import ENOUGH_CLASSES

from ._pair_folds import Fold, pair_folds
from ._pair_scatter import pair_scatter, whiten_pairs

Rows = Any  # an array, or a CSR array, (n_rows, n_features)
Pairs = NDArray[np.intp]
Similar = NDArray[np.bool_]
_FIRST = (*FIRST_WITHIN, MILD_WITHIN)  # shrinkages that families are compared at
_BLOCK = 512  # pairs whose rows are dense at a time


def choose(
    rows: Rows, pairs: Pairs, similar: Similar, offered: Offered, rng: np.random.RandomState
) -> tuple[Candidate, dict[str, Any] | None]:
    """Choose a candidate: first the family of normalisation and power, then shrinkages and saturation.

    Returns
    -------
    chosen : Candidate
    results : dict or None
        One entry a candidate; None if pairs link too few classes to hold any out.
    """
    folds, n_classes = pair_folds(pairs, similar, rows.shape[0], rng)
    within = 0.5 if n_classes >= ENOUGH_CLASSES else MILD_WITHIN
    reference = default(offered, offered.families[0], max(n_classes, 1), within)
    if not folds:
        return reference._replace(within=0.5), None
    scores: Scores = {}
    score = partial(_score_family, scores, rows, pairs, similar, folds, offered.weighting)
    mild = [(reference.between, reference.saturation)]
    for normalize, power in product(offered.families, offered.powers):
        score(normalize, power, dict.fromkeys(_FIRST, mild), unlearned=True)
    best = surest(scores, reference, np.arange(len(folds)))
    grid = list(product(between_choices(n_classes), offered.saturations))
    others = [pair for pair in grid if pair not in mild]
    score(best.normalize, best.power, {w: others if w in _FIRST else grid for w in {*WITHIN, *_FIRST}})
    splits = np.arange(len(folds))
    return surest(scores, reference, splits), results(scores, reference, splits)


def _score_family(
    scores: Scores,
    rows: Rows,
    pairs: Pairs,
    similar: Similar,
    folds: list[Fold],
    weighting: str,
    normalize: bool,
    power: float,
    grid: dict[float, list[tuple[float, float]]],
    *,
    unlearned: bool = False,
) -> None:
    """Add the scores of one normalisation and power, for pairs (between, saturation) of each `within`."""
    prepared = preparation(normalize)(signed_power(rows, power))
    for fold in folds:
        scatter = pair_scatter(prepared, pairs[fold.train], similar[fold.train])
        held_out, labels = pairs[fold.held_out], similar[fold.held_out]
        for center in ((False, True) if normalize else (True,)) if unlearned else ():
            origin = scatter.mean if center else np.zeros_like(scatter.mean)
            weights = np.ones((len(origin), 1))
            place = partial(_place, origin=origin)
            squares = _squares_of_pairs(prepared, held_out, place, weights, normalize)
            _add(scores, [Candidate(normalize, center, 1.0, 1.0, power)], squares, labels)
        for within, others in grid.items():
            whitening = whiten_pairs(scatter, within)
            along = [scales(whitening, between, weighting, saturation)[1] for between, saturation in others]
            place = partial(_place, origin=scatter.mean, whitening=whitening)
            squares = _squares_of_pairs(prepared, held_out, place, np.square(along).T, normalize)
            names = [Candidate(normalize, True, within, b, power, s) for b, s in others]
            _add(scores, names, squares, labels)


def _place(X: Rows, origin: Rows, whitening: Whitening | None = None) -> Rows:
    """Rows about an origin, or their coordinates along the directions of a whitening."""
    return X - origin if whitening is None else whitening(X - origin) @ whitening.directions


def _squares_of_pairs(
    rows: Rows, pairs: Pairs, place: Callable[[Rows], Rows], weights: Rows, normalize: bool
) -> NDArray[np.float64]:
    """Squared distances (n_pairs, n_candidates) of pairs; a block of their rows is dense at a time.

    `place` gives the coordinates of dense rows along the directions that are weighted.
    """
    parts = []
    for start in range(0, len(pairs), _BLOCK):
        part = pairs[start : start + _BLOCK]
        first, second = (place(dense(rows[side]).astype(np.float64)) for side in part.T)
        parts.append(_squares(first, second, weights, normalize))
    return np.concatenate(parts)


def _squares(first: Rows, second: Rows, weights: Rows, normalize: bool) -> NDArray[np.float64]:
    """Squared distances (n_pairs, n_candidates) of rows under weights (n_directions, n_candidates)."""
    if not normalize:
        return np.square(first - second) @ weights
    lengths = np.sqrt((np.square(first) @ weights) * (np.square(second) @ weights))
    return 1 - np.divide((first * second) @ weights, lengths, out=np.zeros_like(lengths), where=lengths > 0)


def _add(scores: Scores, names: list[Candidate], squares: NDArray[np.float64], labels: Similar) -> None:
    for candidate, area in zip(names, areas(squares, labels), strict=True):
        scores.setdefault(candidate, []).append(np.array([area]))


def areas(distances: NDArray[np.float64], similar: Similar) -> NDArray[np.float64]:
    """Area under the ROC curve of each column, (n_candidates,): similar pairs should have small distances.

    The probability that a similar pair has a smaller rank than another; of ties, each rank is their mean.
    """
    n_similar, n_others = int(similar.sum()), int((~similar).sum())
    ranks = rankdata(distances, axis=0)[~similar].sum(axis=0)  # (n_candidates,)
    found: NDArray[np.float64] = (ranks - n_others * (n_others + 1) / 2) / (n_similar * n_others)
    return found
