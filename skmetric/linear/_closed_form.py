"""The one eigenproblem of linear metric learning: Sb v = psi Sw v, and a weight w(psi) for each direction."""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike
from scipy.linalg import LinAlgError, cholesky, eigh, eigvalsh, solve_triangular

from ._scatter import ClassScatter

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


def shrunk(covariance, amount, floor=0.0):
    """``(1 - amount) * covariance + amount * mean variance * identity``; at least `floor` is added."""
    level = np.trace(covariance) / len(covariance)
    out = (1 - amount) * covariance
    out[np.diag_indices(len(covariance))] += max(amount, floor) * level
    return out


def within_factor(scatter, shrinkage):
    """Lower Cholesky factor of the shrunk covariance inside classes; the identity if they do not spread.

    Where samples are fewer than features, rounding decides the sign of the smallest eigenvalues: the floor
    rises until it covers them.
    """
    covariance = scatter.within_covariance()
    if not np.isfinite(covariance).all():
        raise ValueError("X is too large: its squares overflow; divide it by a constant, or pass float64")
    floor = len(covariance) * np.finfo(covariance.dtype).eps
    while scatter.is_resolved():
        try:
            return cholesky(shrunk(covariance, shrinkage, floor), lower=True, check_finite=False)
        except LinAlgError:
            floor *= 100
    return np.eye(len(covariance))


def n_unresolved(scatter: ClassScatter, dtype: DTypeLike) -> int:
    """Number of directions in which samples of a class differ by no more than `dtype` rounds; O(d^3)."""
    spread = eigvalsh(scatter.within)
    return int((spread <= spread[-1] * len(spread) * np.finfo(dtype).eps).sum())


def whiten(scatter, shrinkage):
    """Solve the eigenproblem in the space of the class means: cheap where classes are fewer than features."""
    factor = within_factor(scatter, shrinkage)
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


def stretch(whitening, whitened, shrinkage, weighting, along_directions=None):
    """Scale whitened rows along each direction by the root of its weight.

    `along_directions`, their coordinates ``whitened @ directions``, is for who has them already.
    """
    rest, along = scales(whitening, shrinkage, weighting)
    if along_directions is None:
        along_directions = whitened @ whitening.directions
    return rest * whitened + (along_directions * (along - rest)) @ whitening.directions.T


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
