"""A threshold on distance, and what it lets in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import final

import numpy as np

from skmetric.metrics._report import _html, _text

from ._rates import CLOSED, OPEN, at_most, closed_rates, open_rates, predictive_intervals
from ._targets import limit_for_target

_NEARLY_ALL = 0.99


@final
@dataclass(frozen=True, repr=False, eq=False)
class Calibration:
    """What :meth:`SimilaritySearch.calibrate` returns: cutpoints and the rates over distance.

    Prints as a table.

    Parameters
    ----------
    cutpoints : dict of str to dict of str to float
        ``"optimal"`` and the targets by name; each has ``"distance"``, the largest to accept, and the rates
        there. With thresholds of classes it is the common one, and so are those of `thresholds`.
    intervals : dict of str to dict of str to (float, float)
        Of the rates of each cutpoint, for as many new classes as there were in calibration; empty for the
        closed protocol.
    thresholds : dict of str to ndarray of shape (n_thresholds,)
        ``"distance"``, ascending, and the rates at each distance.
    protocol : {"open", "closed", "pairs"}
        How it was made; "pairs" by :meth:`SimilaritySearch.calibrate_pairs`.
    metric : str
        What ``"optimal"`` maximises.
    n_gallery, n_classes : int
        Items and classes in the gallery at calibration.
    n_known, n_strangers : int
        Matches, or pairs, that were looked at.
    confidence_level : float
        Of the intervals.
    class_factors : dict of label to float
        With ``per_class=True``: the threshold of a class is so many times the common one. Classes that are
        not in it, such as those enrolled later, have the common one.

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
    thresholds: dict[str, np.ndarray]
    protocol: str
    metric: str
    n_gallery: int
    n_classes: int
    n_known: int
    n_strangers: int
    confidence_level: float
    class_factors: dict = field(default_factory=dict)

    def __repr__(self):
        return f"{_text(self._rows())}\n\n{self._caption()}"

    def _repr_html_(self):
        return f"{_html(self._rows())}<p>{self._caption()}</p>"

    def class_thresholds(self, labels, cutpoint="optimal"):
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

    def _rows(self):
        header = ["", *self.cutpoints["optimal"]]
        return [header, *([name, *self._cells(name)] for name in self.cutpoints)]

    def _cells(self, name):
        intervals = self.intervals.get(name, {})
        for rate, value in self.cutpoints[name].items():
            cell = f"{value:.4g}" if rate == "distance" else f"{value:.3f}"
            yield cell + (" [{:.3f}, {:.3f}]".format(*intervals[rate]) if rate in intervals else "")

    def _caption(self):
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


def calibrate_open(evidence, sizes, metric, targets, extra_metrics, confidence_level, n_resamples, rng):
    """Calibration that counts strangers; `sizes` are (n_gallery, n_classes)."""
    names = _columns(extra_metrics, ("recall", "false_accept_rate", "precision"), metric, targets)
    distances = np.unique(np.concatenate([evidence.known_distances, evidence.stranger_distances]))
    nothing = np.nextafter(distances[0], -np.inf)  # below all: accepts nobody
    distances = np.concatenate([[nothing], distances])
    rates = open_rates(evidence, distances, sizes[1])
    cuts = {"optimal": (np.argmax(rates[metric]), True)}
    for name, (rate, value) in (targets or {}).items():
        if rate == "false_accept_rate":
            limit = limit_for_target(evidence, value, sizes[1])
            at = max(np.searchsorted(distances, limit, side="left") - 1, 0)
        else:
            at = _meet(rates, name, rate, value)
        cuts[name] = (at, False)
    cutpoints, intervals = {}, {}
    for name, (at, may_move) in cuts.items():
        # counts are the same up to the next distance: the optimum stands half-way
        after = distances[min(at + 1, len(distances) - 1)] if may_move and at > 0 else distances[at]
        distance = float((distances[at] + after) / 2)
        cutpoints[name] = {"distance": distance, **{rate: float(rates[rate][at]) for rate in names}}
        drawn = predictive_intervals(evidence, distances[at], sizes[1], confidence_level, n_resamples, rng)
        intervals[name] = {rate: drawn[rate] for rate in names if rate in drawn}
    thresholds = {"distance": distances, **{rate: rates[rate] for rate in names}}
    return Calibration(
        cutpoints,
        intervals,
        thresholds,
        "open",
        metric,
        *sizes,
        len(evidence.known_distances),
        len(evidence.stranger_distances),
        confidence_level,
    )


def calibrate_closed(evidence, sizes, metric, targets, extra_metrics, confidence_level):
    """The table of TensorFlow Similarity; the share of its queries that are accepted comes second.

     Going down from the largest distance, a row is kept where the rounded metric falls below all before, and
     the optimum is the best of the rows kept, the largest distance first
    (its ``MemoryEvaluator.calibrate``).
    """
    names = _columns(extra_metrics, ("precision", "recall", "binary_accuracy"), metric, targets)
    distances = np.unique(np.round(evidence.all_distances, 8))[::-1]
    rates = closed_rates(evidence, distances)
    value = np.round(rates[metric], 6)
    before = np.concatenate([[np.inf], np.minimum.accumulate(value)[:-1]])
    kept = np.flatnonzero(value < before)
    best = kept[np.argmax(rates[metric][kept])]
    cuts = {"optimal": best}
    ascending = {name: column[::-1] for name, column in rates.items()}
    for name, target in (targets or {}).items():
        cuts[name] = len(distances) - 1 - _meet(ascending, name, *target)
    cutpoints = {
        name: {
            "value": float(value[at]),
            "distance": float(distances[at]),
            **{n: float(rates[n][at]) for n in names},
        }
        for name, at in cuts.items()
    }
    thresholds = {"value": value, "distance": distances, **{name: rates[name] for name in names}}
    thresholds = {name: column[kept][::-1] for name, column in thresholds.items()}
    n_known = len(evidence.known_distances)
    calibration = Calibration(
        cutpoints, {}, thresholds, "closed", metric, *sizes, n_known, 0, confidence_level
    )
    return calibration, float(np.mean(np.round(evidence.known_distances, 8) <= distances[best]))


def accepts_nearly_all(accepted):
    """The warning for a closed cutpoint, or None."""
    if accepted <= _NEARLY_ALL:
        return None
    return (
        f"the optimal cutpoint of protocol='closed' accepts {accepted:.1%} of the queries, and so most "
        "strangers: none of them took part. protocol='open' counts them"
    )


def _columns(extra_metrics, default, metric, targets):
    wanted = [*(default if extra_metrics is None else extra_metrics), metric]
    wanted += [target[0] for target in (targets or {}).values()]
    return list(dict.fromkeys(wanted))


def check_rates(protocol, metric, targets, extra_metrics):
    """Refuse rates that the protocol does not have and targets that are none."""
    known = OPEN if protocol == "open" else CLOSED
    if targets is not None and not isinstance(targets, Mapping):
        raise ValueError(
            f"targets must be a dict of names to rates and values, as {{'strict': ('precision', 0.9)}}; got "
            f"{targets!r}"
        )
    if isinstance(extra_metrics, str):
        raise ValueError(f"extra_metrics must be a list of rates; got {extra_metrics!r}, give it in a list")
    if at_most(metric):
        raise ValueError(f"metric={metric!r} is a rate to keep low, and 'optimal' maximises: use targets")
    for name, target in (targets or {}).items():
        if name == "optimal":
            raise ValueError("targets: 'optimal' is the name of the cutpoint of metric; choose another")
        if not isinstance(target, tuple | list) or len(target) != 2:
            raise ValueError(
                f"targets[{name!r}] must be a rate and its value, as ('precision', 0.9); got {target!r}"
            )
        if not isinstance(target[1], Real) or not 0 <= target[1] <= 1:
            raise ValueError(f"targets[{name!r}] must ask for a value from 0 to 1; got {target[1]!r}")
    asked = [metric, *(extra_metrics or ()), *(target[0] for target in (targets or {}).values())]
    for name in asked:
        if name not in known:
            raise ValueError(f"{name!r} is not a rate of this protocol, which has {', '.join(known)}")


def _meet(rates, name, rate, value):
    """Row of the largest distance that meets a target; rates that grow with distance take the smallest."""
    column = rates[rate]
    met = np.flatnonzero(column <= value if at_most(rate) else column >= value)
    if not len(met):
        best = column.min() if at_most(rate) else column.max()
        raise ValueError(
            f"targets[{name!r}] asks for {rate} {'at most' if at_most(rate) else 'at least'} {value}; no "
            f"threshold reaches that, the best has {best:.3g}"
        )
    return met[0] if rate == "recall" else met[-1]
