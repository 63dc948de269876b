"""A linear learner of triplets: which of two distances is the smaller one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._tuple_learner import LinearTupleLearner


class LinearTripletLearner(LinearTupleLearner):
    """Learns from triplets; a subclass writes `fit`."""

    _n_members = 3

    def decision_function(self, X: ArrayLike, *, triplets: ArrayLike | None = None) -> NDArray[np.float64]:
        """How much larger the distance that should be larger is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_triplets, 3, n_features) without `triplets`
            Samples, or the triplets themselves.
        triplets : array-like of shape (n_triplets, 3), default=None
            Row numbers of `X`.

        Returns
        -------
        ndarray of shape (n_triplets,)
            Distance of anchor and negative minus that of anchor and positive: above 0 is in order.
        """
        near, far = self._tuple_distances(X, triplets, [[0, 1], [0, 2]]).T
        return far - near

    def predict(self, X: ArrayLike, *, triplets: ArrayLike | None = None) -> NDArray[np.int64]:
        """Whether each of the triplets is in order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_triplets, 3, n_features) without `triplets`
            Samples, or the triplets themselves.
        triplets : array-like of shape (n_triplets, 3), default=None
            Row numbers of `X`.

        Returns
        -------
        ndarray of shape (n_triplets,)
            1 where it is in order, else -1.
        """
        return np.where(self.decision_function(X, triplets=triplets) > 0, 1, -1)

    def score(self, X: ArrayLike, y: object = None, *, triplets: ArrayLike | None = None) -> float:
        """Share of the triplets that are in order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_triplets, 3, n_features) without `triplets`
            Samples, or the triplets themselves; best of classes that were never trained on.
        y : None
            Not used.
        triplets : array-like of shape (n_triplets, 3), default=None
            Row numbers of `X`.

        Returns
        -------
        float
            In [0, 1]; 0.5 is chance.
        """
        return float(np.mean(self.decision_function(X, triplets=triplets) > 0))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags
