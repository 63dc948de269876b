"""ThresholdDisplay: what a threshold on distance lets in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.stats import norm
from sklearn.isotonic import isotonic_regression
from sklearn.utils.validation import check_is_fitted

from ._style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, axes_of, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skmetric.search import Calibration

_LOOKS = {
    "recall": ("known identified (recall)", BLUE, "-"),
    "false_accept_rate": ("strangers accepted", RED, "--"),
    "precision": ("precision", GREEN, "-."),
    "f1": ("F1", ORANGE, ":"),
    "binary_accuracy": ("binary accuracy", PINK, (0, (5, 1, 1, 1, 1, 1))),
}
_MARKERS, _SIGNS = "osD^v", "●■◆▲▼"  # of the cutpoints
_KINDS = ("rates", "precision_recall", "det")
_DET_TICKS = np.array([0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999])


class ThresholdDisplay:
    """Rates of accepted matches over the threshold, with the calibrated cutpoints.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`.

    Parameters
    ----------
    thresholds : dict of str to ndarray of shape (n_thresholds,)
        ``"distance"``, ascending, and rates in [0, 1] at each distance.
    cutpoints : dict of str to dict of str to float
        By name: ``"distance"``, and rates there.
    intervals : dict of str to dict of str to (float, float), default=None
        Of the rates of each cutpoint.
    confidence_level : float, default=0.95
        Of the intervals.
    kind : {"rates", "precision_recall", "det"}, default="rates"
        Rates over distance; precision against recall; or the detection error trade-off, strangers accepted
        against known queries missed, both on normal-deviate axes [1]_.

    Attributes
    ----------
    ax_ : matplotlib Axes
        After `plot`.
    figure_ : matplotlib Figure
        After `plot`.

    See Also
    --------
    DistanceHistogramDisplay : The distances themselves.
    skmetric.search.Calibration : The rates as a table.

    References
    ----------
    .. [1] A. Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.inspection import ThresholdDisplay
    >>> from skmetric.search import SimilaritySearch
    >>> X, y = load_digits(return_X_y=True)
    >>> search = SimilaritySearch().fit(X[:400], y[:400])
    >>> calibration = search.calibrate(targets={"strict": ("false_accept_rate", 0.05)})
    >>> display = ThresholdDisplay.from_estimator(search)
    >>> display.ax_.get_xlabel()
    'distance to the match'
    """

    def __init__(
        self,
        thresholds: dict[str, np.ndarray],
        cutpoints: dict[str, dict[str, float]],
        intervals: Any = None,
        confidence_level: float = 0.95,
        kind: str = "rates",
    ) -> None:
        self.thresholds = thresholds
        self.cutpoints = cutpoints
        self.intervals = intervals
        self.confidence_level = confidence_level
        self.kind = kind

    @classmethod
    def from_estimator(cls, estimator: Any, *, kind: str = "rates", ax: Axes | None = None) -> Self:
        """Draw the calibration of a search.

        Parameters
        ----------
        estimator : SimilaritySearch
            Calibrated.
        kind : {"rates", "precision_recall", "det"}, default="rates"
            What to draw.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        ThresholdDisplay
            Drawn.

        Raises
        ------
        NotFittedError
            If the search was not calibrated.
        """
        check_is_fitted(estimator, "calibration_", msg="%(name)s is not calibrated: call calibrate() first")
        return cls.from_predictions(estimator.calibration_, kind=kind, ax=ax)

    @classmethod
    def from_predictions(
        cls, calibration: Calibration, *, kind: str = "rates", ax: Axes | None = None
    ) -> Self:
        """Draw a calibration.

        Parameters
        ----------
        calibration : Calibration
            From :meth:`skmetric.search.SimilaritySearch.calibrate`.
        kind : {"rates", "precision_recall", "det"}, default="rates"
            What to draw.
        ax : matplotlib Axes, default=None
            Where; None makes a figure.

        Returns
        -------
        ThresholdDisplay
            Drawn.

        Raises
        ------
        ValueError
            If the calibration lacks the rates that `kind` needs.
        """
        display = cls(
            with_f1(calibration.thresholds),
            {name: with_f1(cutpoint) for name, cutpoint in calibration.cutpoints.items()},
            calibration.intervals,
            calibration.confidence_level,
            kind,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None, *, kind: str | None = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where; None makes a figure.
        kind : {"rates", "precision_recall", "det"}, default=None
            What to draw; None draws the display's own kind.

        Returns
        -------
        ThresholdDisplay
            The same.
        """
        kind = self.kind if kind is None else kind
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}; got {kind!r}")
        needed = {"rates": (), "precision_recall": ("precision", "recall")}.get(
            kind, ("recall", "false_accept_rate")
        )
        missing = [name for name in needed if name not in self.thresholds]
        if missing:
            raise ValueError(
                f"kind={kind!r} needs {' and '.join(missing)}, which the calibration does not report: name "
                "them in extra_metrics of calibrate (strangers are counted by protocol='open' only)"
            )
        ax = axes_of(ax)
        {"rates": self._rates, "precision_recall": self._precision_recall, "det": self._det}[kind](ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _rates(self, ax):
        distance = self.thresholds["distance"]
        names = [name for name in self.thresholds if name in _LOOKS]
        for name in names:
            label, color, dash = _LOOKS[name]
            ax.plot(distance, self._drawn(name), color=color, linestyle=dash, label=label)
        for number, (cut, rates) in enumerate(self.cutpoints.items()):
            ax.axvline(rates["distance"], color=BLACK, linewidth=1, linestyle=(0, (1, 1 + 2 * number)))
            ax.annotate(
                f"{_SIGNS[number % 5]} {cut}, {rates['distance']:.3g}",
                (rates["distance"], 1.02 + 0.055 * number),
                xycoords=("data", "axes fraction"), ha="center", fontsize="small",
            )  # fmt: skip
        self._bars(ax)
        self._legend(ax)
        finish(ax, xlabel="distance to the match", ylabel="share of queries", ylim=(-0.02, 1.02))

    def _drawn(self, name):
        """A rate over distance; there is no precision where nothing is accepted."""
        rate = np.asarray(self.thresholds[name], dtype=float)
        if name not in ("precision", "f1") or "recall" not in self.thresholds:
            return rate
        nothing = (np.asarray(self.thresholds["recall"]) == 0) & (rate == 0)
        return np.where(nothing, np.nan, rate)

    def _bars(self, ax):
        """Intervals at the cutpoints, side by side about each line; those of near cutpoints move aside."""
        shown = {
            cut: [name for name in intervals if name in _LOOKS and name in self.cutpoints[cut]]
            for cut, intervals in (self.intervals or {}).items()
            if cut in self.cutpoints
        }
        step = 0.014 * np.ptp(self.thresholds["distance"])
        middles = np.array([self.cutpoints[cut]["distance"] for cut in shown])
        widths = np.array([step * (len(names) + 0.6) for names in shown.values()])
        middles = apart(middles, widths)
        for (cut, names), middle in zip(shown.items(), middles, strict=True):
            rates, marker = self.cutpoints[cut], _MARKERS[list(self.cutpoints).index(cut) % 5]
            look = {"capsize": 2.5, "marker": marker, "markersize": 4.5, "linewidth": 1.3}
            for i, name in enumerate(names):
                low, high = self.intervals[cut][name]
                ends = [[max(rates[name] - low, 0)], [max(high - rates[name], 0)]]
                at = middle + step * (i - (len(names) - 1) / 2)
                ax.errorbar(at, rates[name], ends, color=_LOOKS[name][1], **look)

    def _legend(self, ax):
        title = None
        if self.intervals:
            title = f"bars: {100 * self.confidence_level:g}% for as many new classes"
        legend_beside(ax, title=title, title_fontsize="small", alignment="left")

    def _precision_recall(self, ax):
        recall, precision = self.thresholds["recall"], self.thresholds["precision"]
        some = (recall > 0) | (precision > 0)  # where nothing is accepted there is no precision
        ax.plot(recall[some], precision[some], color=BLUE)
        self._mark(ax, "recall", "precision")
        limits = {"xlim": (-0.02, 1.02), "ylim": (-0.02, 1.04)}
        finish(
            ax, xlabel="recall: known queries identified", ylabel="precision of what is accepted", **limits
        )

    def _det(self, ax):
        far, miss = self.thresholds["false_accept_rate"], 1 - self.thresholds["recall"]
        inside = (far > 0) & (far < 1) & (miss > 0) & (miss < 1)  # the axes end in infinity
        ax.plot(norm.ppf(far[inside]), norm.ppf(miss[inside]), color=BLUE)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(norm.ppf(_DET_TICKS), [f"{100 * tick:g}%" for tick in _DET_TICKS])
        bounds = norm.ppf([0.0007, 0.9993])
        places = {  # rates of 0 and 1 lie at the ends of the axes
            name: np.clip(norm.ppf([cut["false_accept_rate"], 1 - cut["recall"]]), *bounds)
            for name, cut in self.cutpoints.items()
            if {"false_accept_rate", "recall"} <= cut.keys()
        }
        self._mark(ax, "x", "y", {name: {"x": x, "y": y} for name, (x, y) in places.items()})
        finish(ax, xlabel="strangers accepted", ylabel="known queries missed", xlim=bounds, ylim=bounds)

    def _mark(self, ax, x, y, cutpoints=None):
        for number, (name, cut) in enumerate((cutpoints or self.cutpoints).items()):
            if np.isfinite([cut.get(x, np.nan), cut.get(y, np.nan)]).all():
                ax.plot(cut[x], cut[y], _MARKERS[number % 5], color=RED, label=name, clip_on=False)
        legend_beside(ax, title="cutpoints", title_fontsize="small", alignment="left")


def apart(middles, widths):
    """Middles (n,) of intervals of these widths, in their order, moved as little as keeps them apart."""
    order = np.argsort(middles, kind="stable")
    room = np.concatenate([[0], np.cumsum((widths[order][1:] + widths[order][:-1]) / 2)])
    # what is left to do is isotonic regression of the middles less the room that those before them take
    moved = isotonic_regression(middles[order] - room) + room if len(middles) else middles
    placed = np.empty_like(middles)
    placed[order] = moved
    return placed


def with_f1(rates):
    """The rates and, where precision and recall are among them, their harmonic mean."""
    if "f1" in rates or not {"precision", "recall"} <= rates.keys():
        return rates
    precision, recall = np.asarray(rates["precision"]), np.asarray(rates["recall"])
    both = precision + recall
    return {**rates, "f1": np.divide(2 * precision * recall, both, out=np.zeros(both.shape), where=both > 0)}
