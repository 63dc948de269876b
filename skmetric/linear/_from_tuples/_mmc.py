"""MMC: dissimilar pairs as far apart as similar pairs of a given size allow."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Any, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.optimize import minimize

from skmetric._params import Interval, fit_context

from ._forms._pair_forms import PairForms, pair_forms
from ._pair_learner import LinearPairLearner
from ._prior import shrunk_to_diagonal
from ._tuple_learner import Steps

_Floats = NDArray[np.float64]


@final
class MMC(LinearPairLearner):
    """Mahalanobis metric for clustering: other pairs far apart, while similar pairs stay together.

    Maximises the sum of the distances of pairs that are not similar, while the squared distances of similar
    pairs add up to 1 [1]_.

    Parameters
    ----------
    diagonal : bool, default=False
        Weight features only, without mixing them.
    shrinkage : float, default=0.1
        How far the scatter of similar pairs is shrunk towards its diagonal, from 0 (as published) to 1. With
        0, a direction in which similar pairs do not differ would get all the weight, so it is refused.
    max_iter : int, default=200
        Iterations at most.
    tol : float, default=1e-6
        Stop when an iteration changes the logarithm of the objective by less than this.

    Attributes
    ----------
    components_ : ndarray of shape (n_features, n_features)
        The map L, with A = L^T L.
    threshold_ : float
        Pairs at most that far apart count as similar. `fit` chooses it on its pairs.
    classes_ : ndarray of shape (2,)
        The values of `y`: not similar, similar.
    objective_ : float
        Sum of the distances of the pairs that are not similar.
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
    ITML : Keeps to bounds, near to a prior.
    skmetric.weak.FromLabels : Fits it on class labels.

    Notes
    -----
    On classes never trained on, defaults retrieve much worse than the Euclidean distance: MAP@R is 65% lower
    on average of six sets of frozen features (``benchmarks/weak_supervision.py``). The objective puts almost
    all weight on few directions: those that separate the training classes.

    In coordinates that whiten the similar pairs, the problem is a ratio without a constraint, which L-BFGS
    solves; the published method alternates two projections.

    References
    ----------
    .. [1] E. P. Xing, A. Y. Ng, M. I. Jordan and S. Russell, "Distance metric learning with application to
       clustering with side-information", NIPS 2002.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmetric.linear import MMC
    >>> from skmetric.weak import sample_pairs
    >>> X, y = load_iris(return_X_y=True)
    >>> pairs, y_pairs = sample_pairs(y, 500, random_state=0)
    >>> learner = MMC().fit(X, y_pairs, pairs=pairs)
    >>> print(f"{learner.score(X, y_pairs, pairs=pairs):.2f}")
    0.99
    """

    _parameter_constraints = {
        "diagonal": ["boolean"],
        "shrinkage": [Interval(Real, 0, 1, closed="both")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        diagonal: bool = False,
        *,
        shrinkage: float = 0.1,
        max_iter: int = 200,
        tol: float = 1e-6,
    ) -> None:
        self.diagonal = diagonal
        self.shrinkage = shrinkage
        self.max_iter = max_iter
        self.tol = tol

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
        MMC
            Fitted.

        Raises
        ------
        ValueError
            On pairs that cannot be learned from; the message says which and why.
        """
        tuples, similar, classes = self._read_pairs(X, y, pairs)
        near = pair_forms(tuples.rows, tuples.members[similar])
        far = pair_forms(tuples.rows, tuples.members[~similar])
        if not (far.squares(far.under(np.ones(far.n_features))) > 0).any():
            raise ValueError(
                "the pairs that are not similar are all of equal samples: nothing tells them apart"
            )
        whitening = whitening_of(near, self.shrinkage, self.diagonal)
        whitened = far.through(whitening)
        steps = Steps(
            self, X, y, self.max_iter, partial(self._state, classes=classes, dtype=tuples.rows.dtype)
        )
        W, value, self.n_iter_, converged = spread_out(
            whitened, self.diagonal, self.max_iter, self.tol, lambda W: steps(W @ whitening)
        )
        self.objective_ = float(np.exp(-value))
        self._finish(W @ whitening, tuples, similar, classes)
        steps.close(converged)
        return self


def whitening_of(near: PairForms, shrinkage: float, diagonal: bool) -> _Floats:
    """Map under which the shrunk scatter of similar pairs is the identity, (n_features, n_features)."""
    scale = near.largest or 1.0
    near = near.scaled(1 / scale)
    if not near.feature_squares().any():
        return np.eye(near.n_features)  # similar samples are equal: no direction is better than another
    scatter = near.n_pairs * shrunk_to_diagonal(near, shrinkage)
    try:
        lower = cholesky(np.diag(np.diag(scatter)) if diagonal else scatter, lower=True)
    except LinAlgError:
        raise ValueError(
            "similar pairs do not differ in some direction, in which other pairs could be at any distance: "
            "use a shrinkage above 0"
        ) from None
    return solve_triangular(lower, np.eye(len(lower)), lower=True) / scale


def spread_out(
    far: PairForms, diagonal: bool, max_iter: int, tol: float, step: Any
) -> tuple[_Floats, float, int, bool]:
    """W of squared norm 1 with the largest sum of lengths ``|W z|``.

    Returns
    -------
    W : ndarray of shape (n_features, n_features)
    value : float
        Minus the logarithm of the sum.
    n_iter : int
    converged : bool
    """
    n_features = far.n_features
    shape = (n_features,) if diagonal else (n_features, n_features)

    def value_and_gradient(flat: _Floats) -> tuple[float, _Floats]:
        W = flat.reshape(shape)
        mapped = far.under(W)
        lengths = np.sqrt(far.squares(mapped))
        total, norm = lengths.sum(), flat @ flat
        slopes = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0) / total
        pull = far.spread(mapped, slopes)  # (n_features, n_features)
        gradient = W / norm - (np.diag(pull) if diagonal else pull)
        return float(0.5 * np.log(norm) - np.log(total)), gradient.ravel()

    def as_matrix(flat: _Floats) -> _Floats:
        W = flat.reshape(shape) / np.sqrt(flat @ flat)
        return np.diag(W) if diagonal else W

    def after(intermediate_result: Any) -> None:
        if step(as_matrix(intermediate_result.x)):
            raise StopIteration

    start = (np.ones(n_features) if diagonal else np.eye(n_features)) / np.sqrt(n_features)
    options = {"maxiter": max_iter, "ftol": tol, "gtol": 1e-12, "maxfun": 100 * max_iter}
    result = minimize(
        value_and_gradient, start.ravel(), jac=True, method="L-BFGS-B", options=options, callback=after
    )
    return as_matrix(result.x), float(result.fun), int(result.nit), result.nit < max_iter
