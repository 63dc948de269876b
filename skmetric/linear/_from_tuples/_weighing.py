"""Weights of given directions that put triplets in order: what SCML minimises, and how."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from ._pair_forms import PairForms
from ._tuple_learner import Steps

_Floats = NDArray[np.float64]
_KEPT = 1 << 23  # numbers, one for each direction and triplet, that are kept
_DIRECTIONS = 16  # whose numbers are made at a time
SMOOTHINGS = (0.3, 0.03)  # width of the bend of the hinge, in margins: first far, then near to the hinge


def compose(basis: _Floats, weights: _Floats) -> _Floats:
    """L with L^T L = sum_k w_k b_k b_k^T, of at most n_features rows."""
    kept = weights > 0
    return np.asarray(np.linalg.qr(np.sqrt(weights[kept])[:, None] * basis[kept], mode="r"))


def weigh(
    forms: PairForms, basis: _Floats, beta: float, max_iter: int, tol: float, step: Steps
) -> tuple[_Floats, int, bool]:
    """Weights of least objective, with the hinge bent ever less; iterations, and whether it converged."""
    norm = 1 / np.mean(np.einsum("ij,ij->i", basis, basis))
    weights, n_iter, result = np.zeros(len(basis)), 0, None
    forms = forms.scaled(np.sqrt(1 / norm))  # so that directions and rows are of one size
    unit = basis * np.sqrt(norm)
    objective = partial(smooth_objective, forms=forms, basis=unit)
    if len(basis) * (forms.n_pairs // 2) <= _KEPT:
        objective = partial(kept_objective, changes=order_changes(forms, unit))

    def after(intermediate_result: Any) -> None:
        if step(np.maximum(intermediate_result.x, 0)):
            raise StopIteration

    for smoothing in SMOOTHINGS:
        result = minimize(
            partial(objective, beta=beta, smoothing=smoothing),
            weights,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * len(weights),
            options={"maxiter": max_iter, "ftol": tol, "gtol": 0},
            callback=after,
        )
        weights, n_iter = np.maximum(result.x, 0), n_iter + int(result.nit)
        if step.asked_to_stop:
            break
    return weights, n_iter, result is not None and result.nit < max_iter


def smooth_objective(
    weights: _Floats, forms: PairForms, basis: _Floats, beta: float, smoothing: float
) -> tuple[float, _Floats]:
    """Objective with a hinge that is a parabola on [0, smoothing], and its gradient by the weights.

    Parameters
    ----------
    weights : ndarray of shape (n_basis,)
    forms : PairForms
        Pairs of anchor and positive, then of anchor and negative.
    basis : ndarray of shape (n_basis, n_features)
    beta, smoothing : float

    Returns
    -------
    value : float
    gradient : ndarray of shape (n_basis,)
    """
    components = compose(basis, weights)
    near, far = forms.squares(forms.under(components)).reshape(2, -1)
    value, slope = bent_hinge(near - far, smoothing)
    scatter = forms.scatter(np.concatenate([slope, -slope]))  # (n_features, n_features)
    gradient = np.einsum("ij,ij->i", basis @ scatter, basis) + beta
    return float(value + beta * weights.sum()), gradient


def kept_objective(
    weights: _Floats, changes: _Floats, beta: float, smoothing: float
) -> tuple[float, _Floats]:
    """The same, of the numbers that `order_changes` makes, (n_basis, n_triplets)."""
    value, slope = bent_hinge(weights @ changes, smoothing)
    return float(value + beta * weights.sum()), changes @ slope + beta


def order_changes(forms: PairForms, basis: _Floats) -> _Floats:
    """By how much each direction brings the negative nearer than the positive, (n_basis, n_triplets)."""
    changes = np.empty((len(basis), forms.n_pairs // 2))
    for start in range(0, len(basis), _DIRECTIONS):
        part = slice(start, start + _DIRECTIONS)
        near, far = np.split(forms.along(basis[part]), 2, axis=1)
        np.subtract(near, far, out=changes[part])
    return changes


def bent_hinge(order: _Floats, smoothing: float) -> tuple[float, _Floats]:
    """Mean of the hinge of near less far, (n_triplets,), and its derivatives."""
    slack = np.maximum(1 + order, 0)
    value = np.where(slack < smoothing, slack**2 / (2 * smoothing), slack - smoothing / 2).mean()
    return float(value), np.minimum(slack / smoothing, 1) / len(slack)
