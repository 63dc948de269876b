"""A linear learner of pairs: a threshold on its distance tells similar pairs from others."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted

from skmetric._input._tuples import Tuples, read_similarity
from skmetric._pair_threshold import Criterion, check_threshold, choose_threshold, read_target

from ._tuple_learner import LinearTupleLearner, map_state


class LinearPairLearner(LinearTupleLearner):
    """Learns from pairs that are similar or not; a subclass writes `fit`."""

    threshold_: float
    classes_: NDArray[Any]
    _n_members = 2

    def decision_function(self, X: ArrayLike, *, pairs: ArrayLike | None = None) -> NDArray[np.float64]:
        """How much nearer than the threshold the members of each pair are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_pairs, 2, n_features) without `pairs`
            Samples, or the pairs themselves.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.

        Returns
        -------
        ndarray of shape (n_pairs,)
            ``threshold_`` minus the distance: larger is more similar; from 0 on a pair counts as similar.
        """
        distances = self._pair_distances(X, pairs)
        return self.threshold_ - distances

    def predict(self, X: ArrayLike, *, pairs: ArrayLike | None = None) -> NDArray[Any]:
        """Whether the members of each pair are similar.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_pairs, 2, n_features) without `pairs`
            Samples, or the pairs themselves.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.

        Returns
        -------
        ndarray of shape (n_pairs,)
            Of ``classes_``.
        """
        similar = self.decision_function(X, pairs=pairs) >= 0
        return self.classes_[similar.astype(int)]

    def score(self, X: ArrayLike, y: ArrayLike, *, pairs: ArrayLike | None = None) -> float:
        """Area under the ROC curve of pairs by distance: the threshold plays no part.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_pairs, 2, n_features) without `pairs`
            Samples, or the pairs themselves; best of classes that were never trained on.
        y : array-like of shape (n_pairs,)
            Which pairs are similar: 1, and 0 or -1 for others.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.

        Returns
        -------
        float
            In [0, 1]; 0.5 is chance.
        """
        distances = self._pair_distances(X, pairs)
        return float(roc_auc_score(read_similarity(y, len(distances), self)[0], -distances))

    def calibrate_threshold(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        pairs: ArrayLike | None = None,
        criterion: Criterion | None = None,
        beta: float | None = None,
        min_rate: float | None = None,
        max_false_accept_rate: float | None = None,
    ) -> Self:
        """Choose the threshold on pairs, best on pairs of classes that were never trained on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_pairs, 2, n_features) without `pairs`
            Samples, or the pairs themselves.
        y : array-like of shape (n_pairs,)
            Which pairs are similar.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`.
        criterion : str, default=None
            What the threshold makes as large as possible: "balanced_accuracy" (None), "accuracy", "f_beta",
            "max_tpr" (share of similar pairs accepted, with at least `min_rate` of the others rejected), or
            "max_tnr" (share of other pairs rejected, with at least `min_rate` of the similar ones accepted).
        beta : float, default=None
            Weight of recall in "f_beta"; None is 1.
        min_rate : float, default=None
            From 0 to 1, for "max_tpr" and "max_tnr".
        max_false_accept_rate : float, default=None
            Largest share, from 0 to below 1, of the pairs that are not similar to accept as similar: short
            for "max_tpr" with 1 minus this rate.

        Returns
        -------
        Self
            With that threshold.

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range, or has no effect on the criterion.
        """
        target = read_target(criterion, beta, min_rate, max_false_accept_rate)
        distances = self._pair_distances(X, pairs)
        self.threshold_ = choose_threshold(distances, read_similarity(y, len(distances), self)[0], target)
        return self

    def set_threshold(self, threshold: float) -> Self:
        """Take a threshold of your own.

        Parameters
        ----------
        threshold : float
            Pairs at most that far apart count as similar.

        Returns
        -------
        Self
            With that threshold.

        Raises
        ------
        TypeError, ValueError
            If it is no number, or no distance.
        """
        check_is_fitted(self)
        self.threshold_ = check_threshold(threshold)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # two values of y: scorers ask for decisions, and folds hold both kinds of pairs
        tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags(multi_class=False)
        return tags

    def _pair_distances(self, X: ArrayLike, pairs: ArrayLike | None) -> NDArray[np.float64]:
        return self._tuple_distances(X, pairs, [[0, 1]])[:, 0]

    def _read_pairs(
        self, X: ArrayLike, y: ArrayLike, pairs: ArrayLike | None
    ) -> tuple[Tuples, NDArray[np.bool_], NDArray[Any]]:
        """Pairs to fit on, which are similar, and the two values of `y`."""
        tuples = self._read(X, pairs)
        return tuples, *read_similarity(y, len(tuples.members), self)

    def _finish(
        self,
        components: NDArray[np.float64],
        tuples: Tuples,
        similar: NDArray[np.bool_],
        classes: NDArray[Any],
    ) -> None:
        """Store the map, and the threshold with the best balanced accuracy on the pairs of `fit`."""
        self._set_map(components, tuples.rows.dtype)
        self.classes_ = classes
        distances = self._distances(tuples.rows, tuples.members, [[0, 1]])[:, 0]
        self.threshold_ = choose_threshold(distances, similar)

    def _state(
        self, components: NDArray[np.float64], *, classes: NDArray[Any], dtype: np.dtype[Any]
    ) -> dict[str, Any]:
        """Attributes that make the learner usable while it is fitted; the threshold is chosen at the end."""
        return map_state(components, dtype=dtype) | {"classes_": classes}
