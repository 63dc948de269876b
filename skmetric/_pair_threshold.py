"""The distance up to which pairs count as similar, chosen on pairs that are known."""

from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Criterion = Literal["balanced_accuracy", "accuracy", "f_beta", "max_tpr", "max_tnr"]
_CRITERIA = ("balanced_accuracy", "accuracy", "f_beta", "max_tpr", "max_tnr")
_ROUNDING = 1e-12  # of rates: 1 - 0.98 is above 0.02


class Target(NamedTuple):
    """What a threshold must reach; `max_tpr` keeps the rate of true rejections at `min_rate`."""

    criterion: str = "balanced_accuracy"
    beta: float = 1.0
    min_rate: float = 0.0


_BALANCED = Target()


def read_target(
    criterion: Any = None, beta: Any = None, min_rate: Any = None, max_false_accept_rate: Any = None
) -> Target:
    """Check the arguments of `calibrate_threshold`; one that would be ignored is refused."""
    if max_false_accept_rate is not None:
        if not (criterion is None and beta is None and min_rate is None):
            raise ValueError(
                "max_false_accept_rate is a criterion in itself: leave criterion, beta and min_rate out. It "
                "means criterion='max_tpr' with min_rate = 1 - max_false_accept_rate"
            )
        rate = check_number("max_false_accept_rate", max_false_accept_rate)
        if not 0 <= rate < 1:
            raise ValueError(
                f"max_false_accept_rate must be a share from 0 to below 1, such as 0.01 for 1%; got "
                f"{max_false_accept_rate!r}"
            )
        return Target("max_tpr", min_rate=1 - rate)
    criterion = "balanced_accuracy" if criterion is None else criterion
    if criterion not in _CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(map(repr, _CRITERIA))}; got {criterion!r}")
    if beta is not None and criterion != "f_beta":
        raise ValueError(f"beta is for criterion='f_beta'; criterion is {criterion!r}")
    if criterion in ("max_tpr", "max_tnr"):
        other = "true negative" if criterion == "max_tpr" else "true positive"
        if min_rate is None:
            raise ValueError(
                f"criterion={criterion!r} needs min_rate, the {other} rate to keep, such as 0.98"
            )
        rate = check_number("min_rate", min_rate)
        if not 0 <= rate <= 1:
            raise ValueError(f"min_rate must be a {other} rate from 0 to 1; got {min_rate!r}")
        return Target(criterion, min_rate=rate)
    if min_rate is not None:
        raise ValueError(f"min_rate is for criterion='max_tpr' and 'max_tnr'; criterion is {criterion!r}")
    beta = 1.0 if beta is None else check_number("beta", beta)
    if not 0 < beta < np.inf:
        raise ValueError(f"beta must be a finite number above 0; got {beta!r}")
    return Target(criterion, beta)


def check_number(name: str, value: Any) -> float:
    """Refuse what is no real number, such as text that looks like one."""
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be a number; got {value!r}, a {type(value).__name__}")
    return float(value)


def check_threshold(threshold: Any) -> float:
    """Return a finite distance."""
    distance = check_number("threshold", threshold)
    if not 0 <= distance < np.inf:
        raise ValueError(f"threshold must be a distance, a finite number from 0; got {threshold!r}")
    return distance


def choose_threshold(
    distances: NDArray[Any],
    similar: NDArray[np.bool_],
    target: Target = _BALANCED,
    weights: NDArray[np.floating] | None = None,
) -> float:
    """Largest distance to take for similar: the one that does best by the target.

    Parameters
    ----------
    distances : ndarray of shape (n_pairs,)
        Of pairs.
    similar : ndarray of shape (n_pairs,), bool
        Which are similar; both kinds occur.
    target : Target, default=balanced accuracy
        What is best. Of several that are equal the smallest distance is taken.
    weights : ndarray of shape (n_pairs,), default=None
        By which pairs count; None: each as one.

    Returns
    -------
    float
        Half-way to the next distance, where counts are the same; below that next distance in any case.
    """
    order = np.argsort(distances, kind="stable")
    near, far = (kind if weights is None else kind * weights for kind in (similar, ~similar))
    hits = np.concatenate([[0], np.cumsum(near[order])])  # similar ones accepted, after each pair in order
    wrong = np.concatenate([[0], np.cumsum(far[order])])
    ends = np.concatenate([[np.nextafter(distances.min(), -np.inf)], distances[order]])
    last = np.append(ends[1:] > ends[:-1], True)  # of equal distances all are accepted or none
    value = _value(hits, wrong, hits[-1], wrong[-1], target)
    best = int(np.argmax(np.where(last, value, -np.inf)))
    if best in (0, len(ends) - 1):
        return float(ends[best])
    middle = ends[best] + (ends[best + 1] - ends[best]) / 2
    return float(
        middle if middle < ends[best + 1] else ends[best]
    )  # of neighbouring floats the mean may be the larger


def _value(
    hits: NDArray[Any], wrong: NDArray[Any], n_similar: Any, n_others: Any, target: Target
) -> NDArray[np.floating]:
    """How good each threshold is: larger is better."""
    tpr, fpr = hits / n_similar, wrong / n_others
    if target.criterion == "accuracy":
        return (hits - wrong).astype(float)
    if target.criterion == "f_beta":
        weight = target.beta**2
        return (1 + weight) * hits / (hits + wrong + weight * n_similar)
    if target.criterion == "max_tpr":
        return np.where(fpr <= 1 - target.min_rate + _ROUNDING, tpr, -1)
    if target.criterion == "max_tnr":
        return np.where(tpr >= target.min_rate - _ROUNDING, 1 - fpr, -1)
    # tpr - fpr, times both counts: in whole numbers, so that ties are ties
    return (hits * n_others - wrong * n_similar).astype(float)
