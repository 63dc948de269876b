"""Covariance inside and between classes, from differences of pairs: the closed form needs no more."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve_triangular

from skmetric.linear._closed_form._scatter import ClassScatter, class_scatter
from skmetric.linear._closed_form._solution import Recipe, Solution, solve_whitened
from skmetric.linear._closed_form._whitening import Whitening, within_factor
from skmetric.linear._from_tuples._pair_forms import pair_forms

_Floats = NDArray[np.float64]


class PairScatter(NamedTuple):
    """What pairs say of the spread inside classes and between them.

    Differences of two samples of a class have twice the covariance inside it, and those of two classes have
    twice the covariance of class means on top.
    """

    within: _Floats  # (n_features, n_features) half the mean square of differences of similar pairs
    between: _Floats  # the same of the other pairs, less `within`; its eigenvalues may be negative
    mean: _Floats  # (n_features,) of all rows, in a pair or not
    covariance: _Floats  # of all rows

    @property
    def inside(self) -> ClassScatter:
        """Statistics of classes whose covariance inside is `within`."""
        return ClassScatter(np.ones(1), self.mean[None], self.within, np.zeros(1))


def pair_scatter(rows: Any, pairs: NDArray[np.intp], similar: NDArray[np.bool_]) -> PairScatter:
    """Statistics of pairs of rows, in float64.

    Parameters
    ----------
    rows : ndarray or CSR array of shape (n_rows, n_features)
    pairs : ndarray of shape (n_pairs, 2)
        Row numbers.
    similar : ndarray of shape (n_pairs,)
        Whether the rows of a pair are of one class; both kinds occur.

    Returns
    -------
    PairScatter
    """
    half = [_half_square(rows, pairs[chosen]) for chosen in (similar, ~similar)]
    one_class = np.zeros(rows.shape[0], np.intp)
    total = class_scatter(rows, one_class, 1, None, lambda part: part.astype(np.float64))
    return PairScatter(half[0], half[1] - half[0], total.mean, total.covariance())


def solve_pairs(scatter: PairScatter, recipe: Recipe, turn: bool = False) -> Solution:
    """Closed form of such statistics; `turn` orders the rows of the map by variance."""
    whitening = whiten_pairs(scatter, recipe.chosen.within)
    mean = scatter.mean if recipe.chosen.center else np.zeros(len(scatter.mean))
    return solve_whitened(whitening, mean, lambda: scatter.covariance, recipe, turn)


def whiten_pairs(scatter: PairScatter, shrinkage: float) -> Whitening:
    """Solve the eigenproblem in all dimensions; negative variances are estimates of none."""
    factor, across = within_factor(scatter.inside, shrinkage)
    half = solve_triangular(factor, scatter.between, lower=True, check_finite=False)
    psi, directions = eigh(solve_triangular(factor, half.T, lower=True, check_finite=False))
    return Whitening(factor, np.maximum(psi, 0), directions, len(psi), across)


def _half_square(rows: Any, pairs: NDArray[np.intp]) -> _Floats:
    """Half the mean of difference difference^T, (n_features, n_features)."""
    return pair_forms(rows, pairs).scatter(np.full(len(pairs), 0.5 / len(pairs)))
