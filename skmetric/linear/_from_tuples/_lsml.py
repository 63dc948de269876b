"""LSML: the matrix nearest to a prior under which given pairs are nearer than others."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._input._weights import read_weights
from skmetric._params import Interval, StrOptions, fit_context

from ._forms._pair_forms import pair_forms
from ._prior import prior_factor
from ._quadruplet_learner import LinearQuadrupletLearner
from ._solvers._logdet import minimize_logdet
from ._tuple_learner import Steps, map_state

_Floats = NDArray[np.float64]


@final
class LSML(LinearQuadrupletLearner):
    """Least squared-residual metric learning from quadruplets (a, b, c, d): a is nearer to b than c to d.

    Minimises ``D(A, A0) + sum_i w_i max(0, d(a, b) - d(c, d))**2`` with d the distance under A, D the LogDet
    divergence and weights that sum to 1 [1]_.

    Parameters
    ----------
    prior : "identity", "covariance" or array-like of shape (n_features, n_features), default="identity"
        A0: the identity, the inverse covariance of the rows of `X` (also of rows in no quadruplet), or a
        positive definite matrix.
    max_iter : int, default=1000
        Iterations at most.
    tol : float, default=1e-3
        Stop when the objective is within this share of its minimum.

    Attributes
    ----------
    components_ : ndarray of shape (n_features, n_features)
        The map L, with A = L^T L.
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
    skmetric.weak.sample_quadruplets : Draws quadruplets from labels.
    skmetric.weak.FromLabels : Fits it on class labels.

    References
    ----------
    .. [1] E. Y. Liu, Z. Guo, X. Zhang, V. Jojic and W. Wang, "Metric learning from relative comparisons by
       minimizing squared residual", ICDM 2012.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmetric.linear import LSML
    >>> from skmetric.weak import sample_quadruplets
    >>> X, y = load_iris(return_X_y=True)
    >>> quadruplets = sample_quadruplets(y, 500, random_state=0)
    >>> learner = LSML().fit(X, quadruplets=quadruplets)
    >>> print(f"{learner.score(X, quadruplets=quadruplets):.2f}")
    0.93
    """

    _parameter_constraints = {
        "prior": [StrOptions({"identity", "covariance"}), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self, prior: str | ArrayLike = "identity", *, max_iter: int = 1000, tol: float = 1e-3
    ) -> None:
        self.prior = prior
        self.max_iter = max_iter
        self.tol = tol

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        quadruplets: ArrayLike | None = None,
    ) -> Self:
        """Learn the map from quadruplets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or (n_quadruplets, 4, n_features)
            Samples, also a sparse matrix; or without `quadruplets` the quadruplets themselves.
        y : None
            Not used: the order of the members says all.
        sample_weight : array-like of shape (n_quadruplets,), default=None
            Weights of the quadruplets, from 0; their sum does not matter.
        quadruplets : array-like of shape (n_quadruplets, 4), default=None
            Row numbers of `X`.

        Returns
        -------
        LSML
            Fitted.

        Raises
        ------
        ValueError
            On quadruplets that cannot be learned from; the message says which and why.
        """
        tuples = self._read(X, quadruplets)
        n = len(tuples.members)
        weights = np.ones(n) if sample_weight is None else read_weights(sample_weight, n, "quadruplets")
        prior = prior_factor(self.prior, tuples.rows)
        forms = pair_forms(tuples.rows, np.vstack([tuples.members[:, :2], tuples.members[:, 2:]]))
        loss = partial(residual_loss, weights=weights / weights.sum())
        steps = Steps(self, X, y, self.max_iter, partial(map_state, dtype=tuples.rows.dtype))
        solution = minimize_logdet(forms, loss, prior, max_iter=self.max_iter, tol=self.tol, step=steps)
        self.objective_, self.n_iter_ = solution.objective, solution.n_iter
        self._set_map(solution.components, tuples.rows.dtype)
        steps.close(solution.converged)
        return self


def residual_loss(squares: _Floats, *, weights: _Floats) -> tuple[float, _Floats]:
    """Weighted squares of the differences of distances in the wrong order, and derivatives.

    Parameters
    ----------
    squares : ndarray of shape (2 * n,)
        Squared distances: of the pairs that should be near, then of those that should be far.
    weights : ndarray of shape (n,)
        Of the quadruplets.

    Returns
    -------
    value : float
    slopes : ndarray of shape (2 * n,)
        By the squared distances; 0 at the distance 0, which no change makes smaller.
    """
    near, far = np.sqrt(squares).reshape(2, -1)
    gap = np.maximum(near - far, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.concatenate(
            [np.where(near > 0, weights * gap / near, 0), np.where(far > 0, -weights * gap / far, 0)]
        )
    return float(weights @ gap**2), slopes
