"""The one eigenproblem of linear metric learning: Sb v = psi Sw v, and a weight w(psi) for each direction."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import LinAlgError, cholesky, eigh, eigvalsh, solve_triangular

from ._scatter import TOO_LARGE, ClassScatter

WEIGHTINGS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    # cross term of the log-likelihood ratio "same class or not" (Ioffe, ECCV 2006), times 2
    "plda": lambda psi: psi / (psi + 0.5),
    "wccn": np.ones_like,  # whiten the scatter inside classes, as RCA and retrieval whitening do
    "lda": lambda psi: psi,
    "kissme": lambda psi: psi / (psi + 1),  # Sw^-1 - (Sw + Sb)^-1, whitened (Koestinger et al., CVPR 2012)
}


class Spectrum(Protocol):
    """What weights of directions need: see :class:`Whitening`."""

    @property
    def psi(self) -> NDArray[np.float64]: ...
    @property
    def n_features(self) -> int: ...


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

    factor: NDArray[np.float64]
    psi: NDArray[np.float64]
    directions: NDArray[np.float64]
    n_features: int  # of the samples, of whose span these may be coordinates
    across: float  # scale of the whitening across that span

    def __call__(self, X: NDArray[np.floating]) -> NDArray[np.floating]:
        """Whiten rows."""
        return solve_triangular(self.factor, X.T, lower=True, check_finite=False).T


def shrunk(
    covariance: NDArray[np.float64], amount: float, floor: float = 0.0, n_features: int | None = None
) -> NDArray[np.float64]:
    """``(1 - amount) * covariance + amount * mean variance * identity``; at least `floor` is added."""
    level = np.trace(covariance) / (n_features or len(covariance))
    out = (1 - amount) * covariance
    out[np.diag_indices(len(covariance))] += max(amount, floor) * level
    return out


def within_factor(scatter: ClassScatter, shrinkage: float) -> tuple[NDArray[np.float64], float]:
    """Lower Cholesky factor of the shrunk covariance inside classes, and the scale across its span.

    The identity and 1 if classes do not spread.

    Where samples are fewer than features, rounding decides the sign of the smallest eigenvalues: the floor
    rises until it covers them.
    """
    covariance = scatter.within_covariance()
    if not np.isfinite(covariance).all():
        raise ValueError(TOO_LARGE)
    n_features = scatter.dimension
    floor = n_features * float(np.finfo(covariance.dtype).eps)
    while scatter.is_resolved():
        try:
            added = max(shrinkage, floor) * np.trace(covariance) / n_features
            shrunken = shrunk(covariance, shrinkage, floor, n_features)
            return cholesky(shrunken, lower=True, check_finite=False), 1 / np.sqrt(added)
        except LinAlgError:
            floor *= 100
    return np.eye(len(covariance)), 1.0


def n_unresolved(scatter: ClassScatter, dtype: DTypeLike) -> int:
    """Number of directions in which samples of a class differ by no more than `dtype` rounds; O(d^3)."""
    spread = eigvalsh(scatter.within)
    resolved = spread > spread[-1] * scatter.dimension * np.finfo(dtype).eps
    return scatter.dimension - int(resolved.sum())


def whiten(scatter: ClassScatter, shrinkage: float) -> Whitening:
    """Solve the eigenproblem in the space of the class means: cheap where classes are fewer than features."""
    factor, across = within_factor(scatter, shrinkage)
    spread = solve_triangular(factor, scatter.mean_deviations().T, lower=True, check_finite=False)
    if spread.shape[0] < spread.shape[1]:
        psi, directions = eigh(spread @ spread.T)
        return Whitening(factor, np.maximum(psi, 0), directions, scatter.dimension, across)
    psi, mix = eigh(spread.T @ spread)  # (n_classes,), (n_classes, n_classes)
    kept = psi > psi[-1] * len(psi) * np.finfo(psi.dtype).eps
    psi, mix = psi[kept], mix[:, kept]
    return Whitening(factor, psi, spread @ (mix / np.sqrt(psi)), scatter.dimension, across)


def scales(
    whitening: Spectrum, shrinkage: float, weighting: str, saturation: float = 0.0
) -> tuple[float, NDArray[np.float64]]:
    """Square roots of the weights: of the other directions, and of `directions`.

    The second shrinkage pulls psi towards its mean over all features: at 1 all directions weigh alike. The
    saturation divides by 1 + saturation * psi, of psi before it is shrunk: the directions that tell the
    training classes apart best are often theirs alone. The largest scale is 1: an overall factor changes no
    order.
    """
    level = whitening.psi.sum() / whitening.n_features
    psi = np.append(0.0, whitening.psi)
    weights = WEIGHTINGS[weighting]((1 - shrinkage) * psi + shrinkage * level) / (1 + saturation * psi)
    top = weights.max()
    root = np.sqrt(weights / top) if top > 0 else np.ones_like(weights)  # no spread of means: no preference
    return root[0], root[1:]


def stretch(
    whitening: Whitening,
    whitened: NDArray[np.floating],
    shrinkage: float,
    weighting: str,
    along_directions: NDArray[Any] | None = None,
    saturation: float = 0.0,
) -> NDArray[Any]:
    """Scale whitened rows along each direction by the root of its weight.

    `along_directions`, their coordinates ``whitened @ directions``, is for who has them already.
    """
    rest, along = scales(whitening, shrinkage, weighting, saturation)
    if along_directions is None:
        along_directions = whitened @ whitening.directions
    return rest * whitened + (along_directions * (along - rest)) @ whitening.directions.T


def components(
    whitening: Whitening, shrinkage: float, weighting: str, saturation: float = 0.0
) -> NDArray[np.float64]:
    """Rows of the map x -> embedding, (n_features, n_features), of the whitened and stretched space."""
    inverse = solve_triangular(
        whitening.factor, np.eye(len(whitening.factor)), lower=True, check_finite=False
    )
    return stretch(whitening, inverse.T, shrinkage, weighting, saturation=saturation).T


def principal(
    components: NDArray[np.float64], covariance: NDArray[np.float64], n_components: int | None
) -> NDArray[np.float64]:
    """Turn the map so that the variance of its rows falls, and keep the first: distances change least."""
    _, turn = eigh(components @ covariance @ components.T)
    return turn[:, ::-1][:, :n_components].T @ components
