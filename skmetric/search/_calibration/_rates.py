"""Rates of accepted and refused matches over a threshold, and how far they carry to new classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._gathering._evidence import Evidence

OPEN = (
    "recall",
    "false_accept_rate",
    "false_accept_bound",
    "precision",
    "f1",
    "youden",
    "balanced_accuracy",
)
CLOSED = ("precision", "recall", "f1", "binary_accuracy")


def at_most(rate: str) -> bool:
    """Whether less of a rate is better."""
    return rate.startswith("false_accept")


def open_rates(evidence: Evidence, distances: NDArray, n_classes: int) -> dict[str, NDArray]:
    """Rates at ascending `distances`, by name, each of shape (n_distances,); NaN without known queries."""
    right = _below(evidence.known_distances[evidence.known_right], distances)
    wrong = _below(evidence.known_distances[~evidence.known_right], distances)
    accepted = _below(evidence.stranger_distances, distances)
    n_strange_classes = len(np.unique(evidence.stranger_classes))
    rates = _open(
        right, wrong, accepted, len(evidence.known_distances), len(evidence.stranger_distances), n_classes,
        evidence.hidden,
    )  # fmt: skip
    # conformal risk control [Angelopoulos et al., ICLR 2024, theorem 1] with classes as the exchangeable
    # units: in the worst case all strangers of one more class are accepted
    far = rates["false_accept_rate"]
    rates["false_accept_bound"] = (n_strange_classes * far + 1) / (n_strange_classes + 1)
    if not len(evidence.known_distances):
        rates |= {name: np.full_like(far, np.nan) for name in OPEN if not at_most(name)}
    return rates


def _open(right, wrong, accepted, n_known, n_strangers, n_classes, hidden):
    far = accepted / n_strangers
    if hidden:  # compared with n - 1 classes, a real stranger with n: (n - 1) / n as many chances
        far = 1 - (1 - far) ** (n_classes / (n_classes - 1))
    recall = right / np.maximum(n_known, 1e-12)
    total = right + wrong + accepted
    precision = np.divide(right, total, out=np.zeros_like(far), where=total > 0)
    both = precision + recall
    return {
        "recall": recall,
        "false_accept_rate": far,
        "precision": precision,
        "f1": np.divide(2 * precision * recall, both, out=np.zeros_like(far), where=both > 0),
        "youden": recall - far,
        "balanced_accuracy": (recall + 1 - far) / 2,
    }


def closed_rates(evidence: Evidence, distances: NDArray) -> dict[str, NDArray]:
    """The rates of TensorFlow Similarity at ascending `distances`: a match is positive if it is accepted.

    Its recall counts right matches only, which is why it is 1 at the largest distance. Its
    ``binary_accuracy`` leaves out the true negatives (tp / n); here they count, (tp + tn) / n.
    """
    known = np.round(evidence.known_distances, 8)
    right = evidence.known_right
    tp, fp = _below(known[right], distances), _below(known[~right], distances)
    fn, tn = right.sum() - tp, (~right).sum() - fp
    precision, recall = _ratio(tp, tp + fp), _ratio(tp, tp + fn)
    return {
        "precision": precision,
        "recall": recall,
        "f1": _ratio(2 * precision * recall, precision + recall),
        "binary_accuracy": (tp + tn) / len(known),
    }


def predictive_intervals(
    evidence: Evidence,
    distance: float,
    n_classes: int,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> dict[str, tuple[float, float]]:
    """Intervals of the rates that as many new classes would show at `distance`.

    The Bayesian bootstrap over classes (Rubin, Annals of Statistics 9, 1981) draws a population, from which
    as many classes are then drawn: the spread is that of the estimate and of the new classes together.
    Classes that were not seen enter as in the interval of Clopper and Pearson: one class more, all good for
    one end and all bad for the other; so a rate of 0 has an upper end above 0. Rates that need known queries
    are left out where there are none.
    """
    classes = np.unique(np.concatenate([evidence.known_classes, evidence.stranger_classes]))
    counts = _counts_by_class(evidence, distance, classes)  # (5, n_classes)
    typical = counts.mean(axis=1)
    ends = []
    for extra in (
        [typical[3], 0, 0, typical[3], typical[4]],
        [0, typical[3], typical[4], typical[3], typical[4]],
    ):
        values = np.column_stack([counts, extra])
        weights = rng.dirichlet(np.ones(values.shape[1]), size=n_resamples)
        drawn = rng.multinomial(len(classes), weights) @ values.T  # (n_resamples, 5)
        drawn[:, 3:] = np.maximum(drawn[:, 3:], 1e-12)
        right, wrong, accepted, n_known, n_strangers = drawn.T
        ends.append(_open(right, wrong, accepted, n_known, n_strangers, n_classes, evidence.hidden))
    tail = (1 - confidence_level) / 2
    return {
        rate: (
            float(min(np.quantile(end[rate], tail) for end in ends)),
            float(max(np.quantile(end[rate], 1 - tail) for end in ends)),
        )
        for rate in ends[0]
        if at_most(rate) or len(evidence.known_distances)
    }


def _counts_by_class(evidence, distance, classes):
    """Right, wrong, accepted strangers, known queries and strangers of each class."""
    near = evidence.known_distances <= distance
    known, strange = (
        np.searchsorted(classes, codes) for codes in (evidence.known_classes, evidence.stranger_classes)
    )

    def count(places, mask=None):
        return np.bincount(places, weights=mask, minlength=len(classes)).astype(float)

    return np.stack(
        [
            count(known, near & evidence.known_right),
            count(known, near & ~evidence.known_right),
            count(strange, evidence.stranger_distances <= distance),
            count(known),
            count(strange),
        ]
    )


def _below(values, distances):
    return np.searchsorted(np.sort(values), distances, side="right").astype(float)


def _ratio(a, b):
    return np.divide(a, b, out=np.zeros(len(a)), where=b > 0)
