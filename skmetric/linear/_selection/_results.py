"""The rule that chooses among scored candidates, and the record of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._candidates import Candidate

# class means of each candidate, one array a split
Scores = dict[Candidate, list[NDArray[np.float64]]]

_CAUTION = 0.5  # standard errors that are taken off a gain


def gain_of(
    scores: Scores, candidate: Candidate, reference: Candidate, classes: NDArray[np.intp]
) -> tuple[float, float]:
    """Mean gain over `reference`, and its standard error over classes.

    `classes` are those that the scores are of: one that several splits hold out is one observation.
    """
    if candidate == reference:
        return 0.0, 0.0
    _, place, count = np.unique(classes, return_inverse=True, return_counts=True)
    gain = np.concatenate(scores[candidate]) - np.concatenate(scores[reference])
    gain = np.bincount(place, gain) / count
    return float(gain.mean()), standard_error(gain)


def surest(scores: Scores, reference: Candidate, classes: NDArray[np.intp]) -> Candidate:
    """The candidate that gains most over `reference`, half a standard error of the gain taken off.

    Held-out classes are few: the best mean alone is often best by luck.
    """

    def sure_gain(candidate: Candidate) -> float:
        gain, error = gain_of(scores, candidate, reference, classes)
        return gain - _CAUTION * error

    return max(scores, key=sure_gain)


def standard_error(gains: NDArray[np.float64]) -> float:
    """Of their mean; infinite if there are too few to tell."""
    return float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else np.inf


def results(scores: Scores, reference: Candidate, classes: NDArray[np.intp]) -> dict[str, Any]:
    """Candidates and scores in the form of ``GridSearchCV.cv_results_``, and the gain over the reference."""
    candidates = list(scores)
    by_split = np.array([[part.mean() if len(part) else np.nan for part in scores[c]] for c in candidates])
    means = np.array([np.concatenate(scores[c]).mean() for c in candidates])
    out: dict[str, Any] = {"params": [candidate._asdict() for candidate in candidates]}
    for name, values in zip(Candidate._fields, zip(*candidates, strict=True), strict=True):
        out[f"param_{name}"] = np.array(values)
    for i, column in enumerate(by_split.T):
        out[f"split{i}_test_score"] = column
    out["mean_test_score"] = means
    out["std_test_score"] = np.nanstd(by_split, axis=1)
    out["rank_test_score"] = 1 + (means[:, None] < means).sum(axis=1)
    gains = np.array([gain_of(scores, candidate, reference, classes) for candidate in candidates])
    out["mean_gain"], out["standard_error_of_gain"] = gains.T
    return out
