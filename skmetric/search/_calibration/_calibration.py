"""A threshold on distance, and what it lets in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric.metrics._half_way import half_way
from skmetric.metrics._report import _html, _text

from ._advice import advice
from ._evidence import Evidence
from ._rates import closed_rates, open_rates, predictive_intervals
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
        ``"optimal"`` and the targets by name; each has ``"distance"``, the largest to accept, and the rates
        there. Where classes have thresholds of their own, this is the common distance, also in `thresholds`.
        Rates that need known queries are NaN where there were none.
    intervals : dict of str to dict of str to (float, float)
        Intervals of the rates of each cutpoint: what as many new classes may show as there were in
        calibration. Empty for the closed protocol.
    thresholds : dict of str to ndarray of shape (n_thresholds,)
        ``"distance"``, ascending, and the rates at each distance.
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
        a factor, for example those enrolled later, have the common one.

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
            The distance of the cutpoint times the factor of the class, if it has one.

        Raises
        ------
        KeyError
            If there is no such cutpoint.
        """
        names = np.asarray(labels).ravel().tolist()
        factors = np.array([self.class_factors.get(name, 1.0) for name in names])
        return self.cutpoints[cutpoint]["distance"] * factors

    def _rows(self) -> list[list[str]]:
        header = ["", *self.cutpoints["optimal"]]
        return [header, *([name, *self._cells(name)] for name in self.cutpoints)]

    def _cells(self, name: str) -> Iterator[str]:
        intervals = self.intervals.get(name, {})
        for rate, value in self.cutpoints[name].items():
            cell = f"{value:.4g}" if rate == "distance" else f"{value:.3f}"
            yield cell + (" [{:.3f}, {:.3f}]".format(*intervals[rate]) if rate in intervals else "")

    def _caption(self) -> str:
        if self.protocol == "pairs":
            return f"{self.n_known} pairs of one class and {self.n_strangers} of two"
        caption = f"{self.protocol} protocol, {self.n_known} known queries"
        caption += f" and {self.n_strangers} strangers" * (self.protocol == "open")
        caption += f"; gallery of {self.n_gallery} items in {self.n_classes} classes"
        if self.class_factors:
            low, high = min(self.class_factors.values()), max(self.class_factors.values())
            caption += f", {len(self.class_factors)} with a threshold of their own"
            caption += f", from {low:.2f} to {high:.2f} of the common one"
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
) -> Calibration:
    """Calibration that counts strangers; `sizes` are (n_gallery, n_classes)."""
    n_gallery, n_classes = sizes
    names = _columns(extra_metrics, ("recall", "false_accept_rate", "precision"), metric, targets)
    distances = np.unique(np.concatenate([evidence.known_distances, evidence.stranger_distances]))
    nothing = np.nextafter(distances[0], -np.inf)  # below all: accepts nobody
    distances = np.concatenate([[nothing], distances])
    rates = open_rates(evidence, distances, n_classes)
    cuts = {"optimal": (_best(rates, metric), True)}
    for name, (rate, value) in (targets or {}).items():
        if rate == "false_accept_rate":
            limit = limit_for_target(evidence, value, n_classes)
            at = max(int(np.searchsorted(distances, limit, side="left")) - 1, 0)
        else:
            at = largest_that_meets(rates, name, rate, value)
        cuts[name] = (at, False)
    cutpoints, intervals = {}, {}
    for name, (at, may_move) in cuts.items():
        # counts are the same up to the next distance: the optimum is half-way
        after = distances[min(at + 1, len(distances) - 1)] if may_move and at > 0 else distances[at]
        distance = half_way(distances[at], after)
        cutpoints[name] = {"distance": distance, **{rate: float(rates[rate][at]) for rate in names}}
        drawn = predictive_intervals(evidence, distances[at], n_classes, confidence_level, n_resamples, rng)
        intervals[name] = {rate: drawn[rate] for rate in names if rate in drawn}
    return Calibration(
        cutpoints,
        intervals,
        {"distance": distances, **{rate: rates[rate] for rate in names}},
        "open",
        metric,
        n_gallery,
        n_classes,
        len(evidence.known_distances),
        len(evidence.stranger_distances),
        confidence_level,
    )


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
