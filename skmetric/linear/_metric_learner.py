"""The linear default: one closed form, its shrinkage chosen on classes held out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import validate_data

from skmetric._checks import as_array, check_finite_rows, encode_labels, read_labels
from skmetric._params import Interval, StrOptions, check_sample_weight, fit_context
from skmetric._sklearn import BaseEstimator
from skmetric._warning import warn
from skmetric.base import MahalanobisMixin

from ._classes import check_classes, unite
from ._closed_form import WEIGHTINGS, components, n_unresolved, principal, scales, whiten
from ._refine import refine
from ._scatter import ClassScatter, as_weights, class_scatter, merge
from ._selection import Candidate, check_shrinkage, preparation, select
from ._span import Span, span_of

_LARGEST_WEIGHT = 1e100


def _keeps_no_samples(learner: MetricLearner) -> bool:
    if learner.margin is None:
        return True
    raise AttributeError("partial_fit keeps scatters, and margin refines on samples: use margin=None, or fit")


def _check_size_of_weights(weights: NDArray[np.floating]) -> None:
    """Refuse weights of which the largest has no square in float64."""
    largest = weights.max(initial=1.0 if not len(weights) else 0.0)
    if not 1 / _LARGEST_WEIGHT <= largest <= _LARGEST_WEIGHT:
        raise ValueError(
            f"the largest sample_weight is {largest:.3g}, and must lie between {1 / _LARGEST_WEIGHT:g} and "
            f"{_LARGEST_WEIGHT:g}: divide all by their mean"
        )


class MetricLearner(MahalanobisMixin, BaseEstimator):
    """Linear metric from class labels: directions weighted by how far they tell classes apart.

    Rows are scaled to unit length, centred, mapped by ``components_``, and scaled to unit length again; the
    learned distance is the Euclidean one after that. The map solves ``Sb v = psi Sw v`` for the covariance Sb
    of class means and the pooled covariance Sw inside classes, both shrunk, whitens Sw and weights each
    direction by w(psi) [1]_ [2]_. How far to shrink, whether to scale to unit length, and whether to learn
    anything at all are chosen by the retrieval score of held-out training classes, since the score that
    matters is that of classes never trained on.

    Parameters
    ----------
    shrinkage : "cv" or tuple of two floats, default="cv"
        How far Sw is shrunk towards a multiple of the identity, and psi towards its mean; each from 0 to 1.
        (1, 1) learns no direction, (0, 0) shrinks nothing; a first number of 0 needs more samples than
        features. "cv" chooses on class-disjoint folds; plain Euclidean and cosine distance are candidates
        too. With fewer than 16 classes, a learned map must beat these two; with fewer than 4, "cv" means
        (0.5, 1).
    weighting : {"plda", "wccn", "lda"}, default="plda"
        w(psi): ``psi / (psi + 1/2)`` as in probabilistic LDA, 1 (within-class covariance normalisation, as
        RCA does), or psi (discriminant analysis).
    normalize : bool or "auto", default="auto"
        Scale rows to unit length before and after the map. "auto" is chosen with the shrinkage, and is True
        where the shrinkage is given.
    margin : float, default=None
        A number refines the map by a triplet hinge with this margin on squared distances, tethered to the
        closed form and stopped by retrieval of held-out classes; the unit is the mean squared length of an
        embedding. None takes the closed form as it is.
    n_components : int, default=None
        Keep this many directions, those in which embeddings vary most. None keeps `n_features`.
    random_state : int, RandomState instance or None, default=None
        Draws the folds and the triplets.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The map.
    mean_ : ndarray of shape (n_features,)
        What is subtracted before the map: mean of the training rows, or zeros where centring did not help.
    shrinkage_ : tuple of two floats
        The pair used.
    normalize_ : bool
        Whether rows are scaled to unit length before and after.
    cv_results_ : dict of ndarray, or None
        Candidates and their MAP@R on held-out classes, in the form of ``GridSearchCV.cv_results_``. None
        where nothing was searched.
    center_ : bool
        Whether `mean_` is subtracted: not by the candidate that is the plain cosine distance.
    classes_ : ndarray of shape (n_classes,)
        Labels seen.
    scatter_ : ClassScatter
        Weights and means of classes and the scatter inside them: what `partial_fit` adds to.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.
    n_steps_ : int
        Steps of refinement that were kept; 0 without `margin`, or where refining did not help.

    See Also
    --------
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : The directions of w = psi, unshrunk.
    sklearn.neighbors.NeighborhoodComponentsAnalysis : A linear map for nearest neighbours, by gradient.

    Notes
    -----
    Fitting takes one pass over the data and O(n_features^2) memory; "cv" adds one solution per fold and
    within-shrinkage and the scoring of 2000 rows for each candidate. A solution costs O(n_features^3), or
    O(n_samples^3) where there are fewer samples than features: these are taken in their span, with the same
    distances. `partial_fit` has no samples to span, and costs the former.

    References
    ----------
    .. [1] S. Ioffe, "Probabilistic linear discriminant analysis", ECCV 2006.
    .. [2] M. Köstinger et al., "Large scale metric learning from equivalence constraints", CVPR 2012.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric import MetricLearner
    >>> from skmetric.model_selection import class_disjoint_split
    >>> X, y = load_digits(return_X_y=True)
    >>> X_known, X_new, y_known, y_new = class_disjoint_split(X, y, random_state=0)
    >>> learner = MetricLearner(random_state=0).fit(X_known, y_known)
    >>> learner.transform(X_new).shape
    (894, 64)
    >>> round(learner.score(X_new, y_new), 2)
    0.54
    """

    _parameter_constraints = {
        "shrinkage": [StrOptions({"cv"}), tuple, list],
        "weighting": [StrOptions(set(WEIGHTINGS))],
        "normalize": ["boolean", StrOptions({"auto"})],
        "margin": [Interval(Real, 0, None, closed="neither"), None],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    shrinkage_: tuple[float, float]
    cv_results_: dict[str, Any] | None
    center_: bool
    classes_: NDArray[Any]
    scatter_: ClassScatter
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    n_steps_: int

    def __init__(
        self,
        shrinkage: Literal["cv"] | tuple[float, float] = "cv",
        *,
        weighting: Literal["plda", "wccn", "lda"] = "plda",
        normalize: bool | Literal["auto"] = "auto",
        margin: float | None = None,
        n_components: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.shrinkage = shrinkage
        self.weighting = weighting
        self.normalize = normalize
        self.margin = margin
        self.n_components = n_components
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the map from labelled samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training samples.
        y : array-like of shape (n_samples,)
            Their classes: numbers or strings. At least two, one of them with two rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights from 0; rows of weight 0 are left out. If all weights are whole numbers, they are counts:
            a row of weight k counts as k equal rows, in the choice of shrinkage and in refinement too.
            Otherwise, for example with 1 over the size of the class, only their proportions matter.

        Returns
        -------
        MetricLearner
            Fitted.

        Raises
        ------
        ValueError
            On NaN or infinity (rows named), a single class, classes of one row each, mixed labels, or a
            parameter out of range.
        """
        X, codes, classes, weights = self._check_data(X, y, sample_weight, reset=True)
        check_classes(codes, classes)
        rng = check_random_state(self.random_state)
        span = self._span(X)
        rows, n_features = (X, None) if span is None else (span.X, X.shape[1])
        chosen, self.cv_results_ = self._choose(rows, codes, len(classes), weights, rng, n_features)
        self._set_choice(chosen)
        self.classes_, self.n_steps_ = classes, 0
        scatter = class_scatter(rows, codes, len(classes), weights, preparation(self.normalize_))
        scatter = scatter._replace(n_features=n_features)
        self.scatter_ = scatter if span is None else span.lift_scatter(scatter)
        self._warn_of_directions_without_spread(scatter, X.dtype)
        mapped: NDArray[np.floating]
        mean, mapped, across = self._solve(scatter)
        if self.margin is not None:
            solve = partial(self._solve_on, n_features=n_features)
            refined, self.n_steps_ = refine(rows, codes, solve, self.margin, self.normalize_, weights, rng)
            mapped = mapped if refined is None else refined
        if span is not None:
            mean = span.basis @ mean
            mapped = span.lift(mapped, across if self.n_components is None else None)
        self._set_map(mean, mapped, X.dtype)
        return self

    def _span(self, X: NDArray[np.floating]) -> Span | None:
        """Where fewer rows than features hold all directions that are kept: their span."""
        span = span_of(X) if len(X) < X.shape[1] else None
        return None if span is None or span.basis.shape[1] < (self.n_components or 0) else span

    @available_if(_keeps_no_samples)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Add labelled samples: scatters add up, so the map is that of all samples seen.

        The first call chooses shrinkage and normalisation, as `fit` does; later calls keep them. So give the
        first call many classes, or set `shrinkage` to numbers. A batch may hold any classes, also a single
        one. The method does not exist with a `margin`, which needs all samples at once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            More samples.
        y : array-like of shape (n_samples,)
            Their classes, old or new.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights from 0, as for `fit`; each call decides for its own rows whether they are counts.

        Returns
        -------
        MetricLearner
            Fitted on all samples seen.

        Raises
        ------
        ValueError
            As `fit`, but for the number of classes and their rows; or if labels change type.
        """
        first = not hasattr(self, "scatter_")
        X, codes, classes, weights = self._check_data(X, y, sample_weight, reset=first, min_samples=1)
        if first:
            chosen, self.cv_results_ = self._choose(
                X, codes, len(classes), weights, check_random_state(self.random_state)
            )
            self._set_choice(chosen)
        scatter = class_scatter(X, codes, len(classes), weights, preparation(self.normalize_))
        if not first:
            old, new, union = unite(self.classes_, classes)
            classes, scatter = union, merge(self.scatter_, scatter, len(union), old, new)
        self.classes_, self.scatter_, self.n_steps_ = classes, scatter, 0
        self._warn_of_directions_without_spread(scatter, X.dtype)
        mean, mapped, _ = self._solve(scatter)
        self._set_map(mean, mapped, X.dtype)
        return self

    def _check_data(
        self, X: Any, y: Any, sample_weight: Any, reset: bool, min_samples: int = 2
    ) -> tuple[NDArray[np.floating], NDArray[np.intp], NDArray[Any], NDArray[np.floating] | None]:
        """Validated rows of positive weight, their class codes, the classes and the weights or None."""
        y = y if y is None else read_labels(y)
        X, y = validate_data(
            self,
            as_array(X),
            y,
            reset=reset,
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            ensure_min_samples=min_samples,
        )
        check_finite_rows(X)
        if self.n_components is not None and self.n_components > X.shape[1]:
            raise ValueError(f"n_components={self.n_components} is more than the {X.shape[1]} features of X")
        if (kind := type_of_target(y, input_name="y")) not in (
            "binary",
            "multiclass",
        ):  # many classes are normal
            raise ValueError(f"Unknown label type: {kind}; classes are needed, as integers or strings")
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X, ensure_non_negative=True)
            kept = sample_weight > 0
            _check_size_of_weights(sample_weight[kept])
            X, y, sample_weight = X[kept], y[kept], as_weights(sample_weight[kept])
        codes, _, classes = encode_labels(y)
        return X, codes, classes, sample_weight

    def _choose(
        self,
        X: NDArray[np.floating],
        codes: NDArray[np.intp],
        n_classes: int,
        weights: NDArray[np.floating] | None,
        rng: np.random.RandomState,
        n_features: int | None = None,
    ) -> tuple[Candidate, dict[str, Any] | None]:
        normalize = None if self.normalize == "auto" else bool(self.normalize)
        if self.shrinkage == "cv":
            return select(X, codes, n_classes, weights, self.weighting, normalize, rng, n_features)
        within, between = check_shrinkage(self.shrinkage)
        return Candidate(normalize is not False, True, within, between), None

    def _set_choice(self, chosen: Candidate) -> None:
        self.normalize_, self.center_ = bool(chosen.normalize), bool(chosen.center)
        self.shrinkage_ = (float(chosen.within), float(chosen.between))

    def _set_map(self, mean: NDArray[np.floating], mapped: NDArray[np.floating], dtype: DTypeLike) -> None:
        self.mean_, self.components_ = mean.astype(dtype), mapped.astype(dtype)
        self.n_components_ = len(self.components_)

    def _warn_of_directions_without_spread(self, scatter: ClassScatter, dtype: np.dtype[Any]) -> None:
        if self.shrinkage_[0] > self.n_features_in_ * np.finfo(dtype).eps:
            return
        n_flat = n_unresolved(scatter, dtype)
        if n_flat:
            warn(
                f"shrinkage={self.shrinkage!r} does not shrink the covariance inside classes, and samples of "
                f"a class do not differ along {n_flat} of {self.n_features_in_} directions: these get the "
                "largest weights, though nothing was measured along them. Use shrinkage='cv', or a first "
                "number above 0 such as 0.1; or drop constant features, or project with PCA first"
            )

    def _solve(
        self, scatter: ClassScatter, turn: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Centre and map of the closed form, and its scale across the span of the samples.

        `turn` orders the rows of the map by variance.
        """
        within, between = self.shrinkage_
        whitening = whiten(scatter, within)
        mapped = components(whitening, between, self.weighting)
        if turn or self.n_components is not None:
            mapped = principal(mapped, scatter.covariance(), self.n_components)
        mean = scatter.mean if self.center_ else np.zeros(len(scatter.within))
        return mean, mapped, scales(whitening, between, self.weighting)[0] * whitening.across

    def _solve_on(
        self,
        X: NDArray[np.floating],
        codes: NDArray[np.intp],
        weights: NDArray[np.floating] | None,
        n_features: int | None = None,
    ) -> tuple[Callable[[NDArray[np.floating]], NDArray[np.floating]], NDArray[np.floating]]:
        """Closed form of some samples: what embeds, before the last normalisation, and the map."""
        prepare = preparation(self.normalize_)
        classes, renumbered = np.unique(codes, return_inverse=True)
        scatter = class_scatter(X, renumbered, len(classes), weights, prepare)
        mean, mapped, _ = self._solve(scatter._replace(n_features=n_features), turn=True)
        mean, mapped = mean.astype(X.dtype), mapped.astype(X.dtype)
        return lambda X: (prepare(X) - mean) @ mapped.T, mapped
