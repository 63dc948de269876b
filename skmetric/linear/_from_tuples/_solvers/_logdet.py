"""Least LogDet divergence from a prior plus a loss of the squared distances of pairs, as ITML and LSML have.

The matrix is A = L^T L, and L is found by L-BFGS as L = W C about a centre C that moves along. In these
coordinates the divergence has the same curvature whatever the scales of the features are. The problem is
convex in A, and has no other minima in a square L.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from skmetric.linear._from_tuples._forms._pair_forms import PairForms

_ROUND = 25  # iterations about one centre
_ROUNDING = 1e-12  # of the objective, for each feature

_Floats = NDArray[np.float64]
Loss = Callable[[_Floats], tuple[float, _Floats]]  # squared distances -> value, its derivatives


class Solution(NamedTuple):
    """Where a solver ended."""

    components: _Floats  # (n_features, n_features)
    objective: float
    n_iter: int
    converged: bool


class _Stop(Exception):
    """Ends the solver from within."""


def objective(components: _Floats, prior: _Floats, forms: PairForms, loss: Loss) -> float:
    """LogDet divergence from the prior, tr(A A0^-1) - log det(A A0^-1) - d, plus the loss.

    Parameters
    ----------
    components, prior : ndarray of shape (n_features, n_features)
        L and upper triangular R, of A = L^T L and of A0 = R^T R.
    forms : PairForms
        Pairs.
    loss : callable
        From their squared distances to a number and its derivatives.
    """
    ratio = solve_triangular(prior, components.T, trans="T", lower=False).T  # L R^-1
    divergence = np.sum(ratio**2) - 2 * np.linalg.slogdet(ratio)[1] - len(ratio)
    return float(divergence + loss(forms.squares(forms.under(components)))[0])


def minimize_logdet(
    forms: PairForms,
    loss: Loss,
    prior: _Floats,
    *,
    max_iter: int,
    tol: float,
    step: Callable[[_Floats], bool],
) -> Solution:
    """Minimise the objective.

    Parameters
    ----------
    forms : PairForms
        Pairs.
    loss : callable
        From their squared distances to a number and its derivatives.
    prior : ndarray of shape (n_features, n_features)
        Upper triangular R of the prior A0 = R^T R, where the search begins.
    max_iter : int
        Iterations at most.
    tol : float
        Largest gap to the minimum, over the objective. The gap is about an eighth of the squared length of
        the gradient in the coordinates of the solution, where the divergence has curvature 2.
    step : callable
        Called with the components after each iteration; whether to stop.

    Returns
    -------
    Solution
    """
    search = _Search(forms, loss, prior, max_iter, tol, step)
    while search.goes_on():
        search.run()
    return Solution(search.center, search.value, search.n_iter, search.converged)


class _Search:
    def __init__(
        self,
        forms: PairForms,
        loss: Loss,
        prior: _Floats,
        max_iter: int,
        tol: float,
        step: Callable[[_Floats], bool],
    ) -> None:
        self.forms, self.loss, self.prior = forms, loss, prior
        self.max_iter, self.tol, self.step = max_iter, tol, step
        self.center, self.value = prior, np.inf
        self.n_iter, self.converged, self.ended = 0, False, False
        self.gap, self.highest = np.inf, 0.0  # of the last point; the largest finite value seen

    def goes_on(self) -> bool:
        return not self.ended and self.n_iter < self.max_iter

    def run(self) -> None:
        """Iterate about one centre, which then moves to where that led."""
        before, start = self.value, self.n_iter
        ratio = solve_triangular(self.prior, self.center.T, trans="T", lower=False).T
        self.within = ratio @ ratio.T  # C A0^-1 C^T
        self.level = 2 * np.linalg.slogdet(ratio)[1] + len(ratio)
        self.moved = self.forms.through(self.center)
        self.best = np.eye(len(ratio))
        options = {"maxiter": min(_ROUND, self.max_iter - self.n_iter), "ftol": 0, "gtol": 0}
        try:
            minimize(
                self._value_and_gradient,
                self.best.ravel(),
                jac=True,
                method="L-BFGS-B",
                options=options,
                callback=self._after_iteration,
            )
        except _Stop:
            self.ended = True
        self.center = self.best @ self.center
        if not np.isfinite(self.value):  # no step was taken
            self.value = objective(self.center, self.prior, self.forms, self.loss)
        stuck = self.n_iter == start or not self.value < before
        self.ended = self.ended or stuck
        if stuck and not self.converged:
            if self.n_iter == start:  # no step was taken: the gap is that of the centre
                _, gradient = self._value_and_gradient(np.eye(len(self.center)).ravel())
                self.gap = float(np.sum(gradient**2) / 8)
            # no step lowers the objective: this is all that float64 gives, if little was left
            self.converged = self._is_small(self.gap, np.sqrt(self.tol))

    def _value_and_gradient(self, flat: _Floats) -> tuple[float, _Floats]:
        W = flat.reshape(self.within.shape)
        log_det = np.linalg.slogdet(W)[1]
        if not np.isfinite(log_det):
            # the step was too long: after a finite value the line search takes a shorter one
            return 2 * self.highest + 1, np.zeros_like(flat)
        mapped = self.moved.under(W)
        value, slopes = self.loss(self.moved.squares(mapped))
        turned = W @ self.within
        value += np.sum(turned * W) - 2 * log_det - self.level
        gradient = 2 * (turned - np.linalg.inv(W).T + self.moved.spread(mapped, slopes))
        self.highest = max(self.highest, float(value))
        self.last = flat.copy(), float(value), gradient
        return float(value), gradient.ravel()

    def _is_small(self, gap: float, share: float) -> bool:
        """Whether a gap is a small share of the objective, or rounding of one that is 0."""
        return bool(gap <= share * max(abs(self.value), _ROUNDING * len(self.center)))

    def _after_iteration(self, intermediate_result) -> None:
        flat, value, gradient = self.last
        if not np.array_equal(flat, intermediate_result.x):
            value, gradient = self._value_and_gradient(intermediate_result.x)
            gradient = gradient.reshape(self.within.shape)
        self.best, self.value = intermediate_result.x.reshape(self.within.shape).copy(), value
        self.n_iter += 1
        self.gap = float(np.sum((gradient @ self.best.T) ** 2) / 8)
        self.converged = self._is_small(self.gap, self.tol)
        if self.step(self.best @ self.center) or self.converged:
            raise _Stop
