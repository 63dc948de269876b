"""Retrieval, recognition and refusal, measured on queries with strangers among them."""

from dataclasses import dataclass
from typing import final

import numpy as np
from sklearn.metrics import confusion_matrix, roc_auc_score

from skmetric.metrics._ranking import map_at_r, recall_at_k
from skmetric.metrics._report import _html, _text
from skmetric.retrieval import Ranking

_BLOCK_NEIGHBORS = 2**23  # held at a time


@final
@dataclass(frozen=True, repr=False, eq=False)
class Evaluation:
    """What :meth:`SimilaritySearch.evaluate` returns.

    Prints as a table; ``evaluation["identified"]`` is a rate.

    Parameters
    ----------
    scores : dict of str to float
        ``"recall_at_1"`` and its like and ``"map_at_r"`` of known queries in the gallery; ``"accuracy"``, the
        share of them matched to their class, whatever the distance; ``"identified"``, the share also
        accepted; with strangers, ``"unknown_accepted"``, ``"balanced_accuracy"`` (identified against
        refused), ``"auroc"`` of known queries against strangers by distance (over the factor of the class,
        where classes have thresholds of their own), and ``"oscr"``, the area under the curve.
    oscr_curve : dict of str to ndarray, or None
        ``"unknown_accepted"``, ``"identified"`` and ``"distance"`` as the threshold grows; None without
        strangers.
    confusion : ndarray of shape (n_labels, n_labels)
        Queries of each true label, by row, that were given each label, by column.
    labels : ndarray of shape (n_labels,)
        Of rows and columns: the classes, and last the no-match label, which is right for strangers.
    n_known, n_unknown : int
        Queries of either kind.

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
    oscr_curve: dict[str, np.ndarray] | None
    confusion: np.ndarray
    labels: np.ndarray
    n_known: int
    n_unknown: int

    def __getitem__(self, name):
        return self.scores[name]

    def __repr__(self):
        return f"{_text(self._rows())}\n\n{self._caption()}"

    def _repr_html_(self):
        return f"{_html(self._rows())}<p>{self._caption()}</p>"

    def _rows(self):
        return [["", "score"], *([name, f"{value:.3f}"] for name, value in self.scores.items())]

    def _caption(self):
        return f"{self.n_known} queries of classes in the gallery, {self.n_unknown} strangers"


def evaluate_matches(retrieval, true, codes, distances, threshold, labels, no_match_label):
    """Evaluate matches (`codes` at `distances`) of queries whose `true` codes are -1 for strangers.

    `retrieval` are the scores of the known queries by name, which come first in the table.
    """
    known, accepted = true >= 0, distances <= threshold
    right = codes == true
    scores = dict(retrieval)
    scores["accuracy"] = float(right[known].mean())
    scores["identified"] = float((right & accepted)[known].mean())
    curve = None
    if not known.all():
        curve = _oscr(distances, right, known)
        scores["unknown_accepted"] = float(accepted[~known].mean())
        scores["balanced_accuracy"] = (scores["identified"] + 1 - scores["unknown_accepted"]) / 2
        scores["auroc"] = float(roc_auc_score(known, -distances))
        scores["oscr"] = float(np.trapezoid(curve["identified"], curve["unknown_accepted"]))
    names = [*labels.present.tolist(), -1]
    confusion = confusion_matrix(true, np.where(accepted, codes, -1), labels=names)
    shown = np.array([*labels.classes.tolist(), no_match_label], dtype=object)
    n_known = int(known.sum())
    return Evaluation(scores, curve, confusion, shown, n_known, len(known) - n_known)


def retrieval_scores(find, codes, recall_at, sizes):
    """Recall@k and MAP@R, by name, of queries of classes in the gallery.

    ``find(rows, depth)`` gives the codes of the neighbours of some queries, (n_rows, depth); `codes` are
    those of the queries, and `sizes` the items of the gallery under each code.
    """
    n_items = int(sizes.sum())
    ks = [int(k) for k in recall_at if k <= n_items]
    depth = max([int(sizes[codes].max()), *ks])
    n_blocks = -(-len(codes) * depth // _BLOCK_NEIGHBORS)
    parts = []
    for rows in np.array_split(np.arange(len(codes)), n_blocks):
        relevant = find(rows, depth) == codes[rows, None]
        ranking = Ranking(relevant, sizes[codes[rows]], n_items)
        parts.append(np.stack([*(recall_at_k(ranking, k) for k in ks), map_at_r(ranking)]))
    means = np.concatenate(parts, axis=1).mean(axis=1).tolist()
    return dict(zip([*(f"recall_at_{k}" for k in ks), "map_at_r"], means, strict=True))


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
