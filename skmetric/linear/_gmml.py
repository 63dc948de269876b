"""Geometric mean metric learning: halfway between the inverse of one scatter and another."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, eigh, solve_triangular

from skmetric._checks import check_width, encode_labels
from skmetric._params import Interval, fit_context
from skmetric._sklearn import BaseEstimator
from skmetric.base import MahalanobisMixin

from ._classes import check_classes
from ._closed_form._whitening import principal
from ._samples import read_labelled, read_weights, set_map
from ._statistics._moments import Rows, scatter_of


class GMML(MahalanobisMixin, BaseEstimator):
    """Geometric mean metric learning, a closed form from all pairs [1]_.

    S is the mean of ``(a - b)(a - b)^T`` over all pairs of one class, D the mean over all pairs of two
    classes. The matrix M of the distance is the point at `t` on the geodesic from the inverse of S to D. At
    t = 1/2 it minimises ``tr(M S) + tr(M^-1 D)``: pairs of a class come near, others go apart.

    Parameters
    ----------
    t : float, default=0.5
        From 0 to 1: 0 whitens the differences inside classes, as RCA does; 1 uses only the differences
        between classes.
    regularization : float, default=0.001
        From 0: this multiple of the identity is added to S and to D, after each is divided by its mean
        variance. 0 needs samples of a class that differ along all directions.
    n_components : int, default=None
        Keep this many directions, those in which embeddings vary most. None keeps `n_features`.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The map.
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows, which is subtracted before the map.
    classes_ : ndarray of shape (n_classes,)
        Labels seen.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.

    See Also
    --------
    RCA : ``t=0``.
    skmetric.MetricLearner : Chooses its shrinkage on held-out classes.

    Notes
    -----
    No pairs are drawn: sums over all pairs are sums of scatters, so the cost is O(n_samples n_features^2)
    and O(n_features^3), and the memory O(n_features^2). Sparse `X` stays sparse. The published code draws
    pairs and searches `t` by k-NN accuracy; here ``GridSearchCV`` does that.

    References
    ----------
    .. [1] P. Zadeh, R. Hosseini, S. Sra, "Geometric mean metric learning", ICML 2016. The regulariser is
       that of section 2.2, with the identity as prior; `t` that of section 2.3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmetric.linear import GMML
    >>> X, y = load_iris(return_X_y=True)
    >>> gmml = GMML().fit(X, y)
    >>> gmml.pair_distance(X[[0, 0]], X[[1, 100]]).round(1)  # of one class, of two
    array([ 0.6, 12. ])
    """

    _takes_sparse = True
    _parameter_constraints = {
        "t": [Interval(Real, 0, 1, closed="both")],
        "regularization": [Interval(Real, 0, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
    }

    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self, *, t: float = 0.5, regularization: float = 0.001, n_components: int | None = None
    ) -> None:
        self.t = t
        self.regularization = regularization
        self.n_components = n_components

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the map from labelled samples.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,)
            Their classes: numbers or strings. At least two, one of them with two rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights from 0: a pair has the product of the weights of its rows.

        Returns
        -------
        GMML
            Fitted.

        Raises
        ------
        ValueError
            On NaN or infinity (rows named), a single class, classes without rows that differ, or if S has no
            inverse and is not regularised.
        """
        rows, labels = read_labelled(self, X, y)
        check_width(rows, self)
        weights = read_weights(sample_weight, rows)
        if weights is not None:
            kept = weights > 0
            rows, labels, weights = rows[kept], labels[kept], weights[kept]
        codes, _, self.classes_ = encode_labels(labels)
        check_classes(codes, self.classes_)
        mean, similar, dissimilar = pair_scatters(rows, codes, len(self.classes_), weights)
        components = geometric_mean(similar, dissimilar, self.t, self.regularization)
        if self.n_components is not None:
            components = principal(components, similar + dissimilar, self.n_components)
        set_map(self, mean, components, rows.dtype)
        return self


def pair_scatters(
    X: Rows, codes: NDArray[np.intp], n_classes: int, sample_weight: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean of all samples, and mean of (a - b)(a - b)^T over pairs of a class, and over those of two.

    The pairs of a class of weight w have w times its scatter in sum (each pair once), those of all samples W
    times theirs; a row's pair with itself is counted, and is 0.
    """
    weight = np.ones(X.shape[0]) if sample_weight is None else sample_weight / sample_weight.mean()
    sizes = np.bincount(codes, weight)
    scatter = scatter_of(X, codes, n_classes, weight)
    similar = scatter_of(X, codes, n_classes, weight * sizes[codes]).within
    total = weight.sum()
    dissimilar = total**2 * scatter.covariance() - similar
    n_similar = np.square(sizes).sum()
    return scatter.mean, 2 * similar / n_similar, 2 * dissimilar / (total**2 - n_similar)


def geometric_mean(
    similar: NDArray[np.float64], dissimilar: NDArray[np.float64], t: float, regularization: float
) -> NDArray[np.float64]:
    """Components W of the metric ``W.T @ W``: the point at `t` on the geodesic from similar^-1 to dissimilar.

    With similar = L L^T it is L^-T (L^T dissimilar L)^t L^-1 (equation 15 of the paper).
    """
    levels = np.trace(similar) / len(similar), np.trace(dissimilar) / len(similar)
    if not min(levels) > 0:
        raise ValueError(
            "samples of a class do not differ in X: GMML compares pairs inside and between classes"
        )
    near, apart = (
        scatter / level + regularization * np.eye(len(scatter))
        for scatter, level in zip((similar, dissimilar), levels, strict=True)
    )
    factor = _factor(near)
    powers, turn = eigh(factor.T @ apart @ factor)
    scale = levels[0] ** (-(1 - t) / 2) * levels[1] ** (t / 2)
    rows = solve_triangular(factor, np.eye(len(factor)), lower=True)
    root = (turn * np.maximum(powers, 0) ** (t / 2)) @ turn.T  # symmetric, so that no sign is left to chance
    return scale * (root @ rows)  # type: ignore[no-any-return]


def _factor(similar: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower Cholesky factor of a covariance of mean variance 1 or more."""
    try:
        factor = cholesky(similar, lower=True)
        if np.diag(factor).min() > len(factor) * np.finfo(float).eps:
            return factor  # type: ignore[no-any-return]
    except np.linalg.LinAlgError:
        pass
    raise ValueError(
        "samples of a class do not differ along some direction of X, so their scatter has no inverse: set "
        "regularization above 0, such as 0.1"
    )
