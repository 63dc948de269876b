"""A threshold on distance, and what it lets in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import read_labels
from skmetric.metrics._half_way import half_way
from skmetric.metrics._report import _html, _text

from ._advice import advice
from ._gathering._evidence import Evidence
from ._rates import closed_rates, open_rates, predictive_intervals
from ._scoring._probability import fit_probability
from ._scoring._runner_up import scored
from ._targets import largest_that_meets, limit_for_target

_NEARLY_ALL = 0.99
Targets = Mapping[str, tuple[str, float]]


@final
@dataclass(frozen=True, repr=False, eq=False)
class Calibration:
    """What :meth:`SimilaritySearch.calibrate` returns: cutpoints and the rates over distance.

    Prints as a table, with a comment where the calibration is of little use.

    Parameters
    ----------
    cutpoints : dict of str to dict of str to float
        ``"optimal"`` and the targets by name; each has ``"distance"`` and ``"score"``, the largest to accept,
        and the rates there. The score of a match is the root of d1² - `runner_up_weight` * d2², with the sign
        of the difference, where d1 is its distance and d2 that to the nearest other class. It decides where
        there is another class; the distance decides where there is none, and in `verify`. With a weight of 0
        both are the same. Where classes have separate thresholds,
        these are the common ones, also in `thresholds`. Rates are those of the score. Rates that need known
        queries are NaN where there were none. The closed protocol and pairs have distances only.
    intervals : dict of str to dict of str to (float, float)
        Intervals of the rates of each cutpoint: what as many new classes may show as there were in
        calibration. Empty for the closed protocol.
    thresholds : dict of str to ndarray of shape (n_thresholds,)
        ``"distance"``, ascending, and the rates at each distance. With a `runner_up_weight` above 0 the rates
        are those at each ``"score"``, ascending; and ``"distance"`` is the one that accepts as many
        strangers.
    protocol : {"open", "closed", "pairs"}
        How it was made; "pairs" by :meth:`SimilaritySearch.calibrate_pairs`.
    metric : str
        What ``"optimal"`` maximises.
    n_gallery, n_classes : int
        Items and classes in the gallery at calibration.
    n_known, n_strangers : int
        Number of known queries and of strangers, or of pairs of one class and of two.
    confidence_level : float
        Of the intervals.
    class_factors : dict of label to float
        With ``per_class=True``: the threshold of a class is the common one times this factor. Classes without
        a factor, for example those enrolled later, have the common one. The distance to the class is divided
        by the factor before it is compared with the threshold, or enters the score.
    runner_up_weight : float
        Part of the squared distance to the runner-up, the nearest other class, that is subtracted from the
        squared distance of a match. 0 compares the distance alone.
    probability : dict of str to float
        ``"intercept"`` and ``"slope"`` of the probability that a match is right, a logistic function of its
        score: :meth:`SimilaritySearch.match_probability` computes it. Empty where there were no known queries
        or no strangers.

    See Also
    --------
    SimilaritySearch.calibrate : Makes it.
    skmetric.inspection.ThresholdDisplay : Draws it.

    Examples
    --------
    >>> from skmetric.search import SimilaritySearch
    >>> search = SimilaritySearch().fit([[0.0], [0.1], [5.0], [5.2]], ["ant", "ant", "bee", "bee"])
    >>> calibration = search.calibrate()
    >>> round(calibration.cutpoints["optimal"]["distance"], 3)
    2.55
    >>> calibration.n_gallery, calibration.n_strangers
    (4, 4)
    """

    cutpoints: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, tuple[float, float]]]
    thresholds: dict[str, NDArray]
    protocol: str
    metric: str
    n_gallery: int
    n_classes: int
    n_known: int
    n_strangers: int
    confidence_level: float
    class_factors: dict[Any, float] = field(default_factory=dict)
    runner_up_weight: float = 0.0
    probability: dict[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "\n".join([_text(self._rows()), "", self._caption(), *advice(self)])

    def _repr_html_(self) -> str:
        paragraphs = "".join(f"<p>{line}</p>" for line in [self._caption(), *advice(self)])
        return f"{_html(self._rows())}{paragraphs}"

    def class_thresholds(self, labels: ArrayLike, cutpoint: str = "optimal") -> NDArray:
        """Largest distance to accept for a match to each of some classes.

        Parameters
        ----------
        labels : array-like of shape (n_labels,)
            Classes, in any order.
        cutpoint : str, default="optimal"
            Name of the cutpoint.

        Returns
        -------
        ndarray of shape (n_labels,), float64
            The distance of the cutpoint times the factor of the class, if it has one: with a
            `runner_up_weight` above 0 that of a match without a runner-up.

        Raises
        ------
        KeyError
            If there is no such cutpoint.
        """
        names = read_labels(labels, "labels") if np.ndim(labels) == 1 else np.asarray(labels).ravel()
        factors = np.array([self.class_factors.get(name, 1.0) for name in names.tolist()])
        return self.cutpoints[cutpoint]["distance"] * factors

    def _rows(self) -> list[list[str]]:
        hidden = {"distance"} if self.runner_up_weight else {"score"}  # the one that `predict` does not use
        columns = [name for name in self.cutpoints["optimal"] if name not in hidden]
        return [["", *columns], *([name, *self._cells(name, columns)] for name in self.cutpoints)]

    def _cells(self, name: str, columns: Sequence[str]) -> Iterator[str]:
        intervals = self.intervals.get(name, {})
        for rate in columns:
            value = self.cutpoints[name][rate]
            cell = f"{value:.4g}" if rate in ("distance", "score") else f"{value:.3f}"
            yield cell + (" [{:.3f}, {:.3f}]".format(*intervals[rate]) if rate in intervals else "")

    def _caption(self) -> str:
        if self.protocol == "pairs":
            return f"{self.n_known} pairs of one class and {self.n_strangers} of two"
        caption = f"{self.protocol} protocol, {self.n_known} known queries"
        caption += f" and {self.n_strangers} strangers" * (self.protocol == "open")
        caption += f"; gallery of {self.n_gallery} items in {self.n_classes} classes"
        if self.class_factors:
            low, high = min(self.class_factors.values()), max(self.class_factors.values())
            caption += f", {len(self.class_factors)} with their own threshold"
            caption += f", from {low:.2f} to {high:.2f} of the common one"
        if self.runner_up_weight:
            caption += f"; score: root of d1² - {self.runner_up_weight:g} d2², d2 to the nearest other class"
        return caption


def calibrate_open(
    evidence: Evidence,
    sizes: tuple[int, int],
    metric: str,
    targets: Targets | None,
    extra_metrics: Sequence[str] | None,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator,
    weight: float = 0.0,
) -> Calibration:
    """Calibration that counts strangers; `sizes` are (n_gallery, n_classes), `weight` is of the runner-up."""
    n_gallery, n_classes = sizes
    names = _columns(extra_metrics, ("recall", "false_accept_rate", "precision"), metric, targets)
    plain, evidence = evidence, scored(evidence, weight)
    curve = _Curve.of(evidence, n_classes)
    cutpoints, intervals = {}, {}
    for name, target in {"optimal": None, **(targets or {})}.items():
        at, limit = curve.cut(name, metric, target)
        cutpoints[name] = {"distance": limit, "score": limit, **curve.rates_at(at, names)}
        drawn = predictive_intervals(
            evidence, curve.limits[at], n_classes, confidence_level, n_resamples, rng
        )
        intervals[name] = {rate: drawn[rate] for rate in names if rate in drawn}
    table = {"distance": curve.limits}
    if weight:
        for name, distance in _distances_alone(plain, n_classes, metric, targets).items():
            cutpoints[name]["distance"] = distance
        table = {"score": curve.limits, "distance": _accepting_as_many(plain, evidence, curve.limits)}
    return Calibration(
        cutpoints,
        intervals,
        table | {rate: curve.rates[rate] for rate in names},
        "open",
        metric,
        n_gallery,
        n_classes,
        len(evidence.known_distances),
        len(evidence.stranger_distances),
        confidence_level,
        runner_up_weight=float(weight),
        probability=fit_probability(evidence),
    )


class _Curve(NamedTuple):
    """Rates of the open protocol at ascending limits, the first of which accepts nobody."""

    evidence: Evidence
    n_classes: int
    limits: NDArray
    rates: dict[str, NDArray]

    @classmethod
    def of(cls, evidence: Evidence, n_classes: int) -> Self:
        limits = np.unique(np.concatenate([evidence.known_distances, evidence.stranger_distances]))
        limits = np.concatenate([[np.nextafter(limits[0], -np.inf)], limits])
        return cls(evidence, n_classes, limits, open_rates(evidence, limits, n_classes))

    def cut(self, name: str, metric: str, target: tuple[str, float] | None) -> tuple[int, float]:
        """Row and limit of a cutpoint: of the largest `metric`, or that meets a target."""
        if target is None:
            at = _best(self.rates, metric)
            after = self.limits[min(at + 1, len(self.limits) - 1)] if at > 0 else self.limits[at]
            return at, half_way(self.limits[at], after)  # counts are the same up to the next limit
        rate, value = target
        if rate == "false_accept_rate":
            limit = limit_for_target(self.evidence, value, self.n_classes)
            at = max(int(np.searchsorted(self.limits, limit, side="left")) - 1, 0)
        else:
            at = largest_that_meets(self.rates, name, rate, value)
        return at, half_way(self.limits[at], self.limits[at])

    def rates_at(self, at: int, names: Sequence[str]) -> dict[str, float]:
        return {rate: float(self.rates[rate][at]) for rate in names}


def _distances_alone(
    plain: Evidence, n_classes: int, metric: str, targets: Targets | None
) -> dict[str, float]:
    """Cutpoints on the distance, for matches without a runner-up; a target out of reach accepts nobody."""
    curve, distances = _Curve.of(plain, n_classes), {}
    for name, target in {"optimal": None, **(targets or {})}.items():
        try:
            distances[name] = curve.cut(name, metric, target)[1]
        except ValueError:
            distances[name] = float(curve.limits[0])
    return distances


def _accepting_as_many(plain: Evidence, evidence: Evidence, limits: NDArray) -> NDArray:
    """The distance that accepts as many strangers as each limit on the score, (n_limits,)."""
    accepted = np.searchsorted(np.sort(evidence.stranger_distances), limits, side="right")
    by_distance = np.sort(plain.stranger_distances)
    return np.concatenate([[np.nextafter(by_distance[0], -np.inf)], by_distance])[accepted]


def _best(rates, metric):
    """Row of the optimum; without known queries, the largest distance that accepts no stranger."""
    if np.isnan(rates[metric]).all():
        return int(np.flatnonzero(rates["false_accept_rate"] == 0)[-1])
    return int(np.argmax(rates[metric]))


def calibrate_closed(
    evidence: Evidence,
    sizes: tuple[int, int],
    metric: str,
    targets: Targets | None,
    extra_metrics: Sequence[str] | None,
    confidence_level: float,
) -> tuple[Calibration, float]:
    """The table of TensorFlow Similarity from version 0.16 on, and the share of its queries that is accepted.

    The rates are computed at every distance that was seen, and the optimum is the last of the largest values
    (its ``MemoryEvaluator.calibrate``). Up to 0.15 its loop ended at the largest distance, whatever the
    metric.
    """
    names = _columns(extra_metrics, ("precision", "recall", "binary_accuracy"), metric, targets)
    distances = np.unique(np.round(evidence.all_distances, 8))
    rates = closed_rates(evidence, distances)
    best = len(distances) - 1 - int(np.argmax(rates[metric][::-1]))  # of equals, the largest distance
    cuts = {"optimal": best}
    for name, target in (targets or {}).items():
        cuts[name] = largest_that_meets(rates, name, *target)
    table = {"value": np.round(rates[metric], 6), "distance": distances}
    table |= {name: rates[name] for name in names}
    cutpoints = {
        name: {column: float(values[at]) for column, values in table.items()} for name, at in cuts.items()
    }
    n_known = len(evidence.known_distances)
    calibration = Calibration(
        cutpoints, {}, table, "closed", metric, *sizes, n_known=n_known, n_strangers=0,
        confidence_level=confidence_level,
    )  # fmt: skip
    return calibration, float(np.mean(np.round(evidence.known_distances, 8) <= distances[best]))


def accepts_nearly_all(accepted: float) -> str | None:
    """The warning for a closed cutpoint, or None."""
    if accepted <= _NEARLY_ALL:
        return None
    return (
        f"the optimal cutpoint of protocol='closed' accepts {accepted:.1%} of the queries, and so most "
        "strangers: no stranger took part. protocol='open' counts them"
    )


def _columns(extra_metrics, default, metric, targets):
    wanted = [*(default if extra_metrics is None else extra_metrics), metric]
    wanted += [target[0] for target in (targets or {}).values()]
    return list(dict.fromkeys(wanted))
