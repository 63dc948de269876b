"""SDML: a sparse matrix near to a prior, small on similar pairs and large on others."""

from __future__ import annotations

from functools import partial
from numbers import Integral, Real
from typing import Literal, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, eigvalsh, solve_triangular

from skmetric._params import Interval, StrOptions, fit_context

from ._graphical_lasso import sparse_inverse
from ._pair_forms import pair_forms
from ._pair_learner import LinearPairLearner
from ._prior import prior_factor
from ._tuple_learner import Steps

_Floats = NDArray[np.float64]
_SHARE = 0.9  # of the largest balance that keeps the problem bounded


@final
class SDML(LinearPairLearner):
    """Sparse distance metric learning: a sparse inverse of the prior's covariance, corrected by pairs.

    Minimises ``tr(P A) - log det A + alpha * sum_{i != j} |A_ij|`` with
    ``P = A0^-1 + balance * mean_i(y_i x_i x_i^T)``, x the difference of a pair and y = 1 or -1 [1]_. The
    problem is bounded only if P is positive definite, so `balance` must not be too large.

    Parameters
    ----------
    prior : "identity", "covariance" or array-like of shape (n_features, n_features), default="covariance"
        A0: the identity, the inverse covariance of the rows of `X` (also of rows in no pair), or a positive
        definite matrix.
    balance : float or "auto", default="auto"
        Weight of the pairs against the prior; the sum over pairs of the publication is the mean here.
        "auto" is 1, or nine tenths of the largest value that is possible if that is less.
    alpha : float, default=0.01
        Weight of the penalty on entries off the diagonal.
    max_iter : int, default=1000
        Iterations at most.
    tol : float, default=1e-3
        Largest duality gap for each feature.

    Attributes
    ----------
    components_ : ndarray of shape (n_features, n_features)
        The map L, with A = L^T L.
    balance_ : float
        The balance used.
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
    sklearn.covariance.GraphicalLasso : The same problem for a covariance.
    skmetric.weak.FromLabels : Fits it on class labels.

    References
    ----------
    .. [1] G.-J. Qi, J. Tang, Z.-J. Zha, T.-S. Chua and H.-J. Zhang, "An efficient sparse metric learning in
       high-dimensional space via l1-penalized log-determinant regularization", ICML 2009.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmetric.linear import SDML
    >>> from skmetric.weak import sample_pairs
    >>> X, y = load_iris(return_X_y=True)
    >>> pairs, y_pairs = sample_pairs(y, 500, random_state=0)
    >>> learner = SDML().fit(X, y_pairs, pairs=pairs)
    >>> print(f"{learner.score(X, y_pairs, pairs=pairs):.2f}")
    0.93
    """

    _parameter_constraints = {
        "prior": [StrOptions({"identity", "covariance"}), "array-like"],
        "balance": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    balance_: float

    def __init__(
        self,
        prior: str | ArrayLike = "covariance",
        *,
        balance: float | Literal["auto"] = "auto",
        alpha: float = 0.01,
        max_iter: int = 1000,
        tol: float = 1e-3,
    ) -> None:
        self.prior = prior
        self.balance = balance
        self.alpha = alpha
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
        SDML
            Fitted.

        Raises
        ------
        ValueError
            On pairs that cannot be learned from; the message says which and why.
        """
        tuples, similar, classes = self._read_pairs(X, y, pairs)
        prior = prior_factor(self.prior, tuples.rows)
        forms = pair_forms(tuples.rows, tuples.members)
        inverse = solve_triangular(prior, np.eye(len(prior)), lower=False)  # A0^-1 = inverse inverse^T
        signs = np.where(similar, 1.0, -1.0) / len(similar)
        # in the coordinates of the prior, where A0 is the identity: neither overflows nor depends on scale
        turned = forms.through(prior).scatter(signs)
        self.balance_ = self._read_balance(float(eigvalsh(turned, subset_by_index=[0, 0])[0]))
        P = inverse @ (np.eye(len(prior)) + self.balance_ * turned) @ inverse.T
        state = partial(self._state, classes=classes, dtype=tuples.rows.dtype)
        steps = Steps(self, X, y, self.max_iter, lambda A: state(factor_of(A)))
        A, self.objective_, self.n_iter_, converged = sparse_inverse(
            P, self.alpha, max_iter=self.max_iter, tol=self.tol, step=steps
        )
        self._finish(factor_of(A), tuples, similar, classes)
        steps.close(converged)
        return self

    def _read_balance(self, lowest: float) -> float:
        """Balance, given the lowest eigenvalue of what it weighs, relative to the prior."""
        largest = np.inf if lowest >= 0 else -1 / lowest
        if self.balance == "auto":
            return float(min(1.0, _SHARE * largest))
        if self.balance >= largest:
            raise ValueError(
                f"balance={self.balance!r} is too large: the pairs that are not similar outweigh the prior, "
                f"and no matrix is best. It must be below {largest:.4g} for these pairs and this prior; "
                "'auto' chooses it"
            )
        return float(self.balance)


def factor_of(A: _Floats) -> _Floats:
    """Upper triangular L with L^T L = A, without a loss where scales of features differ much."""
    root = np.sqrt(np.diag(A))
    return cholesky(A / np.outer(root, root), lower=False) * root
