"""The linear default: one closed form, what it leaves open chosen on classes held out."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skmetric._params import FitTasks, Interval, StrOptions, fit_context
from skmetric._sklearn import BaseEstimator, CallbackSupportMixin
from skmetric._warning import warn
from skmetric.base import MahalanobisMixin, signed_power

from ._classes import check_classes, unite
from ._closed_form._adaptation import Pool, adapt
from ._closed_form._classified import Samples, check_samples
from ._closed_form._refine import refine
from ._closed_form._scatter import ClassScatter, class_scatter, merge
from ._closed_form._solution import Recipe, attributes_of, lifted, powered_rows, solve, solve_on
from ._closed_form._whitening import WEIGHTINGS, n_unresolved
from ._pairs._from_pairs import FromPairsMixin
from ._samples import read_rows
from ._selection._again import Added, choose_again
from ._selection._candidates import POWERS, SATURATIONS, Candidate, Offered, check_shrinkage
from ._selection._selection import Choice, n_steps, select


def _is_closed_form(learner: MetricLearner) -> bool:
    if learner.margin is None:
        return True
    raise AttributeError("adapt solves the closed form anew, which margin has refined: use margin=None")


def _keeps_no_samples(learner: MetricLearner) -> bool:
    if learner.margin is None:
        return True
    raise AttributeError("partial_fit keeps scatters, and margin refines on samples: use margin=None, or fit")


class MetricLearner(FromPairsMixin, CallbackSupportMixin, MahalanobisMixin, BaseEstimator):
    """Linear metric from class labels: directions weighted by how far they tell classes apart.

    Features are raised to a power, rows are scaled to unit length, centred, mapped by ``components_``, and
    scaled to unit length again; the learned distance is the Euclidean one after that. The map solves ``Sb v =
    psi Sw v`` for the covariance Sb of class means and the pooled covariance Sw inside classes, both shrunk,
    whitens Sw and weights each direction by w(psi) [1]_ [2]_. How far to shrink, the power, whether to scale
    to unit length, and whether to learn anything at all are chosen by the retrieval score of held-out
    training classes, since the score that matters is that of classes never trained on.

    Parameters
    ----------
    shrinkage : "cv" or tuple of two floats, default="cv"
        How far Sw is shrunk towards a multiple of the identity, and psi towards its mean; each from 0 to 1.
        (1, 1) learns no direction, (0, 0) shrinks nothing; a first number of 0 needs more samples than
        features. "cv" chooses on class-disjoint folds; plain Euclidean and cosine distance are candidates
        too. With fewer than 16 classes, all others must beat a map that hardly whitens, (0.9, 1); with
        fewer than 4, "cv" means (0.5, 1). "cv" also chooses `power` and `saturation` where these are None.
    weighting : {"plda", "wccn", "lda", "kissme"}, default="plda"
        w(psi): ``psi / (psi + 1/2)`` as in probabilistic LDA, 1 (within-class covariance normalisation, as
        RCA does), psi (discriminant analysis), or ``psi / (psi + 1)`` as in KISSME [2]_.
    normalize : bool or "auto", default="auto"
        Scale rows to unit length before and after the map. "auto" is chosen with the shrinkage, and is True
        where the shrinkage is given.
    margin : float, default=None
        A number refines the map by a triplet hinge with this margin on squared distances, tethered to the
        closed form and stopped by retrieval of held-out classes; the unit is the mean squared length of an
        embedding. None takes the closed form as it is.
    n_components : int, default=None
        Keep this many directions, those in which embeddings vary most. None keeps `n_features`.
    power : float, default=None
        Exponent of the absolute value of each feature, whose sign is kept: below 1 it reduces the largest
        values, as of counts and of features after a ReLU (Tukey's ladder of powers [3]_). None is chosen
        among 1, 0.7 and 0.5 with the shrinkage, and is 1 where the shrinkage is given.
    saturation : float, default=None
        From 0; w(psi) is divided by ``1 + saturation * psi``, with psi before shrinking: a direction that
        separates the training classes extremely well often separates these alone. None is chosen among 0,
        0.02, 0.05 and 0.2 with the shrinkage, and is 0 where the shrinkage is given.
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
    power_, saturation_ : float
        The power and the saturation used.
    cv_results_ : dict of ndarray, or None
        Candidates and their MAP@R on held-out classes, in the form of ``GridSearchCV.cv_results_``. None
        where nothing was searched. ``mean_gain`` is the gain over the candidate that others must beat, and
        ``standard_error_of_gain`` its error over classes. The candidate with the largest gain, half a
        standard error taken off, is used. Gains below their error are in doubt: give more classes, or numbers
        for `shrinkage`.
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
    n_adapted_ : int
        Rows of the pool that `adapt` used last; 0 without.
    n_steps_ : int
        Steps of refinement that were kept; 0 without `margin`, or where refining did not help.

    See Also
    --------
    sklearn.discriminant_analysis.LinearDiscriminantAnalysis : The directions of w = psi, unshrunk.
    sklearn.neighbors.NeighborhoodComponentsAnalysis : A linear map for nearest neighbours, by gradient.

    Notes
    -----
    Fitting takes one pass over the data and O(n_features^2) memory; "cv" adds one pass for each power and
    normalisation, one solution per fold and within-shrinkage and the scoring of 2000 rows for each candidate.
    A power other than 1 makes a copy of the rows. Callbacks of scikit-learn are told of the steps of "cv"; if
    one asks to stop, the best candidate so far is used. A solution costs O(n_features^3), or
    O(n_samples^3) where there are fewer samples than features: these are taken in their span, with the same
    distances. `partial_fit` has no samples to span, and costs the former.

    Sparse `X` (TF-IDF, one-hot features) gives what the same rows give as an array. It stays sparse, except
    for a block of rows at a time, and for `X` of fewer rows than features: there the learner computes in the
    span of the rows, as an array that is no larger than the (n_features, n_features) matrices that any fit
    holds. `X` has at most 30,000 features for that reason.

    References
    ----------
    .. [1] S. Ioffe, "Probabilistic linear discriminant analysis", ECCV 2006.
    .. [2] M. Köstinger et al., "Large scale metric learning from equivalence constraints", CVPR 2012.
    .. [3] J. W. Tukey, "Exploratory data analysis", Addison-Wesley 1977.

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
    0.53
    """

    _takes_sparse = True
    _parameter_constraints = {
        "shrinkage": [StrOptions({"cv"}), tuple, list],
        "weighting": [StrOptions(set(WEIGHTINGS))],
        "normalize": ["boolean", StrOptions({"auto"})],
        "margin": [Interval(Real, 0, None, closed="neither"), None],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "power": [Interval(Real, 0, None, closed="neither"), None],
        "saturation": [Interval(Real, 0, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    power: float | None = None  # also of learners that version 0.1 pickled
    saturation: float | None = None

    _given: dict[str, Any] | None = None  # parameters of the call that chose; earlier pickles lack them

    shrinkage_: tuple[float, float]
    power_: float
    saturation_: float
    cv_results_: dict[str, Any] | None
    center_: bool
    classes_: NDArray[Any]
    scatter_: ClassScatter
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    n_steps_: int
    n_adapted_: int

    def __init__(
        self,
        shrinkage: Literal["cv"] | tuple[float, float] = "cv",
        *,
        weighting: Literal["plda", "wccn", "lda", "kissme"] = "plda",
        normalize: bool | Literal["auto"] = "auto",
        margin: float | None = None,
        n_components: int | None = None,
        power: float | None = None,
        saturation: float | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.shrinkage = shrinkage
        self.weighting = weighting
        self.normalize = normalize
        self.margin = margin
        self.n_components = n_components
        self.power = power
        self.saturation = saturation
        self.random_state = random_state

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
        samples = check_samples(self, X, y, sample_weight, reset=True)
        check_classes(samples.codes, samples.classes)
        rng = check_random_state(self.random_state)
        tasks = FitTasks(self, X, y, n_steps(self._offered()) if self.shrinkage == "cv" else 0, "candidates")
        chosen, results = self._choose(samples, rng, tasks)
        vars(self).update(self._fitted(samples, chosen, rng), cv_results_=results)
        self._warn_of_directions_without_spread(self.scatter_, samples.X.dtype)
        tasks.close()
        return self

    @available_if(_keeps_no_samples)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, *, choose: bool = False
    ) -> Self:
        """Add labelled samples: scatters add up, so the map is that of all samples seen.

        The first call chooses shrinkage and normalisation, as `fit` does; later calls keep them, unless
        `choose` is True, or `shrinkage` or `saturation` has been set to other numbers in between; another
        `normalize` or `power` is refused. So give the first call many classes, or set `shrinkage` to numbers.
        A batch may hold any classes, also a single one. The method does not exist with a `margin`, which
        needs all samples at once.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            More samples.
        y : array-like of shape (n_samples,)
            Their classes, old or new.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights from 0, as for `fit`; each call decides for its own rows whether they are counts.
        choose : bool, default=False
            Whether to choose the shrinkage again, for the classes of this call: half of the rows of each
            class are queries, the other half is learned with all earlier samples and searched, and the other
            way round. For labelled items of a gallery before they are enrolled, when most classes have two
            or more. Power, saturation, normalisation and centring stay. The first call chooses as `fit` does.

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
        samples = check_samples(self, X, y, sample_weight, reset=first, min_samples=1)
        rng = check_random_state(self.random_state)
        # set at once, at the end
        state: dict[str, Any] = {"n_steps_": 0, "n_adapted_": 0, "_given": self._as_given()}
        if first:
            chosen, state["cv_results_"] = self._choose(samples, rng)
            recipe = Recipe(chosen, self.weighting, self.n_components)
        else:
            recipe = self._recipe()
        rows, classes = signed_power(samples.X, recipe.chosen.power), samples.classes
        scatter = class_scatter(rows, samples.codes, len(classes), samples.weights, recipe.prepare)
        if not first:
            old, new, union = unite(self.classes_, classes)
            if choose:
                added = Added(rows, samples.codes, samples.weights, self.scatter_, old, new, len(union))
                chosen, results = choose_again(added, recipe.chosen, self.weighting, rng)
                recipe = recipe._replace(chosen=chosen)
                state["cv_results_"] = results or self.cv_results_
            classes, scatter = union, merge(self.scatter_, scatter, len(union), old, new)
        state |= recipe.chosen.attributes() | attributes_of(solve(scatter, recipe), samples.X.dtype)
        vars(self).update(state, classes_=classes, scatter_=scatter)
        self._warn_of_directions_without_spread(scatter, samples.X.dtype)
        return self

    @available_if(_is_closed_form)
    def adapt(self, X: ArrayLike) -> Self:
        """Move centre and weights towards the pool that will be searched; it needs no labels.

        The map is solved anew, with the covariance of the pool as a further measure of how far classes
        spread, and with a centre between the means of the training rows and of the pool. Both move the more,
        the more rows there are. Each call starts from what `fit` or `partial_fit` learned; these two undo it.
        The method does not exist with a `margin`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Samples of the pool, as many as there are. Few rows hardly change anything: in
            ``benchmarks/metric_learner_quality.py`` 3262 rows gain 2% of MAP@R, 100 rows nothing certain.

        Returns
        -------
        MetricLearner
            Adapted.

        Raises
        ------
        ValueError
            On NaN or infinity (rows named), or features other than those of `fit`.

        Notes
        -----
        Adapt before items are enrolled: embeddings of before and after cannot be compared, and a
        :class:`~skmetric.search.SimilaritySearch` refuses the learner until ``reembed``. Do not use it where
        a threshold turns strangers away and `X` is the gallery: the directions along which the gallery
        spreads get more weight, and strangers differ along others. Rankings gain, thresholds may lose.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skmetric import MetricLearner
        >>> X, y = load_digits(return_X_y=True)
        >>> learner = MetricLearner(random_state=0).fit(X[y < 5], y[y < 5])
        >>> learner.adapt(X[y >= 5]).n_adapted_
        896
        """
        check_is_fitted(self)
        if not hasattr(self, "scatter_"):
            raise ValueError("adapt needs what fit learned of classes, and fit_pairs learns none: use fit")
        rows, recipe = read_rows(self, X, reset=False, min_samples=1), self._recipe()
        pool = Pool.of(signed_power(rows, recipe.chosen.power), recipe)
        solution = adapt(self.scatter_, pool, recipe)
        state = recipe.chosen.attributes() | attributes_of(solution, self.components_.dtype)
        vars(self).update(state, n_adapted_=pool.n_rows, _given=self._as_given())
        return self

    def _fitted(self, samples: Samples, chosen: Candidate, rng: np.random.RandomState) -> dict[str, Any]:
        """Fitted attributes of a choice, but `cv_results_`."""
        recipe = Recipe(chosen, self.weighting, self.n_components)
        span, rows, n_features = powered_rows(samples.X, chosen.power, self.n_components)
        scatter = class_scatter(rows, samples.codes, len(samples.classes), samples.weights, recipe.prepare)
        scatter = scatter._replace(n_features=n_features)
        solution, n_taken = solve(scatter, recipe), 0
        if self.margin is not None:
            solve_rows = partial(solve_on, recipe=recipe, n_features=n_features)
            margin, weights = self.margin, samples.weights
            refined, n_taken = refine(rows, samples.codes, solve_rows, margin, chosen.normalize, weights, rng)
            if refined is not None:
                solution = solution._replace(components=refined.astype(np.float64))
        solution = lifted(solution, span, self.n_components)
        return (
            chosen.attributes()
            | attributes_of(solution, samples.X.dtype)
            | {
                "classes_": samples.classes,
                "scatter_": scatter if span is None else span.lift_scatter(scatter),
                "n_steps_": n_taken,
                "n_adapted_": 0,
                "_given": self._as_given(),
            }
        )

    def _choose(
        self, samples: Samples, rng: np.random.RandomState, tasks: FitTasks | None = None
    ) -> tuple[Candidate, dict[str, Any] | None]:
        if (fixed := self._fixed()) is not None:
            return fixed, None
        X, codes, classes, weights = samples

        def rows_of(power: float) -> tuple[Any, int | None]:
            return powered_rows(X, power, self.n_components)[1:]

        choice = Choice(X, codes, len(classes), weights, self._offered(), rng, rows_of)
        if tasks is not None:  # a callback may ask for the learner of the best candidate so far
            tasks.fitted = lambda: self._fitted(samples, choice.best(), np.random.RandomState(0))
        return select(choice, tasks)

    def _fixed(self) -> Candidate | None:
        """The parameters as given, or None where something has to be chosen."""
        if self.shrinkage == "cv":
            return None
        within, between = check_shrinkage(self.shrinkage)
        power = 1.0 if self.power is None else float(self.power)
        saturation = 0.0 if self.saturation is None else float(self.saturation)
        return Candidate(self.normalize is not False, True, within, between, power, saturation)

    def _offered(self) -> Offered:
        """What "cv" chooses among."""
        return Offered(
            self.weighting,
            (True, False) if self.normalize == "auto" else (bool(self.normalize),),
            POWERS if self.power is None else (float(self.power),),
            SATURATIONS if self.saturation is None else (float(self.saturation),),
        )

    def _as_given(self) -> dict[str, Any]:
        """Parameters that decide what is chosen, in a form that can be compared."""
        shrinkage = "cv" if self.shrinkage == "cv" else check_shrinkage(self.shrinkage)
        rest = {name: getattr(self, name) for name in ("normalize", "power", "saturation")}
        return {"shrinkage": shrinkage} | rest

    def _set_since(self) -> dict[str, Any]:
        """Parameters that have been set to other values since the last call; none of them open.

        Raises
        ------
        ValueError
            If one of them changes the rows whose scatters were kept.
        """
        given = self._as_given()
        before = self._given or given
        new = {name: value for name, value in given.items() if value != before[name]}
        for name, kept in (("normalize", self.normalize_), ("power", getattr(self, "power_", 1.0))):
            if new.get(name) not in (None, "auto", kept):
                raise ValueError(
                    f"{name}={new[name]!r}, and what was learned so far is of rows with {name}={kept!r}, "
                    f"which cannot be undone: fit anew, or set {name} back"
                )
        return {name: value for name, value in new.items() if value not in (None, "cv", "auto")}

    def _recipe(self) -> Recipe:
        """What was chosen, or has been set since to numbers that the scatters still serve."""
        power, saturation = (
            getattr(self, "power_", 1.0),
            getattr(self, "saturation_", 0.0),
        )  # not in version 0.1
        new = self._set_since()
        saturation = float(new.get("saturation", saturation))
        shrinkage: tuple[float, float] = new.get("shrinkage", self.shrinkage_)
        center = self.center_ or "shrinkage" in new
        chosen = Candidate(self.normalize_, center, *shrinkage, power, saturation)
        return Recipe(chosen, self.weighting, self.n_components)

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
