"""The one eigenproblem of linear metric learning: Sb v = psi Sw v, and a weight w(psi) for each direction."""

from typing import NamedTuple

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular

WEIGHTINGS = {
    # cross term of the log-likelihood ratio "same class or not" (Ioffe, ECCV 2006), times 2
    "plda": lambda psi: psi / (psi + 0.5),
    "wccn": np.ones_like,  # whiten the scatter inside classes, as RCA and retrieval whitening do
    "lda": lambda psi: psi,
}


class Whitening(NamedTuple):
    """Whitening of the shrunk scatter inside classes, and the directions in which class means spread.

    Attributes
    ----------
    factor : ndarray of shape (n_features, n_features)
        Lower Cholesky factor L of the shrunk covariance: ``solve(L, x)`` is x whitened.
    psi : ndarray of shape (n_directions,)
        Variance of the class means, in the whitened space, along each direction; zero along all others.
    directions : ndarray of shape (n_features, n_directions)
        Orthonormal, in the whitened space.
    """

    factor: np.ndarray
    psi: np.ndarray
    directions: np.ndarray

    def __call__(self, X):
        """Whiten rows."""
        return solve_triangular(self.factor, X.T, lower=True, check_finite=False).T


def shrunk(covariance, amount):
    """``(1 - amount) * covariance + amount * mean variance * identity``, never singular."""
    n_features = len(covariance)
    level = np.trace(covariance) / n_features
    if level <= 0:
        return np.eye(n_features)
    floor = n_features * np.finfo(covariance.dtype).eps
    out = (1 - amount) * covariance
    out[np.diag_indices(n_features)] += max(amount, floor) * level
    return out


def whiten(scatter, shrinkage):
    """Solve the eigenproblem in the space of the class means: cheap where classes are fewer than features."""
    factor = cholesky(shrunk(scatter.within_covariance(), shrinkage), lower=True, check_finite=False)
    spread = solve_triangular(factor, scatter.mean_deviations().T, lower=True, check_finite=False)
    if spread.shape[0] < spread.shape[1]:
        psi, directions = eigh(spread @ spread.T)
        return Whitening(factor, np.maximum(psi, 0), directions)
    psi, mix = eigh(spread.T @ spread)  # (n_classes,), (n_classes, n_classes)
    kept = psi > psi[-1] * len(psi) * np.finfo(psi.dtype).eps
    psi, mix = psi[kept], mix[:, kept]
    return Whitening(factor, psi, spread @ (mix / np.sqrt(psi)))


def scales(whitening, shrinkage, weighting):
    """Square roots of the weights: of the other directions, and of `directions`.

    The second shrinkage pulls psi towards its mean over all features: at 1 all directions weigh alike. The
    largest scale is 1: an overall factor changes no order.
    """
    level = whitening.psi.sum() / len(whitening.factor)
    psi = np.append(shrinkage * level, (1 - shrinkage) * whitening.psi + shrinkage * level)
    weights = WEIGHTINGS[weighting](psi)
    top = weights.max()
    root = np.sqrt(weights / top) if top > 0 else np.ones_like(weights)  # no spread of means: no preference
    return root[0], root[1:]


def stretch(whitening, whitened, shrinkage, weighting):
    """Scale whitened rows along each direction by the root of its weight."""
    rest, along = scales(whitening, shrinkage, weighting)
    U = whitening.directions
    return rest * whitened + ((whitened @ U) * (along - rest)) @ U.T


def components(whitening, shrinkage, weighting):
    """Rows of the map x -> embedding, (n_features, n_features), of the whitened and stretched space."""
    inverse = solve_triangular(
        whitening.factor, np.eye(len(whitening.factor)), lower=True, check_finite=False
    )
    return stretch(whitening, inverse.T, shrinkage, weighting).T


def principal(components, covariance, n_components):
    """Turn the map so that its rows go by falling variance, and keep the first: distances change least."""
    _, turn = eigh(components @ covariance @ components.T)
    return turn[:, ::-1][:, :n_components].T @ components
