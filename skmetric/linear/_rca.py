"""Relevant component analysis: whiten the scatter inside classes, or inside chunks."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_width, encode_labels
from skmetric._params import Interval, fit_context
from skmetric._sklearn import BaseEstimator
from skmetric.base import MahalanobisMixin

from ._classes import unite
from ._closed_form._scatter import ClassScatter, merge
from ._closed_form._whitening import principal, shrunk
from ._samples import is_marked, read_labelled, read_weights, set_map
from ._statistics._moments import scatter_of
from ._statistics._spectrum import feature_scales, inverse_root, resolution_of

_ONE = np.zeros(1, np.intp)


class RCA(MahalanobisMixin, BaseEstimator):
    """Relevant component analysis: whiten the covariance inside classes, or inside chunks [1]_.

    Samples of a chunk are known to belong together; what makes them differ is irrelevant. RCA gives all of
    these directions the same spread, and so weights down those in which samples of a chunk differ most. Class
    labels are the largest chunks; smaller chunks come from any source that says "these are the same".

    Parameters
    ----------
    n_components : int, default=None
        Keep this many directions, those in which all samples vary most compared with the samples of a chunk
        (Fisher's criterion, as in section 3.2 of [1]_). None keeps `n_features`.
    shrinkage : float, default=0
        From 0 to 1: how far the covariance inside chunks is shrunk towards a multiple of the identity. 0 is
        the method as published. With few samples for each feature, 0.1 or more is much better.
    unlabeled : int, float or str, default=None
        The value in `y` of rows that are in no chunk. They only count for the choice of `n_components`
        directions. None: every value of `y` is a chunk, -1 too.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The map.
    mean_ : ndarray of shape (n_features,)
        Mean of all training rows, which is subtracted before the map.
    classes_ : ndarray of shape (n_chunks,)
        Labels of the chunks seen.
    scatter_ : ClassScatter
        Weights and means of the chunks and the scatter inside them: what `partial_fit` adds to.
    total_ : ClassScatter
        The same of all rows as one chunk, those in no chunk too.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.

    See Also
    --------
    skmetric.MetricLearner : Also weights directions by how far class means spread, and chooses its shrinkage.
    Covariance : Whitens the covariance of all samples.

    Notes
    -----
    Features that are constant get weight 0. A direction along which samples of a chunk do not differ, but
    others do, gets the weight of the direction along which they differ least. Sparse `X` stays sparse; memory
    is O(n_features^2).

    References
    ----------
    .. [1] A. Bar-Hillel, T. Hertz, N. Shental, D. Weinshall, "Learning a Mahalanobis metric from equivalence
       constraints", JMLR 6, 2005.

    Examples
    --------
    Inside the chunks the first feature has variance 1, the second 4:

    >>> from skmetric.linear import RCA
    >>> X = [[0, 0], [2, 4], [0, 4], [2, 0], [9, 9]]
    >>> rca = RCA(unlabeled="none").fit(X, ["a", "a", "a", "a", "none"])
    >>> rca.pair_distance([[0, 0], [0, 0]], [[1, 0], [0, 4]])
    array([1., 2.])
    """

    _takes_sparse = True
    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "shrinkage": [Interval(Real, 0, 1, closed="both")],
        "unlabeled": [Real, str, None],
    }

    classes_: NDArray[Any]
    scatter_: ClassScatter
    total_: ClassScatter
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        shrinkage: float = 0.0,
        unlabeled: float | str | None = None,
    ) -> None:
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.unlabeled = unlabeled

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the map from labels or chunks.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,)
            Class or chunk of each row: numbers or strings. Some chunk needs two rows that differ.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights from 0. Whole numbers are counts: a row of weight k counts as k equal rows. Of other
            weights only the proportions matter.

        Returns
        -------
        RCA
            Fitted.

        Raises
        ------
        ValueError
            On NaN or infinity (rows named), if no chunk has two rows that differ, or on mixed labels.
        """
        self._add(X, y, sample_weight, reset=True, min_samples=2)
        if not self.scatter_.within.any():
            raise ValueError(
                f"no class or chunk of y has two rows that differ ({len(self.classes_)} in "
                f"{self.scatter_.weights.sum():g} rows): RCA learns from how samples of a chunk differ"
            )
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Add samples. The result is exactly that of one `fit` on all samples seen.

        A chunk that was seen before goes on: its samples of all calls are one chunk.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            More samples.
        y : array-like of shape (n_samples,)
            Their classes or chunks, old or new.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights from 0, as for `fit`.

        Returns
        -------
        RCA
            Fitted on all samples seen. The map is the identity as long as no chunk has two rows that differ.

        Raises
        ------
        ValueError
            On NaN or infinity, labels of another type, or another number of features than before.
        """
        self._add(X, y, sample_weight, reset=not hasattr(self, "scatter_"), min_samples=1)
        return self

    def _add(self, X: Any, y: Any, sample_weight: Any, *, reset: bool, min_samples: int) -> None:
        rows, labels = read_labelled(
            self, X, y, reset=reset, min_samples=min_samples, unlabeled=self.unlabeled
        )
        check_width(rows, self)
        weights = read_weights(sample_weight, rows)
        if weights is not None:
            kept = weights > 0
            rows, labels, weights = rows[kept], labels[kept], weights[kept]
        total = scatter_of(rows, np.zeros(rows.shape[0], np.intp), 1, weights)
        is_in = ~is_marked(labels, self.unlabeled)
        codes, _, classes = encode_labels(labels[is_in])
        scatter = scatter_of(rows[is_in], codes, len(classes), None if weights is None else weights[is_in])
        if not reset:
            old, new, union = unite(self.classes_, classes)
            classes, scatter = union, merge(self.scatter_, scatter, len(union), old, new)
            total = merge(self.total_, total, 1, _ONE, _ONE)
        self.classes_, self.scatter_, self.total_ = classes, scatter, total
        set_map(self, total.mean, self._solve(rows.dtype), rows.dtype)

    def _solve(self, dtype: np.dtype[Any]) -> NDArray[np.float64]:
        total = self.total_.within_covariance()
        n_features = len(total)
        if not self.scatter_.within.any():
            return np.eye(self.n_components or n_features, n_features)
        within = self.scatter_.within / self.scatter_.weights.sum()
        scales = feature_scales(np.diag(total), resolution_of(self.total_, dtype))
        components, _ = inverse_root(shrunk(within, self.shrinkage), scales, keep_flat=True)
        if self.n_components is not None:
            components = principal(components, total, self.n_components)
        return components
