"""Retrieval, recognition and refusal, measured on queries with strangers among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from skmetric.metrics._ranking import map_at_r, recall_at_k
from skmetric.metrics._report import ByName, _html, _text
from skmetric.retrieval import Ranking
from skmetric.search._gallery._labels import LabelColumn

from ._class_bootstrap import intervals_over_classes
from ._measured import Measured

if TYPE_CHECKING:
    from ._calibration import Calibration

_BLOCK_NEIGHBORS = 2**23  # held at a time


@final
@dataclass(frozen=True, repr=False, eq=False)
class Evaluation(ByName):
    """What :meth:`SimilaritySearch.evaluate` returns.

    Prints as a table; ``evaluation["identified"]`` is a score.

    Parameters
    ----------
    scores : dict of str to float
        ``"recall_at_1"`` and its like and ``"map_at_r"`` of known queries in the gallery; ``"accuracy"``, the
        share of them matched to their class at any distance; ``"identified"``, the share that is also
        accepted. With strangers: ``"unknown_accepted"``; ``"balanced_accuracy"``, the mean of identified and
        of strangers refused; ``"auroc"``, of known queries against strangers by distance (divided by the
        factor of the class, where each class has its own threshold); and ``"oscr"``, the area under the
        curve.
    oscr_curve : dict of str to ndarray, or None
        ``"unknown_accepted"``, ``"identified"`` and ``"distance"`` as the threshold grows; None without
        strangers.
    counts : ndarray of shape (n, 3)
        Entries of `confusion` above 0: row, column and number of queries.
    labels : ndarray of shape (n_labels,)
        Of rows and columns: the classes, and last the no-match label, which is right for strangers.
    n_known, n_unknown : int
        Number of known queries and of strangers.
    intervals : dict of str to (float, float)
        Interval of each score, by resampling classes: how much the score may change with other classes of
        the same kind. Scores that depend on a single class have none.
    confidence_level : float
        Of the intervals.
    promised : dict of str to float
        What the calibration said of "identified", "unknown_accepted" and "balanced_accuracy" at the cutpoint
        in use: the rates that it reports as recall, false_accept_rate and balanced_accuracy. Printed beside
        the scores. Empty without a calibration of the open protocol.
    promised_intervals : dict of str to (float, float)
        The intervals of the calibration: what as many new classes as it had may show.
    per_query : dict of str to ndarray of shape (n_known + n_unknown,), or None
        Of each query, strangers last: ``"known"``, whether it has an item of its class to find; ``"right"``,
        whether it is matched to its class; ``"accepted"``; the retrieval scores, NaN for strangers; and
        ``"score"``, what the threshold is compared with.
    by : dict of value to Evaluation, or None
        Evaluation of each subgroup. A subgroup of strangers alone has the score "unknown_accepted" only.

    Attributes
    ----------
    confusion : ndarray of shape (n_labels, n_labels)
        Queries of each true label, by row, that were given each label, by column. It is made when it is
        read: of 20,000 classes it takes 3 GB.

    See Also
    --------
    SimilaritySearch.evaluate : Makes it.

    References
    ----------
    .. [1] A. Dhamija, M. Günther, T. Boult, "Reducing network agnostophobia", NeurIPS 2018 (OSCR).

    Examples
    --------
    >>> from skmetric.search import SimilaritySearch
    >>> search = SimilaritySearch().fit([[0.0], [0.1], [5.0], [5.2]], ["ant", "ant", "bee", "bee"])
    >>> _ = search.calibrate()
    >>> evaluation = search.evaluate([[0.2], [4.8]], ["ant", "bee"], X_unknown=[[20.0], [6.0]])
    >>> evaluation["identified"], evaluation["unknown_accepted"]
    (1.0, 0.5)
    >>> evaluation.confusion
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """

    scores: dict[str, float]
    oscr_curve: dict[str, NDArray] | None
    counts: NDArray
    labels: NDArray
    n_known: int
    n_unknown: int
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    confidence_level: float = 0.95
    promised: dict[str, float] = field(default_factory=dict)
    promised_intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    per_query: dict[str, NDArray] | None = None
    by: dict[Any, Evaluation] | None = None

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Queries of each true label, by row, that were given each label, by column."""
        kept: NDArray[np.int64] | None = self.__dict__.get("confusion")
        if kept is not None:  # of an earlier version
            return kept
        matrix = np.zeros((len(self.labels), len(self.labels)), dtype=np.int64)
        rows, columns, counts = self.counts.T
        matrix[rows, columns] = counts
        return matrix

    def _values(self) -> dict[str, float]:
        return self.scores

    def __repr__(self) -> str:
        return "\n\n".join([*map(_text, self._tables()), self._caption()])

    def _repr_html_(self) -> str:
        return f"{''.join(map(_html, self._tables()))}<p>{self._caption()}</p>"

    def _tables(self) -> list[list[list[str]]]:
        if self.by is None:
            return [self._rows()]
        header = ["subgroup", "known", "strangers", *self.scores]
        return [self._rows(), [header, *(self._subgroup(value, part) for value, part in self.by.items())]]

    def _subgroup(self, value: Any, part: Evaluation) -> list[str]:
        """A row of the table of subgroups: scores, with their intervals where there are some."""
        cells = [str(value), str(part.n_known), str(part.n_unknown)]
        for name in self.scores:
            interval = f" {_interval(part.intervals, name)}" if name in part.intervals else ""
            cells.append(f"{part.scores[name]:.3f}{interval}" if name in part.scores else "-")
        return cells

    def _rows(self) -> list[list[str]]:
        columns = [["", *self.scores], ["score", *(f"{value:.3f}" for value in self.scores.values())]]
        if self.intervals:
            name = f"{100 * self.confidence_level:g}% interval"
            columns.append([name, *(_interval(self.intervals, score) for score in self.scores)])
        promised = getattr(self, "promised", {})  # evaluations of earlier versions have none
        if promised:
            columns.append(["promised", *(self._promise(score) for score in self.scores)])
        return [list(row) for row in zip(*columns, strict=True)]

    def _promise(self, name: str) -> str:
        if name not in self.promised:
            return "-"
        cell = f"{self.promised[name]:.3f}"
        return (
            f"{cell} {_interval(self.promised_intervals, name)}" if name in self.promised_intervals else cell
        )

    def _caption(self) -> str:
        counts = f"{self.n_known} queries of classes in the gallery, {self.n_unknown} strangers"
        caption = f"{counts}; intervals by resampling classes" if self.intervals else counts
        return f"{caption}; promised: by the calibration" if getattr(self, "promised", {}) else caption


def _interval(intervals: Mapping[str, tuple[float, float]], name: str) -> str:
    return "[{:.3f}, {:.3f}]".format(*intervals[name]) if name in intervals else "-"


def evaluate_matches(
    measured: Measured,
    labels: LabelColumn,
    no_match_label: Any,
    confidence_level: float,
    n_resamples: int,
    rng: np.random.Generator,
) -> Evaluation:
    """Evaluate the matches of queries. A part of them may have no known query, and then one score only."""
    match, true = measured.match, measured.true
    known, accepted, right = measured.known, measured.accepted, measured.right
    per_query: dict[str, Any] = {}
    if known.any():
        per_query = dict(measured.retrieval)
        per_query |= {"accuracy": right[known], "identified": (right & accepted)[known]}
    scores = {name: float(np.mean(values)) for name, values in per_query.items()}
    curve = None
    if not known.all():
        scores["unknown_accepted"] = float(accepted[~known].mean())
    if known.any() and not known.all():
        curve = _oscr(match.distances, right, known)
        scores["balanced_accuracy"] = (scores["identified"] + 1 - scores["unknown_accepted"]) / 2
        scores["auroc"] = float(roc_auc_score(known, -match.distances))
        scores["oscr"] = float(np.trapezoid(curve["identified"], curve["unknown_accepted"]))
    intervals = intervals_over_classes(
        per_query, right, accepted, known, match.distances, measured.classes, confidence_level, n_resamples,
        rng,
    )  # fmt: skip
    shown = np.array([*labels.classes.tolist(), no_match_label], dtype=object)
    counts = _counted(true, np.where(accepted, match.codes, -1), labels.present)
    n_known = int(known.sum())
    return Evaluation(
        scores, curve, counts, shown, n_known, len(known) - n_known, intervals, confidence_level
    )


def _counted(true: NDArray, given: NDArray, present: NDArray) -> NDArray[np.int64]:
    """Entries above 0 of the confusion matrix, whose last row and column are those of -1: (n, 3)."""
    place = np.full(max(int(codes.max()) for codes in (true, given, present)) + 2, -1)
    place[present], place[-1] = np.arange(len(present)), len(present)
    pairs = np.stack([place[true], place[given]], axis=1)
    pairs, counts = np.unique(pairs[(pairs >= 0).all(axis=1)], axis=0, return_counts=True)
    return np.column_stack([pairs, counts])


_RATES = {
    "identified": "recall",
    "unknown_accepted": "false_accept_rate",
    "balanced_accuracy": "balanced_accuracy",
}


def with_promises(evaluation: Evaluation, calibration: Calibration, cutpoint: str) -> Evaluation:
    """The evaluation beside what a calibration of the open protocol said of the cutpoint."""
    if calibration.protocol != "open":
        return evaluation
    rates, intervals = dict(calibration.cutpoints[cutpoint]), calibration.intervals.get(cutpoint, {})
    if "recall" in rates and "false_accept_rate" in rates:
        rates["balanced_accuracy"] = (rates["recall"] + 1 - rates["false_accept_rate"]) / 2
    told = {name: rate for name, rate in _RATES.items() if name in evaluation.scores and rate in rates}
    return replace(
        evaluation,
        promised={name: rates[rate] for name, rate in told.items()},
        promised_intervals={name: intervals[rate] for name, rate in told.items() if rate in intervals},
    )


def retrieval_scores(
    find: Callable[[NDArray, int], NDArray],
    codes: NDArray,
    recall_at: Sequence[int],
    n_relevant: NDArray,
    n_items: int,
) -> dict[str, NDArray]:
    """Recall@k and MAP@R of each query of a class in the gallery, by name.

    ``find(rows, depth)`` gives the codes of the neighbours of some queries, (n_rows, depth), without the item
    that a query is; `codes` are those of the queries, `n_relevant` how many items each has to find, and
    `n_items` how many are searched.
    """
    ks = [int(k) for k in recall_at if k <= n_items]
    depth = max([int(n_relevant.max()), *ks])
    n_blocks = -(-len(codes) * depth // _BLOCK_NEIGHBORS)
    parts = []
    for rows in np.array_split(np.arange(len(codes)), n_blocks):
        relevant = find(rows, depth) == codes[rows, None]
        ranking = Ranking(relevant, n_relevant[rows], n_items)
        parts.append(np.stack([*(recall_at_k(ranking, k) for k in ks), map_at_r(ranking)]))
    scores = np.concatenate(parts, axis=1)
    return dict(zip([*(f"recall_at_{k}" for k in ks), "map_at_r"], scores, strict=True))


def _oscr(distances, right, known):
    """Identified known queries against accepted strangers as the threshold grows, from none to all."""
    at = np.unique(distances)

    def below(mask, total):
        found = np.searchsorted(np.sort(distances[mask]), at, side="right") / total
        return np.concatenate([[0.0], found])

    return {
        "unknown_accepted": below(~known, (~known).sum()),
        "identified": below(known & right, known.sum()),
        "distance": np.concatenate([[np.nextafter(at[0], -np.inf)], at]),
    }
