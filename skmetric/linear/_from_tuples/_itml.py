"""ITML: the matrix nearest to a prior that keeps similar pairs near and other pairs far."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from skmetric._params import Interval, StrOptions, fit_context
from skmetric._warning import warn

from ._logdet import minimize_logdet
from ._pair_forms import pair_forms
from ._pair_learner import LinearPairLearner
from ._prior import prior_factor
from ._sparse_forms import differences
from ._tuple_learner import Steps, distances_of

_PERCENTILES = (5, 95)
_DRAWN = 10_000  # pairs of rows whose distances make the bounds
_Floats = NDArray[np.float64]


@final
class ITML(LinearPairLearner):
    """Information-theoretic metric learning: the matrix nearest to a prior that obeys bounds on pairs.

    Minimises ``D(A, A0) + gamma * sum_i D(xi_i, bound_i)`` with ``d(i) <= xi_i`` for similar pairs and
    ``d(i) >= xi_i`` for others, d the squared distance under A and D the LogDet divergence [1]_. A slack
    costs nothing where the bound holds. So a pair that violates its bound adds ``r - log r - 1``, with r the
    ratio of its squared distance to the squared bound.

    Parameters
    ----------
    prior : "identity", "covariance" or array-like of shape (n_features, n_features), default="identity"
        A0: the identity, the inverse covariance of the rows of `X` (also of rows in no pair), or a positive
        definite matrix.
    gamma : float, default=1.0
        Weight of a violated bound against the divergence from the prior.
    bounds : tuple of two floats, default=None
        Distance up to which similar pairs should be, and from which other pairs should be; distances, not
        squared. None: the 5th and the 95th percentile of distances between rows under the prior.
    max_iter : int, default=1000
        Iterations at most.
    tol : float, default=1e-3
        Stop when the objective is within this share of its minimum.
    random_state : int, RandomState instance or None, default=None
        Draws the 10,000 pairs of rows for the percentiles, where rows have more.

    Attributes
    ----------
    components_ : ndarray of shape (n_features, n_features)
        The map L, with A = L^T L.
    bounds_ : tuple of two floats
        The bounds used.
    threshold_ : float
        Pairs at most that far apart count as similar. `fit` chooses it on its pairs.
    classes_ : ndarray of shape (2,)
        The values of `y`: not similar, similar.
    objective_ : float
        Value of the objective at the end.
    n_iter_ : int
        Iterations taken.
    n_components_ : int
        Dimension of the embedding.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features, where `X` had string names.

    See Also
    --------
    skmetric.weak.FromLabels : Fits it on class labels.
    skmetric.MetricLearner : Its `fit_pairs` is a closed form from pairs.

    Notes
    -----
    On classes never trained on, defaults retrieve no better than the Euclidean distance: MAP@R is 2% lower on
    average of six sets of frozen features, from -13% to +8% (``benchmarks/weak_supervision.py``).

    The published algorithm projects on one pair after the other, at O(n_features^2) each. The same objective
    is minimised here over all pairs at once by L-BFGS: an iteration costs
    O(n_rows * n_features^2 + n_pairs * n_features), and no array has a row of features for each pair.

    Pairs of equal rows have distance 0 under every matrix and are left out, with a warning where `y` says
    that they are not similar.

    References
    ----------
    .. [1] J. V. Davis, B. Kulis, P. Jain, S. Sra and I. S. Dhillon, "Information-theoretic metric learning",
       ICML 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmetric.linear import ITML
    >>> from skmetric.weak import sample_pairs
    >>> X, y = load_iris(return_X_y=True)
    >>> pairs, y_pairs = sample_pairs(y, 500, random_state=0)
    >>> learner = ITML(random_state=0).fit(X, y_pairs, pairs=pairs)
    >>> print(f"{learner.score(X, y_pairs, pairs=pairs):.2f}")
    0.99
    """

    _parameter_constraints = {
        "prior": [StrOptions({"identity", "covariance"}), "array-like"],
        "gamma": [Interval(Real, 0, None, closed="neither")],
        "bounds": ["array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    bounds_: tuple[float, float]

    def __init__(
        self,
        prior: str | ArrayLike = "identity",
        *,
        gamma: float = 1.0,
        bounds: tuple[float, float] | None = None,
        max_iter: int = 1000,
        tol: float = 1e-3,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.prior = prior
        self.gamma = gamma
        self.bounds = bounds
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, *, pairs: ArrayLike | None = None) -> Self:
        """Learn the map from pairs, and choose the threshold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_pairs, 2, n_features) without `pairs`
            Samples, also a sparse matrix; or the pairs themselves.
        y : array-like of shape (n_pairs,)
            1 for similar pairs; 0, or -1, for others. Both must occur.
        pairs : array-like of shape (n_pairs, 2), default=None
            Row numbers of `X`. Rows may be in many pairs, or in none.

        Returns
        -------
        ITML
            Fitted.

        Raises
        ------
        ValueError
            On pairs that cannot be learned from; the message says which and why.
        """
        tuples, similar, classes = self._read_pairs(X, y, pairs)
        prior = prior_factor(self.prior, tuples.rows)
        bounds = self._read_bounds(tuples.rows, prior)
        kept = distinct_pairs(tuples.rows, tuples.members, similar)
        forms = pair_forms(tuples.rows, tuples.members[kept])
        loss = partial(bound_loss, similar=similar[kept], bounds=np.square(bounds), gamma=float(self.gamma))
        steps = Steps(
            self, X, y, self.max_iter, partial(self._state, classes=classes, dtype=tuples.rows.dtype)
        )
        solution = minimize_logdet(forms, loss, prior, max_iter=self.max_iter, tol=self.tol, step=steps)
        self.bounds_ = (float(bounds[0]), float(bounds[1]))
        self.objective_, self.n_iter_ = solution.objective, solution.n_iter
        self._finish(solution.components, tuples, similar, classes)
        steps.close(solution.converged)
        return self

    def _read_bounds(self, rows: Any, prior: _Floats) -> _Floats:
        """Largest distance of similar pairs and smallest distance of others, (2,)."""
        if self.bounds is None:
            return percentiles(rows, prior, check_random_state(self.random_state))
        bounds = np.asarray(self.bounds, dtype=np.float64)
        if bounds.shape != (2,) or not (np.isfinite(bounds).all() and (bounds > 0).all()):
            raise ValueError(f"bounds must be two finite distances above 0; got {self.bounds!r}")
        if bounds[0] > bounds[1]:
            raise ValueError(
                f"bounds[0], for similar pairs, must not be above bounds[1], for others; got {self.bounds!r}"
            )
        return bounds


def percentiles(rows: Any, prior: _Floats, rng: np.random.RandomState) -> _Floats:
    """5th and 95th percentile of the distances above 0 between rows, (2,)."""
    n = rows.shape[0]
    if n * (n - 1) // 2 <= _DRAWN:
        pairs = np.column_stack(np.triu_indices(n, 1))
    else:
        first, shift = rng.randint(n, size=_DRAWN), rng.randint(1, n, size=_DRAWN)
        pairs = np.column_stack([first, (first + shift) % n])
    if issparse(rows):
        forms = pair_forms(rows, pairs)
        distances = np.sqrt(forms.squares(forms.under(prior)))
    else:
        mapped = (rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)) @ prior.T
        distances = distances_of(mapped, pairs, [[0, 1]])[:, 0]
    distances = distances[distances > 0]
    if not len(distances):
        raise ValueError("X has equal rows only: there is no distance to learn from")
    return np.percentile(distances, _PERCENTILES)


def distinct_pairs(rows: Any, pairs: NDArray[np.intp], similar: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pairs, (n_pairs,), have two different rows; a warning if equal rows are said to be dissimilar."""
    if issparse(rows):
        equal = np.diff(differences(rows, pairs).indptr) == 0
    else:
        equal = distances_of(rows, pairs, [[0, 1]])[:, 0] == 0
    impossible = np.flatnonzero(equal & ~similar)
    if len(impossible):
        warn(
            f"the two samples of pair {impossible[0]} are equal, and y says that they are not similar "
            f"({len(impossible)} of {len(pairs)} pairs): no distance separates them, so these pairs are left "
            "out. Look for samples that occur twice with two labels"
        )
    if equal.all():
        raise ValueError("the two samples of each pair are equal: there is no distance to learn from")
    return ~equal


def bound_loss(
    squares: _Floats, *, similar: NDArray[np.bool_], bounds: _Floats, gamma: float
) -> tuple[float, _Floats]:
    """Cost of the violated bounds, and its derivatives by the squared distances.

    Parameters
    ----------
    squares : ndarray of shape (n_pairs,)
        Squared distances.
    similar : ndarray of shape (n_pairs,), bool
        Which pairs are similar.
    bounds : ndarray of shape (2,)
        Squared, for similar pairs and for others.
    gamma : float
        Weight.

    Returns
    -------
    value : float
    slopes : ndarray of shape (n_pairs,)
    """
    bound = np.where(similar, *bounds)
    with np.errstate(divide="ignore"):
        ratio = squares / bound
        violated = np.where(similar, ratio > 1, ratio < 1)
        ratio = np.where(violated, ratio, 1)
        value = gamma * float(
            np.sum(ratio - np.log(ratio) - 1)
        )  # infinite for a dissimilar pair at distance 0
        return value, gamma * (1 - 1 / ratio) / bound
