"""Metric learning for kernel regression: a real-valued target in place of classes."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state

from skmetric._params import FitTasks, Interval, StrOptions, fit_context
from skmetric._sklearn import BaseEstimator, CallbackSupportMixin
from skmetric.base import MahalanobisMixin

from ._descent._centred import centred
from ._descent._initial import NAMES, Init
from ._descent._lbfgs import Descent, descend
from ._descent._start import given_map, named_map
from ._losses._mlkr_loss import MLKRLoss, best_multiple, predict_from_others
from ._samples import map_attributes, read_rows, read_targets


class MLKR(CallbackSupportMixin, MahalanobisMixin, BaseEstimator):
    """Metric learning for kernel regression, on real-valued targets [1]_.

    The target of a row is predicted by the mean of the targets of all other rows, with weights
    ``exp(-d_ij^2)``. The map minimises the sum of the squared errors.

    Parameters
    ----------
    n_components : int, default=None
        Rows of the map. None keeps `n_features`, or takes the number of rows of `init`.
    init : {"auto", "pca", "identity", "random"} or array of shape (n_components, n_features), default="auto"
        First map. "auto" is "identity" if all directions are kept, else "pca". A map by name is first
        multiplied by the power of two for which the error is least; an array is used as it is.
    max_iter : int, default=100
        Iterations of L-BFGS.
    tol : float, default=1e-5
        Stop if an iteration changes the mean squared error, in units of the variance of the target, by less
        than this, or if no entry of its gradient is larger.
    warm_start : bool, default=False
        Start `fit` from the last map, if there is one.
    random_state : int, RandomState instance or None, default=None
        Draws ``init="random"``, the rows on which the first map is scaled, and where the search for "pca"
        begins with more than 5000 features.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The map.
    mean_ : ndarray of shape (n_features,)
        Mean of the training rows, which is subtracted before the map.
    objective_ : float
        Sum of the squared errors on the training rows at the end, in the unit of the target squared.
    n_iter_ : int
        Iterations. If it equals `max_iter`, a larger `max_iter` may lower the error.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.

    See Also
    --------
    sklearn.neighbors.KNeighborsRegressor : What follows it in a pipeline.
    NCA : The same for classes.

    Notes
    -----
    An iteration costs three products of an (n, n) matrix with the embeddings, in float32, of which one block
    is in memory. Sparse `X` stays sparse. Retrieval scores need classes: `score` is that of the regression.

    References
    ----------
    .. [1] K. Q. Weinberger, G. Tesauro, "Metric learning for kernel regression", AISTATS 2007.

    Examples
    --------
    One feature of five tells the target:

    >>> import numpy as np
    >>> from skmetric.linear import MLKR
    >>> X = np.random.default_rng(0).normal(size=(100, 5))
    >>> mlkr = MLKR().fit(X, np.sin(X[:, 2]))
    >>> int(np.diag(mlkr.get_mahalanobis_matrix()).argmax())
    2
    """

    _takes_sparse = True
    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "init": [StrOptions(set(NAMES) - {"lda"}), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    objective_: float
    n_iter_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        init: Init | ArrayLike = "auto",
        max_iter: int = 100,
        tol: float = 1e-5,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn the map from samples with real-valued targets.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,)
            Their targets: numbers, not all equal.

        Returns
        -------
        MLKR
            Fitted.

        Raises
        ------
        ValueError
            On NaN or infinity in X or y (rows named), targets that are no numbers or all equal, or an `init`
            of another shape than the map.
        """
        samples, targets = read_rows(self, X, read_targets(self, y))
        center, spread = float(targets.mean()), float(targets.std())
        if not spread > 8 * np.finfo(np.float64).eps * abs(center):
            raise ValueError(f"all targets in y are equal ({targets[0]:g}): there is nothing to predict")
        rng = check_random_state(self.random_state)
        rows, mean, unit = centred(samples, np.arange(samples.shape[0]))
        loss = MLKRLoss(rows, ((targets - center) / spread).astype(np.float32))
        start = given_map(self, rows.rows.shape[1])
        if start is None:
            start = named_map(self, rows, np.zeros(len(rows), np.intp), rng)
            start = best_multiple(loss, start, rng) * start
        else:
            start = start / unit
        tasks = FitTasks(self, X, y, self.max_iter, "iteration")
        scale = len(rows) * spread**2
        fitted = partial(self._fitted, mean=mean, unit=unit, dtype=samples.dtype, scale=scale)
        vars(self).update(fitted(descend(loss, start, self.max_iter, self.tol, tasks, fitted)))
        tasks.close()
        return self

    def score(self, X: Any, y: ArrayLike) -> float:
        """R^2 of predicting each target from those of the other rows, with weights ``exp(-d^2)``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Their targets.

        Returns
        -------
        float
            At most 1; 0 for the mean of the targets.

        Raises
        ------
        ValueError
            If `X` and `y` differ in length.
        """
        embeddings = np.asarray(self.transform(X), np.float64)
        targets = read_targets(self, y)
        if len(targets) != len(embeddings):
            raise ValueError(f"y has {len(targets)} targets for {len(embeddings)} rows of X")
        return float(r2_score(targets, predict_from_others(embeddings, targets)))

    def _fitted(
        self, end: Descent, mean: NDArray[np.float64], unit: float, dtype: Any, scale: float
    ) -> dict[str, Any]:
        """Attributes of a fitted learner."""
        return map_attributes(mean, end.components, dtype, unit) | {
            "objective_": end.value * scale,
            "n_iter_": end.n_iter,
        }
