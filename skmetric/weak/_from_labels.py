"""FromLabels: a learner of tuples that is fitted on samples and classes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from numbers import Integral
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from skmetric._checks import as_array, check_finite_rows, encode_labels
from skmetric._params import HasMethods, Interval, fit_context, num_samples
from skmetric._sklearn import BaseEstimator
from skmetric.base import MetricLearnerMixin

from ._by_class import read_labeled
from ._pairs import sample_pairs
from ._quadruplets import sample_quadruplets
from ._triplets import sample_triplets

_SAMPLERS: dict[str, Callable[..., Any]] = {
    "pairs": sample_pairs,
    "triplets": sample_triplets,
    "quadruplets": sample_quadruplets,
}


def _is_linear(learner: FromLabels) -> bool:
    fitted = getattr(learner, "estimator_", learner.estimator)
    if hasattr(fitted, "get_mahalanobis_matrix"):
        return True
    raise AttributeError(f"{type(fitted).__name__} is not linear: it has no matrix")


@final
class FromLabels(MetricLearnerMixin, BaseEstimator):
    """A learner of pairs, triplets or quadruplets, fitted on samples and their classes.

    Tuples are drawn from the labels by :func:`sample_pairs`, :func:`sample_triplets` or
    :func:`sample_quadruplets`, as `estimator` takes them. The result transforms single samples, so it works
    in pipelines, with k-NN and in a search.

    Parameters
    ----------
    estimator : estimator
        Its `fit` takes ``pairs=``, ``triplets=`` or ``quadruplets=``: row numbers of `X`. It is cloned.
    n_tuples : int, default=None
        Number of tuples to draw; all there are, if labels allow fewer. None: ten for each labelled row, but
        at most 50,000.
    unlabeled : object, default=None
        The value in `y` that marks rows without a label, such as -1 or "unknown". These rows are in no tuple,
        but a learner sees them, for example for the covariance that is its prior. None: every value in `y` is
        a class, -1 too.
    random_state : int, RandomState instance or None, default=None
        Draws the tuples.

    Attributes
    ----------
    estimator_ : estimator
        Fitted on the tuples.
    classes_ : ndarray of shape (n_classes,)
        Labels seen, without `unlabeled`.
    n_tuples_ : int
        Number of tuples drawn.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.

    See Also
    --------
    skmetric.MetricLearner : Learns from labels without tuples; the first to try where there are labels.
    skmetric.linear.ITML : A learner of pairs.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skmetric.linear import ITML
    >>> from skmetric.weak import FromLabels
    >>> X, y = load_wine(return_X_y=True)
    >>> learner = FromLabels(ITML("covariance", random_state=0), random_state=0)
    >>> classifier = make_pipeline(learner, KNeighborsClassifier()).fit(X[::2], y[::2])
    >>> print(f"{classifier.score(X[1::2], y[1::2]):.2f}")
    0.97
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "transform"])],
        "n_tuples": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    estimator_: Any
    classes_: NDArray[Any]
    n_tuples_: int
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def __init__(
        self,
        estimator: Any,
        *,
        n_tuples: int | None = None,
        unlabeled: Any = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.n_tuples = n_tuples
        self.unlabeled = unlabeled
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Draw tuples and fit the learner on them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples, also a sparse matrix if the learner takes one; images, for a network.
        y : array-like of shape (n_samples,)
            Their classes: numbers or strings. At least two, one of them with two rows.

        Returns
        -------
        FromLabels
            Fitted.

        Raises
        ------
        ValueError
            On labels that allow no tuples, or if the learner takes none.
        """
        kind = kind_of(self.estimator)
        X, codes = self._check(X, y)
        drawn = _SAMPLERS[kind](codes, self.n_tuples, unlabeled=-1, random_state=self.random_state)
        tuples, y_tuples = drawn if kind == "pairs" else (drawn, None)
        learner = clone(self.estimator)
        self.estimator_ = learner.fit(X, y_tuples, **{kind: tuples})
        self.n_tuples_, self.n_components_ = len(tuples), self.estimator_.n_components_
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Map samples into the learned space, where the Euclidean distance is the learned one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples; images, for a network.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            As the learner gives it.
        """
        check_is_fitted(self)
        return self._embed(self._check_rows(X, reset=False))

    @property
    def components_(self) -> NDArray[np.floating]:
        """The map of a linear learner, (n_components, n_features)."""
        check_is_fitted(self)
        _is_linear(self)
        return self.estimator_.components_

    @available_if(_is_linear)
    def get_mahalanobis_matrix(self) -> NDArray[np.float64]:
        """Matrix M of the learned distance, ``sqrt((a - b) @ M @ (a - b))``, of a linear learner.

        Returns
        -------
        ndarray of shape (n_features, n_features)
            Symmetric, without negative eigenvalues.
        """
        check_is_fitted(self)
        return self.estimator_.get_mahalanobis_matrix()

    def _embed(self, X: Any) -> NDArray[np.floating]:
        return np.asarray(self.estimator_.transform(X))

    def _is_for_sparse(self) -> bool:
        """Whether the learner of tuples takes sparse rows."""
        has_tags = hasattr(self.estimator, "__sklearn_tags__")
        return has_tags and bool(get_tags(self.estimator).input_tags.sparse)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._is_for_sparse()
        return tags

    def _check(self, X: Any, y: Any) -> tuple[Any, NDArray[np.intp]]:
        """Samples, and the number of the class of each: -1 without a label."""
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = self._check_rows(X, reset=True)
        labels, labeled = read_labeled(y, self.unlabeled, warns=True)
        if len(labels) != num_samples(X):
            raise ValueError(f"y has {len(labels)} labels for {num_samples(X)} rows: they must be as many")
        if (kind := type_of_target(labels, input_name="y")) not in ("binary", "multiclass"):
            raise ValueError(f"Unknown label type: {kind}; classes are needed, as integers or strings")
        codes = np.full(num_samples(X), -1)
        codes[labeled], _, self.classes_ = encode_labels(labels[labeled])
        return X, codes

    def _check_rows(self, X: Any, *, reset: bool) -> Any:
        """Tables are checked here, with the names of their columns; images by the learner."""
        X = as_array(X)
        if getattr(X, "ndim", 2) > 2:
            return X
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr" if self._is_for_sparse() else False,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
        )
        check_finite_rows(X)
        return X


def kind_of(estimator: Any) -> str:
    """Which tuples an estimator is fitted on: "pairs", "triplets" or "quadruplets"."""
    taken = inspect.signature(estimator.fit).parameters
    kinds = [kind for kind in _SAMPLERS if kind in taken]
    if not kinds:
        raise ValueError(
            f"fit of {type(estimator).__name__} takes neither pairs= nor triplets= nor quadruplets=: "
            "FromLabels is for learners of tuples; fit a learner of labels itself"
        )
    return kinds[0]
