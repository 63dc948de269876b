"""The probability that a match is right, as a function of its score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from skmetric.search._calibration._gathering._evidence import Evidence


def fit_probability(evidence: Evidence) -> dict[str, float]:
    """Intercept and slope of the logistic function of the score; empty where there are no known queries.

    Known queries and strangers have half of the weight each, as in the precision. The targets are smoothed as
    Platt [1]_ has it, so that classes that the score separates have a finite slope. The probability never
    grows with the score: a slope of the wrong sign is replaced by 0.

    References
    ----------
    .. [1] J. Platt, "Probabilistic outputs for support vector machines and comparisons to regularized
       likelihood methods", Advances in Large Margin Classifiers, 1999.
    """
    known, strangers = evidence.known_distances, evidence.stranger_distances
    scores = np.concatenate([known, strangers])
    right = np.concatenate([evidence.known_right, np.zeros(len(strangers), dtype=bool)])
    finite = np.isfinite(scores)
    if not len(known) or not right[finite].any():
        return {}
    weights = np.repeat([0.5 / len(known), 0.5 / len(strangers)], [len(known), len(strangers)]) * len(scores)
    scores, right, weights = scores[finite], right[finite], weights[finite]
    centre, scale = scores.mean(), scores.std() or 1.0
    share = np.where(right, 1 / (weights[right].sum() + 2), 1 / (weights[~right].sum() + 2))  # of the other
    model = LogisticRegression(C=np.inf).fit(
        np.tile((scores - centre) / scale, 2)[:, None],
        np.concatenate([right, ~right]),
        np.concatenate([weights * (1 - share), weights * share]),
    )
    slope = min(float(model.coef_[0, 0]), 0.0) / scale
    if not slope:
        base = float((weights * np.where(right, 1 - share, share)).sum() / weights.sum())
        return {"intercept": float(np.log(base / (1 - base))), "slope": 0.0}
    return {"intercept": float(model.intercept_[0]) - slope * float(centre), "slope": slope}


def probability_at(fitted: dict[str, float], scores: ArrayLike) -> NDArray[np.float64]:
    """Probabilities at scores, (n,); 0 at infinity, where nothing was found."""
    scores = np.asarray(scores, dtype=np.float64)
    there = np.isfinite(scores)
    found = expit(fitted["intercept"] + fitted["slope"] * np.where(there, scores, 0.0))
    return np.where(there, found, 0.0)
