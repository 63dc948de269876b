"""Choice of shrinkage and normalisation by retrieval of held-out classes; no metric is a candidate too."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._threads import map_blocks
from skmetric.base import unit_rows
from skmetric.metrics._scores import parse_score, score_queries

from ._closed_form import stretch, whiten
from ._scatter import class_scatter

WITHIN = (0.03, 0.1, 0.3, 0.5, 0.7, 0.9)
BETWEEN = (0.3, 0.5, 0.7, 0.85, 1.0)
MIN_CLASSES = 4  # below, none can be held out
_N_SPLITS = 4
_ENOUGH_CLASSES = 16  # for folds, and to assume that something can be learned
_MAX_HELD_OUT = 2000  # rows scored in all splits together


class Candidate(NamedTuple):
    """What is chosen: unit length before and after the map or not, centred or not, and two shrinkages."""

    normalize: bool
    center: bool
    within: float
    between: float


EUCLIDEAN, COSINE = Candidate(False, True, 1.0, 1.0), Candidate(True, False, 1.0, 1.0)
# class means of each candidate, one array a split
Scores = dict[Candidate, list[NDArray[np.float64]]]
_UNLEARNED = (COSINE, Candidate(True, True, 1.0, 1.0), EUCLIDEAN)


def between_choices(n_classes: int) -> list[float]:
    """Shrinkages of psi that so many classes bear.

    Means of C classes span C - 1 directions, and without shrinkage all others count for nothing; yet classes
    to come spread along them too, the more so the fewer have been seen.
    """
    return [amount for amount in BETWEEN if amount >= 30 / (n_classes + 29)]


def default(normalize: bool, n_classes: int) -> Candidate:
    """Make the candidate that others must beat."""
    return Candidate(normalize, True, 0.5, max(0.7, between_choices(n_classes)[0]))


def check_shrinkage(shrinkage: Any) -> tuple[float, float]:
    """Return the pair as floats, or say what is wrong with it."""
    try:
        within, between = (float(amount) for amount in shrinkage)
    except (TypeError, ValueError):
        within = between = np.nan
    if not (0 <= within <= 1 and 0 <= between <= 1):
        raise ValueError(
            "shrinkage must be 'cv' or a pair of numbers from 0 to 1, within and between classes; "
            f"got {shrinkage!r}"
        )
    return within, between


def same_rows(X: NDArray[np.floating]) -> NDArray[np.floating]:
    """Leave rows as they are."""
    return X


def preparation(normalize: bool) -> Callable[[NDArray[np.floating]], NDArray[np.floating]]:
    """What is done to rows before they are centred."""
    return unit_rows if normalize else same_rows


class Split(NamedTuple):
    """Rows to learn on and rows of other classes to score."""

    train: NDArray[np.intp]
    train_codes: NDArray[np.intp]  # from 0 among the classes of `train`
    held_out: NDArray[np.intp]  # distinct rows
    held_out_codes: NDArray[np.intp]
    held_out_weights: NDArray[np.floating]


def class_splits(
    X: NDArray[np.floating],
    codes: NDArray[np.intp],
    n_classes: int,
    sample_weight: NDArray[np.floating] | None,
    rng: np.random.RandomState,
) -> list[Split]:
    """Class-disjoint splits: four folds, or eight random ones of few classes; none below four classes."""
    if n_classes < MIN_CLASSES:
        return []
    if n_classes >= _ENOUGH_CLASSES:
        groups = np.array_split(rng.permutation(n_classes), _N_SPLITS)
    else:
        groups = [rng.permutation(n_classes)[: max(2, n_classes // 4)] for _ in range(2 * _N_SPLITS)]
    weights = np.ones(len(X), int) if sample_weight is None else sample_weight
    most = _MAX_HELD_OUT // len(groups)
    return [_split(X, codes, weights, np.isin(np.arange(n_classes), group), most, rng) for group in groups]


def _split(
    X: NDArray[np.floating],
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
    X: NDArray[np.floating], codes: NDArray[np.intp], weights: NDArray[np.floating], rows: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """Return the first occurrences of equal rows of a class, and their weights summed.

    A copy is found without any metric; and a row of weight k must count as k copies do.
    """
    keys = np.array([hash((codes[row], X[row].tobytes())) for row in rows], dtype=np.int64)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    summed = np.bincount(inverse, weights[rows])[order]
    return rows[first[order]], summed.astype(weights.dtype)  # counts stay counts


def select(
    X: NDArray[np.floating],
    codes: NDArray[np.intp],
    n_classes: int,
    sample_weight: NDArray[np.floating] | None,
    weighting: str,
    normalize: bool | None,
    rng: np.random.RandomState,
    n_features: int | None = None,
) -> tuple[Candidate, dict[str, Any] | None]:
    """Choose a candidate.

    Parameters
    ----------
    X, codes, n_classes, sample_weight
        Training samples, as :func:`~skmetric.linear._scatter.class_scatter` takes them.
    weighting : str
        A key of ``WEIGHTINGS``.
    normalize : bool or None
        The families to search; None searches both.
    rng : RandomState
        Draws the splits.
    n_features : int, default=None
        Features of the samples, where `X` holds their coordinates in fewer dimensions.

    Returns
    -------
    chosen : Candidate
    results : dict or None
        One entry a candidate; None if classes, or their samples, are too few to hold any out.
    """
    splits = class_splits(X, codes, n_classes, sample_weight, rng)
    families = [True, False] if normalize is None else [normalize]
    if not splits:
        return default(_better_unlearned(X, codes, sample_weight, families, rng), n_classes), None
    reference = default(families[0], n_classes)
    few = [(0.1, reference.between), (reference.within, reference.between), (1.0, 1.0)]
    scores: Scores = {}
    for family in families:
        scores |= _score_all(X, splits, sample_weight, weighting, family, few, n_features)
    if not any(len(part) for part in scores[reference]):  # no class that was held out has a pair
        return default(_better_unlearned(X, codes, sample_weight, families, rng), n_classes), None
    classes = np.concatenate([_tested(split) for split in splits])
    if n_classes < _ENOUGH_CLASSES:
        unlearned = [candidate for candidate in _UNLEARNED if candidate in scores]
        reference = max(unlearned, key=lambda candidate: np.concatenate(scores[candidate]).mean())
    best = _surest(scores, reference, classes)
    grid = [(a, b) for a in WITHIN for b in between_choices(n_classes) if (a, b) not in few]
    scores |= _score_all(X, splits, sample_weight, weighting, best.normalize, grid, n_features)
    return _surest(scores, reference, classes), _results(scores)


def _score_all(
    X: NDArray[np.floating],
    splits: list[Split],
    sample_weight: NDArray[np.floating] | None,
    weighting: str,
    normalize: bool,
    shrinkages: list[tuple[float, float]],
    n_features: int | None,
) -> Scores:
    def score(split: Split) -> dict[Candidate, NDArray[np.float64]]:
        return _score_split(X, split, sample_weight, weighting, normalize, shrinkages, n_features)

    per_split = list(map_blocks(score, splits))
    return {candidate: [scores[candidate] for scores in per_split] for candidate in per_split[0]}


def _score_split(
    X: NDArray[np.floating],
    split: Split,
    sample_weight: NDArray[np.floating] | None,
    weighting: str,
    normalize: bool,
    shrinkages: list[tuple[float, float]],
    n_features: int | None,
) -> dict[Candidate, NDArray[np.float64]]:
    """MAP@R of each held-out class under each candidate of a family, learned on the other classes."""
    weights = None if sample_weight is None else sample_weight[split.train]
    before = preparation(normalize)
    n_classes = int(split.train_codes.max()) + 1
    scatter = class_scatter(X[split.train], split.train_codes, n_classes, weights, before)
    scatter = scatter._replace(n_features=n_features)
    rows = before(X[split.held_out])
    scores = {}
    if normalize and (1.0, 1.0) in shrinkages:
        scores[COSINE] = class_scores(rows, split)
    rows = rows - scatter.mean.astype(X.dtype)
    for within in dict.fromkeys(within for within, _ in shrinkages):
        whitening = whiten(scatter, within)
        whitened = whitening(rows)
        along = whitened @ whitening.directions
        for between in [b for a, b in shrinkages if a == within]:
            embeddings = stretch(whitening, whitened, between, weighting, along)
            candidate = Candidate(normalize, True, within, between)
            scores[candidate] = class_scores(before(embeddings), split)
    return scores


def class_scores(embeddings: NDArray[np.floating], split: Split) -> NDArray[np.float64]:
    """MAP@R of each held-out class that has a pair."""
    return _class_means(embeddings, split.held_out_codes, split.held_out_weights)


def _class_means(
    embeddings: NDArray[np.floating], codes: NDArray[np.intp], weights: NDArray[np.floating]
) -> NDArray[np.float64]:
    try:
        values = score_queries([parse_score("map_at_r")], embeddings, codes).values[0]
    except ValueError:  # no class has a pair
        return np.empty(0)
    kept = ~np.isnan(values)
    total = np.bincount(codes[kept], weights[kept])
    sums = np.bincount(codes[kept], weights[kept] * values[kept])
    return sums[total > 0] / total[total > 0]


def _tested(split: Split) -> NDArray[np.intp]:
    """Classes that `class_scores` has a value for."""
    classes, counts = np.unique(split.held_out_codes, return_counts=True)
    return classes[counts > 1]


def _surest(scores: Scores, reference: Candidate, classes: NDArray[np.intp]) -> Candidate:
    """The candidate that gains most over `reference`, one standard error of the gain over classes taken off.

    Held-out classes are few: the best mean alone is often best by luck. `classes` are those that the scores
    are of: one that several splits hold out is one observation.
    """
    _, place, count = np.unique(classes, return_inverse=True, return_counts=True)

    def sure_gain(candidate: Candidate) -> float:
        if candidate == reference:
            return 0.0
        gain = np.concatenate(scores[candidate]) - np.concatenate(scores[reference])
        gain = np.bincount(place, gain) / count
        return float(gain.mean()) - standard_error(gain)

    return max(scores, key=sure_gain)


def standard_error(gains: NDArray[np.float64]) -> float:
    """Of their mean; infinite if there are too few to tell."""
    return float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf


def _better_unlearned(
    X: NDArray[np.floating],
    codes: NDArray[np.intp],
    sample_weight: NDArray[np.floating] | None,
    families: list[bool],
    rng: np.random.RandomState,
) -> bool:
    """Between raw and unit rows, only centred, what retrieves the training samples better.

    Nothing is learned from the labels here, so no class need be held out.
    """
    weights = np.ones(len(X), int) if sample_weight is None else sample_weight
    rows, weights = distinct_rows(X, codes, weights, np.arange(len(X)))
    most = _MAX_HELD_OUT // _N_SPLITS
    if len(rows) > most:
        kept = np.sort(rng.choice(len(rows), most, replace=False))
        rows, weights = rows[kept], weights[kept]

    def score(normalize: bool) -> float:
        prepared = preparation(normalize)(X[rows])
        means = _class_means(preparation(normalize)(prepared - prepared.mean(axis=0)), codes[rows], weights)
        return float(means.mean()) if len(means) else 0.0

    return max(families, key=score)


def _results(scores: Scores) -> dict[str, Any]:
    """Candidates and scores in the form of ``GridSearchCV.cv_results_``."""
    candidates = list(scores)
    by_split = np.array([[part.mean() if len(part) else np.nan for part in scores[c]] for c in candidates])
    means = np.array([np.concatenate(scores[c]).mean() for c in candidates])
    results: dict[str, Any] = {"params": [candidate._asdict() for candidate in candidates]}
    for name, values in zip(Candidate._fields, zip(*candidates, strict=True), strict=True):
        results[f"param_{name}"] = np.array(values)
    for i, column in enumerate(by_split.T):
        results[f"split{i}_test_score"] = column
    results["mean_test_score"] = means
    results["std_test_score"] = np.nanstd(by_split, axis=1)
    results["rank_test_score"] = 1 + (means[:, None] < means).sum(axis=1)
    return results
