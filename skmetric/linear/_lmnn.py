"""Large margin nearest neighbours."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skmetric._checks import encode_labels
from skmetric._params import FitTasks, Interval, StrOptions, fit_context
from skmetric._sklearn import BaseEstimator, CallbackSupportMixin
from skmetric.base import MahalanobisMixin

from ._classes import check_classes
from ._descent._centred import centred
from ._descent._initial import NAMES, Init
from ._descent._lbfgs import Descent, descend
from ._descent._start import given_map, named_map
from ._losses._lmnn_loss import LMNNLoss, best_multiple
from ._losses._targets import target_neighbors
from ._samples import map_attributes, read_labelled


class LMNN(CallbackSupportMixin, MahalanobisMixin, BaseEstimator):
    """Large margin nearest neighbours [1]_.

    Each row has target neighbours, the nearest rows of its class. They are pulled near, and rows of other
    classes, the impostors, are pushed out to the distance of the targets plus a margin.

    On classes that it was not trained on, the default is worse than the Euclidean distance: MAP@R is 10 %
    lower, on average over six sets of frozen features (:doc:`/guide/linear`). :class:`skmetric.MetricLearner`
    is better there.

    Parameters
    ----------
    n_components : int, default=None
        Rows of the map. None keeps `n_features`, or takes the number of rows of `init`.
    n_neighbors : int, default=3
        Target neighbours of a row. A smaller class gives all of its other rows; a row alone in its class has
        none, and is an impostor to others.
    loss : {"hinge", "squared_hinge"}, default="hinge"
        Of a triplet that violates the margin: the violation, as published, or its square, which is smooth.
    margin : float, default=1
        Between squared distances. It sets the unit of the embedding.
    regularization : float, default=0.5
        From 0 to 1: weight of the pull. The push has the weight 1 - `regularization`.
    init : {"auto", "pca", "lda", "identity", "random"} or array of shape (n_components, n_features), \
default="auto"
        First map. "auto" is "identity" if all directions are kept, else "pca". A map by name is first
        multiplied by the power of two for which the loss is least; an array is used as it is.
    max_iter : int, default=100
        Iterations of L-BFGS.
    tol : float, default=1e-5
        Stop if an iteration changes the mean loss by less than this share of it (of 1, if it is below 1), or
        if no entry of its gradient is larger.
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
        Loss on the training rows at the end, summed over rows and triplets as published.
    n_iter_ : int
        Iterations. If it equals `max_iter`, a larger `max_iter` may lower the loss.
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
    NCA : A probability instead of a margin.
    skmetric.MetricLearner : With a `margin`, a triplet hinge that is judged on classes held out.

    Notes
    -----
    Target neighbours are those in the space of the features. Impostors are looked for among all rows, in
    blocks and in float32: O(n_samples^2 n_components) time, and memory of a block and of the pairs that
    violate the margin. Pairs somewhat beyond the margin are kept, and as long as no row has moved so far that
    another pair may have come within it, only these are looked at; the loss is exact each time. Sparse `X`
    stays sparse. The loss has no natural sample weights.

    References
    ----------
    .. [1] K. Q. Weinberger, L. K. Saul, "Distance metric learning for large margin nearest neighbor
       classification", JMLR 10, 2009.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmetric.linear import LMNN
    >>> X, y = load_wine(return_X_y=True)
    >>> knn = make_pipeline(StandardScaler(), LMNN(), KNeighborsClassifier(3)).fit(X[::2], y[::2])
    >>> print(f"{knn.score(X[1::2], y[1::2]):.2f}")
    0.96
    """

    _takes_sparse = True
    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions({"hinge", "squared_hinge"})],
        "margin": [Interval(Real, 0, None, closed="neither")],
        "regularization": [Interval(Real, 0, 1, closed="both")],
        "init": [StrOptions(set(NAMES)), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    objective_: float
    n_iter_: int
    classes_: NDArray[Any]
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        n_neighbors: int = 3,
        loss: Literal["hinge", "squared_hinge"] = "hinge",
        margin: float = 1.0,
        regularization: float = 0.5,
        init: Init | ArrayLike = "auto",
        max_iter: int = 100,
        tol: float = 1e-5,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors
        self.loss = loss
        self.margin = margin
        self.regularization = regularization
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn the map from labelled samples.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,)
            Their classes: numbers or strings. At least two, one of them with two rows.

        Returns
        -------
        LMNN
            Fitted.

        Raises
        ------
        ValueError
            On NaN or infinity (rows named), a single class, classes of one row each, or an `init` of another
            shape than the map.
        """
        samples, labels = read_labelled(self, X, y)
        codes, _, self.classes_ = encode_labels(labels)
        check_classes(codes, self.classes_)
        rng = check_random_state(self.random_state)
        order = np.argsort(codes, kind="stable")
        codes = codes[order]
        rows, mean, unit = centred(samples, order)
        targets = target_neighbors(rows, codes, self.n_neighbors)
        loss = LMNNLoss(rows, codes, targets, self.margin, self.loss, self.regularization)
        start = given_map(self, rows.rows.shape[1])
        if start is None:
            start = named_map(self, rows, codes, rng)
            start = best_multiple(loss, start, codes, rng) * start
        else:
            start = start / unit
        tasks = FitTasks(self, X, y, self.max_iter, "iteration")
        fitted = partial(self._fitted, mean=mean, unit=unit, dtype=samples.dtype, n_samples=len(rows))
        vars(self).update(fitted(descend(loss, start, self.max_iter, self.tol, tasks, fitted)))
        tasks.close()
        return self

    def _fitted(
        self, end: Descent, mean: NDArray[np.float64], unit: float, dtype: Any, n_samples: int
    ) -> dict[str, Any]:
        """Attributes of a fitted learner."""
        return map_attributes(mean, end.components, dtype, unit) | {
            "objective_": end.value * n_samples,
            "n_iter_": end.n_iter,
        }
