"""What the two textbook networks share: parameters, training, and single samples in `transform`."""

from numbers import Integral, Real

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skmetric._params import Interval, StrOptions
from skmetric._sklearn import BaseEstimator, CallbackSupportMixin
from skmetric.base import MetricLearnerMixin

from ._data._labelled import read_samples
from ._data._tuples import read_tuples
from ._estimator import NetworkMixin
from ._training._optim import OPTIMIZERS, SCHEDULES
from ._training._tuple_task import distances_of

_POSITIVE = Interval(Real, 0, None, closed="neither")
_COUNT = Interval(Integral, 1, None, closed="left")


class TupleLearner(NetworkMixin, MetricLearnerMixin, CallbackSupportMixin, BaseEstimator):
    """A network trained on tuples; a subclass names its parameters and writes `fit` and `predict`."""

    batch_size: int
    validation_disjoint_: bool
    _n_members: int  # samples of a tuple
    _n_held_out = -1  # tuples; a pickle of an earlier version does not tell

    _parameter_constraints = {
        "module": [str, nn.Module, callable],
        "n_components": [_COUNT, None],
        "normalize": ["boolean"],
        "loss": [str, callable],
        "margin": [Real, None],
        "batch_size": [_COUNT],
        "max_epochs": [_COUNT],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "learning_rate": [_POSITIVE],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "schedule": [StrOptions({name for name in SCHEDULES if name}), None],
        "clip_norm": [_POSITIVE, None],
        "augment": [str, list, tuple, callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left"), None],
        "early_stopping": ["boolean"],
        "patience": [_COUNT],
        "warm_start": ["boolean"],
        "precision": [StrOptions({"auto", "fp32", "bf16", "fp16"})],
        "device": [str, torch.device],
        "channel_axis": [StrOptions({"auto", "first", "last"})],
        "random_state": ["random_state"],
    }

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

    def _tuple_distances(self, X: ArrayLike) -> NDArray[np.float64]:
        """Learned distances (n_tuples, n_members - 1) from the first member to the others."""
        check_is_fitted(self)
        return distances_of(self._embed(read_tuples(self, X, self._n_members, reset=False)), self._n_members)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
