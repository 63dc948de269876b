"""What the two textbook networks share: parameters, training, and single samples in `transform`."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skmetric._sklearn import BaseEstimator, CallbackSupportMixin
from skmetric.base import MetricLearnerMixin

from ._data._labelled import read_samples
from ._data._tuples import read_tuples
from ._estimator import NetworkMixin
from ._recipe._constraints import OF_TUPLES
from ._training._tasks._tuple_task import distances_of


class TupleLearner(NetworkMixin, MetricLearnerMixin, CallbackSupportMixin, BaseEstimator):
    """A network trained on tuples; a subclass names its parameters and writes `fit` and `predict`."""

    batch_size: int
    validation_disjoint_: bool
    _n_members: int  # samples of a tuple
    _n_held_out = -1  # tuples; a pickle of an earlier version does not tell

    _parameter_constraints = OF_TUPLES

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Map single samples into the learned space, where the Euclidean distance is the learned one.

        Parameters
        ----------
        X : array of shape (n_samples, n_features), (n, H, W), (n, H, W, C) or (n, C, H, W)
            Samples of the shape of the members fitted on.

        Returns
        -------
        ndarray of shape (n_samples, n_components), float32
            Of length 1 with ``normalize=True``.

        Raises
        ------
        ValueError
            On samples of another kind, size or number of channels than fitted.
        """
        check_is_fitted(self)
        return self._embed(read_samples(self, X))

    def _tuple_distances(self, X: Any, index: Any) -> NDArray[np.float64]:
        """Learned distances (n_tuples, n_members - 1) from the first member to the others."""
        check_is_fitted(self)
        tuples = read_tuples(self, X, index, self._n_members, reset=False)
        return distances_of(self._embed(tuples.samples), tuples.present)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
