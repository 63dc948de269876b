"""A linear learner of quadruplets: which of two distances is the smaller one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._tuple_learner import LinearTupleLearner


class LinearQuadrupletLearner(LinearTupleLearner):
    """Learns from quadruplets; a subclass writes `fit`."""

    _n_members = 4

    def decision_function(self, X: ArrayLike, *, quadruplets: ArrayLike | None = None) -> NDArray[np.float64]:
        """How much larger the distance that should be larger is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_quadruplets, 4, n_features)
            Samples, or without `quadruplets` the quadruplets themselves.
        quadruplets : array-like of shape (n_quadruplets, 4), default=None
            Row numbers of `X`.

        Returns
        -------
        ndarray of shape (n_quadruplets,)
            Distance of the last two members minus that of the first two: above 0 is in order.
        """
        near, far = self._tuple_distances(X, quadruplets, [[0, 1], [2, 3]]).T
        return far - near

    def predict(self, X: ArrayLike, *, quadruplets: ArrayLike | None = None) -> NDArray[np.int64]:
        """Whether each of the quadruplets is in order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_quadruplets, 4, n_features)
            Samples, or without `quadruplets` the quadruplets themselves.
        quadruplets : array-like of shape (n_quadruplets, 4), default=None
            Row numbers of `X`.

        Returns
        -------
        ndarray of shape (n_quadruplets,)
            1 where it is in order, else -1.
        """
        return np.where(self.decision_function(X, quadruplets=quadruplets) > 0, 1, -1)

    def score(self, X: ArrayLike, y: object = None, *, quadruplets: ArrayLike | None = None) -> float:
        """Share of the quadruplets that are in order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_quadruplets, 4, n_features)
            Samples, or without `quadruplets` the quadruplets themselves. Use classes that
            were never trained on.
        y : None
            Not used.
        quadruplets : array-like of shape (n_quadruplets, 4), default=None
            Row numbers of `X`.

        Returns
        -------
        float
            In [0, 1]; 0.5 is chance.
        """
        return float(np.mean(self.decision_function(X, quadruplets=quadruplets) > 0))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags
