"""The Mahalanobis distance of the data: whitening, without labels."""

from __future__ import annotations

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from skmetric._checks import check_width
from skmetric._params import Interval, fit_context
from skmetric._sklearn import BaseEstimator
from skmetric.base import MahalanobisMixin

from ._closed_form._scatter import ClassScatter, merge
from ._samples import read_rows, read_weights, set_map
from ._statistics._moments import scatter_of
from ._statistics._spectrum import feature_scales, inverse_root, resolution_of

_ONE = np.zeros(1, np.intp)


class Covariance(MahalanobisMixin, BaseEstimator):
    """Mahalanobis distance of the data: the inverse of their covariance [1]_. Labels are not used.

    All directions get variance 1. This is the baseline for metrics that are learned from labels.

    On classes of frozen features it is worse than the Euclidean distance: MAP@R is 5 % lower, on average over
    six sets (:doc:`/guide/linear`).

    Parameters
    ----------
    n_components : int, default=None
        Keep this many directions, those in which the samples vary most, as ``PCA(whiten=True)`` does. None
        keeps `n_features`.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The map: ``components_.T @ components_`` is the inverse of the covariance; the pseudo-inverse if
        samples do not vary along some directions, which then do not count.
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows, which is subtracted before the map.
    scatter_ : ClassScatter
        Weight, mean and scatter of all samples seen: what `partial_fit` adds to.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.

    See Also
    --------
    RCA : Whitens the covariance inside classes instead.
    sklearn.decomposition.PCA : With ``whiten=True`` the same distances.

    Notes
    -----
    The covariance divides by ``n_samples - 1``. Sparse `X` stays sparse; memory is O(n_features^2).

    References
    ----------
    .. [1] P. C. Mahalanobis, "On the generalised distance in statistics", Proc. Nat. Inst. Sci. India, 1936.

    Examples
    --------
    >>> from skmetric.linear import Covariance
    >>> learner = Covariance().fit([[0, 0], [0, 2], [6, 0], [6, 2]])  # variances 12 and 4 / 3
    >>> learner.pair_distance([[0, 0]], [[6, 2]])  # 36 / 12 + 4 / (4 / 3) = 6
    array([2.449...])
    """

    _takes_sparse = True
    _parameter_constraints = {"n_components": [Interval(Integral, 1, None, closed="left"), None]}

    scatter_: ClassScatter
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Measure the covariance of the samples.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training samples.
        y : None
            Not used; for pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights from 0. Whole numbers are counts: a row of weight k counts as k equal rows. Of other
            weights only the proportions matter.

        Returns
        -------
        Covariance
            Fitted.

        Raises
        ------
        ValueError
            On NaN or infinity (rows named), or if all rows are equal.
        """
        self._add(X, sample_weight, reset=True, min_samples=2)
        if not self.components_.any():
            raise ValueError("all rows of X are equal: a covariance needs samples that differ")
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Add samples. The result is exactly that of one `fit` on all samples seen.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            More samples.
        y : None
            Not used.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights from 0, as for `fit`.

        Returns
        -------
        Covariance
            Fitted on all samples seen.

        Raises
        ------
        ValueError
            On NaN or infinity, or another number of features than before.
        """
        return self._add(X, sample_weight, reset=not hasattr(self, "scatter_"), min_samples=1)

    def _add(self, X: Any, sample_weight: Any, *, reset: bool, min_samples: int) -> Self:
        rows = read_rows(self, X, reset=reset, min_samples=min_samples)
        check_width(rows, self)
        weights = read_weights(sample_weight, rows)
        if weights is not None:
            rows, weights = rows[weights > 0], weights[weights > 0]
        scatter = scatter_of(rows, np.zeros(rows.shape[0], np.intp), 1, weights)
        self.scatter_ = scatter if reset else merge(self.scatter_, scatter, 1, _ONE, _ONE)
        covariance = self.scatter_.within_covariance()
        scales = feature_scales(np.diag(covariance), resolution_of(self.scatter_, rows.dtype))
        components, n_flat = inverse_root(covariance, scales, keep_flat=False)
        if self.n_components is not None:
            rank = int(np.count_nonzero(scales)) - n_flat
            components = _leading(covariance, rank)[: self.n_components]
        set_map(self, self.scatter_.mean, components, rows.dtype)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags


def _leading(covariance: NDArray[np.float64], rank: int) -> NDArray[np.float64]:
    """Principal directions over their standard deviations, by falling variance; rows of 0 beyond `rank`."""
    variances, directions = eigh(covariance)
    weights = np.zeros(len(variances))
    weights[:rank] = 1 / np.sqrt(variances[::-1][:rank])
    return (directions[:, ::-1] * weights).T
