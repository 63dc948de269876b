"""The sparse inverse of a positive definite matrix, by proximal gradient steps with a duality gap."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky

_Floats = NDArray[np.float64]
_LARGEST = 1e100  # a penalty that makes any entry 0


def sparse_inverse(
    P: _Floats, alpha: float, *, max_iter: int, tol: float, step: Callable[[_Floats], bool]
) -> tuple[_Floats, float, int, bool]:
    """Minimise ``tr(P A) - log det A + alpha * sum_{i != j} |A_ij|``.

    Iterative soft thresholding with Barzilai-Borwein steps (Rolfs et al., NIPS 2012), with P scaled to a unit
    diagonal; the penalty is scaled along, so that the solution is the same.

    Parameters
    ----------
    P : ndarray of shape (n_features, n_features)
        Positive definite.
    alpha : float
        Weight of the penalty.
    max_iter : int
        Iterations at most.
    tol : float
        Largest duality gap, over the number of features.
    step : callable
        Called with A after each iteration; whether to stop.

    Returns
    -------
    A : ndarray of shape (n_features, n_features)
    objective : float
    n_iter : int
    converged : bool
    """
    root = np.sqrt(np.diag(P))
    scaled = P / np.outer(root, root)
    with np.errstate(over="ignore"):
        penalty = np.minimum(alpha / np.outer(root, root), _LARGEST)
    np.fill_diagonal(penalty, 0)
    A, n, shift = np.eye(len(P)), 0, 2 * np.log(root).sum()
    value, inverse, length = 0.0, np.eye(len(P)), 1.0  # of -log det A
    converged = _gap(scaled, penalty, A, value, inverse) <= tol * len(P)
    while not converged and n < max_iter:
        new, new_value, new_inverse = _descend(scaled, penalty, A, value, inverse, length)
        change, turn = new - A, inverse - new_inverse
        curvature = np.sum(change * turn)
        length = float(np.sum(change**2) / curvature) if curvature > 0 else 1.0
        A, value, inverse, n = new, new_value, new_inverse, n + 1
        converged = _gap(scaled, penalty, A, value, inverse) <= tol * len(P) or not change.any()
        if step(A / np.outer(root, root)):
            break
    objective = np.sum(scaled * A) + value + np.sum(penalty * np.abs(A)) + shift
    return A / np.outer(root, root), float(objective), n, bool(converged)


def _descend(
    P: _Floats, penalty: _Floats, A: _Floats, value: float, inverse: _Floats, length: float
) -> tuple[_Floats, float, _Floats]:
    """Next matrix, its -log det and its inverse: the step is halved until the objective falls enough."""
    gradient = P - inverse
    while True:
        moved = A - length * gradient
        new = np.sign(moved) * np.maximum(np.abs(moved) - length * penalty, 0)
        try:
            factor = cholesky(new, lower=True)
        except LinAlgError:
            length /= 2
            continue
        new_value, change = -2 * float(np.log(np.diag(factor)).sum()), new - A
        bound = value - np.sum(inverse * change) + np.sum(change**2) / (2 * length)
        if new_value <= bound + 1e-12 * max(1.0, abs(value)) or length < 1e-14:
            return new, new_value, cho_solve((factor, True), np.eye(len(new)))
        length /= 2


def _gap(P: _Floats, penalty: _Floats, A: _Floats, value: float, inverse: _Floats) -> float:
    """Duality gap, infinite where the dual point is not positive definite."""
    dual = P + np.clip(inverse - P, -penalty, penalty)
    np.fill_diagonal(dual, np.diag(P))
    try:
        log_det = 2 * np.log(np.diag(cholesky(dual, lower=True))).sum()
    except LinAlgError:
        return np.inf
    return float(np.sum(P * A) + value + np.sum(penalty * np.abs(A)) - log_det - len(P))
