"""The score of a match: its squared distance, less a part of that to the runner-up, the next class."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from skmetric.search._calibration._matchers import Matcher, Nearest, PrototypeMatcher
from skmetric.search._calibration._rates import open_rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._calibration._gathering._evidence import Evidence

WEIGHTS = (0.0, 0.25, 0.35, 0.5)
_CAUTION = 0.5  # standard errors


def counts_runner_up(matcher: Matcher) -> bool:
    """Whether the score of a match by this matcher may take the runner-up into account.

    Votes and ratios compare classes already, and what a matcher of the user's own returns is not known.
    """
    return isinstance(matcher, Nearest | PrototypeMatcher)


def check_runner_up(runner_up: object, protocol: str, matcher: Matcher, name: object) -> None:
    """Refuse what is no weight, or cannot be used by the protocol or the matcher, which errors name."""
    if isinstance(runner_up, str) and runner_up == "auto":
        return
    if not isinstance(runner_up, Real) or isinstance(runner_up, bool) or not 0 <= float(runner_up) <= 1:
        raise ValueError(f"runner_up must be 'auto' or a number from 0 to 1; got {runner_up!r}")
    if runner_up and protocol == "closed":
        raise ValueError(
            "runner_up above 0 is chosen on strangers, and protocol='closed' has none: use 'open'"
        )
    if runner_up and not counts_runner_up(matcher):
        raise ValueError(
            f"runner_up above 0 needs the distances to two classes, which matcher={name!r} does not give: "
            "use matcher='nearest' or 'center', or runner_up=0"
        )


def weight_of(runner_up: str | float, evidence: Evidence, n_classes: int) -> float:
    """The weight given, or the one that the evidence chooses."""
    if not isinstance(runner_up, str):
        if runner_up and evidence.known_runners_up is None:
            raise ValueError(
                "runner_up above 0 hides a class and needs two others: the gallery must have three classes"
            )
        return float(runner_up)
    return 0.0 if evidence.known_runners_up is None else best_weight(evidence, n_classes)


def scores(
    distances: NDArray[Any], runners_up: NDArray[Any], weight: float, without: float = 0.0
) -> NDArray[np.float64]:
    """Scores of matches, (n_queries,): the smaller, the surer.

    The root of d1² - weight * d2², with the distances d1 of the match and d2 to the runner-up, negative where
    that is negative. On the unit sphere, where a cosine is 1 - d² / 2, this orders as the cosine of the match
    less `weight` times that of the runner-up. A query without a runner-up, whose distance is infinite, has
    its distance - `without`.
    """
    there = np.isfinite(runners_up)
    to_other = np.sqrt(weight) * np.where(there, runners_up, 0.0)
    product = np.sqrt(np.abs(distances - to_other)) * np.sqrt(distances + to_other)  # no square overflows
    return np.where(there, np.copysign(product, distances - to_other), distances - without)


def scored(evidence: Evidence, weight: float) -> Evidence:
    """Evidence with scores in place of distances; `floor` is what no score is below."""
    known, strangers = evidence.known_runners_up, evidence.second_distances
    if not weight or known is None or strangers is None:
        return evidence
    seconds, second_runners_up = strangers, evidence.second_runners_up
    seen = np.concatenate([known, strangers])
    if second_runners_up is not None and not np.isfinite(second_runners_up).any():
        second_runners_up = None
    has_third = second_runners_up is not None
    return evidence._replace(
        known_distances=scores(evidence.known_distances, known, weight),
        stranger_distances=scores(evidence.stranger_distances, strangers, weight),
        # of three classes none is left beside the second match: as if there were none
        second_distances=None if second_runners_up is None else scores(seconds, second_runners_up, weight),
        second_matches=evidence.second_matches if has_third else None,
        floor=-np.sqrt(weight) * float(seen[np.isfinite(seen)].max(initial=0.0)),
    )


def best_weight(evidence: Evidence, n_classes: int) -> float:
    """The weight with the largest gain in recall minus false accepts, less half its standard error.

    Each weight is judged at its own best threshold. The gain over weight 0 is a difference of two ratios, so
    its variance over classes is that of their linear parts (the delta method). Without known queries it is 0.
    """
    if not len(evidence.known_distances):
        return 0.0
    alone = _Best.of(evidence, n_classes)
    chosen, largest = 0.0, 0.0
    for weight in WEIGHTS[1:]:
        best = _Best.of(scored(evidence, weight), n_classes)
        gain = best.youden - alone.youden - _CAUTION * best.error_of_gain(alone, evidence)
        if gain > largest:
            chosen, largest = weight, gain
    return chosen


class _Best(NamedTuple):
    """Recall minus false accepts at the best threshold, and who is accepted there."""

    youden: float
    identified: NDArray[np.bool_]  # (n_known,)
    accepted: NDArray[np.bool_]  # (n_strangers,)

    @classmethod
    def of(cls, evidence: Evidence, n_classes: int) -> Self:
        known, strangers = evidence.known_distances, evidence.stranger_distances
        limits = np.unique(np.concatenate([known, strangers]))
        youden = open_rates(evidence, limits, n_classes)["youden"]
        limit = limits[np.argmax(youden)]
        return cls(float(youden.max()), evidence.known_right & (known <= limit), strangers <= limit)

    def error_of_gain(self, other: _Best, evidence: Evidence) -> float:
        """Standard error over classes of the gain in youden over another."""
        classes = np.unique(np.concatenate([evidence.known_classes, evidence.stranger_classes]))
        parts = np.zeros(len(classes))
        for sign, mine, theirs, codes in (
            (1, self.identified, other.identified, evidence.known_classes),
            (-1, self.accepted, other.accepted, evidence.stranger_classes),
        ):
            gain, places = mine.astype(float) - theirs, np.searchsorted(classes, codes)
            parts += sign * np.bincount(places, gain - gain.mean(), len(classes)) / len(gain)
        return float(np.sqrt((parts**2).sum() * len(classes) / max(len(classes) - 1, 1)))
