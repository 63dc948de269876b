"""Intervals of an evaluation: classes are drawn with replacement, each with all of its queries."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from skmetric.metrics._bootstrap import percentile_interval

_CHUNK = 2**21  # weights of classes held at a time


def intervals_over_classes(
    per_query: Mapping[str, NDArray],
    right: NDArray,
    accepted: NDArray,
    known: NDArray,
    distances: NDArray,
    classes: NDArray,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of the scores of an evaluation; known classes and strange ones are drawn apart.

    Queries of a class that the embedder has not seen are good or bad together, so the class is the unit of
    sampling, and resampled queries would give intervals that are too narrow. A score that depends on one
    class only has no interval. It costs O(n_resamples * n_queries).

    Parameters
    ----------
    per_query : dict of str to ndarray of shape (n_known,)
        Scores of each known query, whose means are reported.
    right, accepted, known : ndarray of shape (n_queries,), bool
        Whether each query is matched to its class, is accepted, and is of a class in the gallery.
    distances : ndarray of shape (n_queries,)
        Of the matches.
    classes : ndarray of shape (n_queries,), int
        Class of each query, those of strangers included.
    confidence_level, n_resamples, rng
        As in :meth:`SimilaritySearch.evaluate`.

    Returns
    -------
    dict of str to (float, float)
        By name of the score.
    """
    places_known, n_known = _places(classes[known])
    if n_known < 2:
        return {}
    values = np.column_stack([np.asarray(v, dtype=float) for v in per_query.values()])  # (n_known, n_scores)
    weights_known = _draws(n_known, n_resamples, rng)
    drawn = dict(zip(per_query, _means(values, places_known, weights_known).T, strict=True))
    places_strange, n_strange = _places(classes[~known])
    if n_strange > 1:
        weights_strange = _draws(n_strange, n_resamples, rng)
        in_ = _means(accepted[~known, None].astype(float), places_strange, weights_strange)[:, 0]
        drawn |= {"unknown_accepted": in_, "balanced_accuracy": (drawn["identified"] + 1 - in_) / 2}
        at, place = np.unique(distances, return_inverse=True)
        areas = [
            _areas(
                np.bincount(place[known], a[places_known], len(at)),
                np.bincount(place[known & right], a[places_known][right[known]], len(at)),
                np.bincount(place[~known], b[places_strange], len(at)),
            )
            for a, b in zip(weights_known, weights_strange, strict=True)
        ]
        drawn |= dict(zip(("auroc", "oscr"), np.transpose(areas), strict=True))
    found = percentile_interval(np.column_stack(list(drawn.values())), confidence_level)
    return dict(zip(drawn, found, strict=True))


def _places(classes):
    """Places of the classes of queries, from 0, and their number."""
    present, places = np.unique(classes, return_inverse=True)
    return places, len(present)


def _draws(n_classes, n_resamples, rng):
    """How often each class is drawn, (n_resamples, n_classes)."""
    return rng.multinomial(n_classes, np.full(n_classes, 1 / n_classes), size=n_resamples)


def _means(values, places, weights):
    """Means of `values`, (n_queries, n_scores), by resample: (n_resamples, n_scores)."""
    n_classes = weights.shape[1]
    sums = np.stack([np.bincount(places, column, n_classes) for column in values.T], axis=1)
    counts = np.bincount(places, minlength=n_classes).astype(float)
    step = max(_CHUNK // n_classes, 1)
    chunks = (weights[i : i + step].astype(float) for i in range(0, len(weights), step))
    return np.concatenate([w @ sums / (w @ counts)[:, None] for w in chunks])


def _areas(known, right, strange):
    """AUROC and OSCR from the weights at each distance: known queries, those matched right, strangers."""
    n_known, n_strange = known.sum(), strange.sum()
    before = np.cumsum(known) - known / 2  # ties count half
    auroc = (strange @ before) / (n_known * n_strange)
    identified = np.concatenate([[0.0], np.cumsum(right)]) / n_known
    accepted = np.concatenate([[0.0], np.cumsum(strange)]) / n_strange
    return auroc, np.trapezoid(identified, accepted)
