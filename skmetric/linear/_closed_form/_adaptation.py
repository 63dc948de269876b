"""Adaptation of the closed form to unlabelled samples of the pool that will be searched.

The training classes say how samples of a class differ, and the pool says along which directions its samples
differ at all: what is beyond the former is the spread of the pool's own classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve_triangular

from ._scatter import ClassScatter, class_scatter
from ._solution import Recipe, Solution, solve_whitened
from ._whitening import Whitening, within_factor

_MEAN_ROWS = 100.0  # pseudo-rows that hold the fitted mean
_MOST = 0.3  # share of the pool in the spread between classes
_HALF_WAY = 300.0  # rows of the pool at which it has half of that share


class Pool(NamedTuple):
    """Unlabelled samples: how many, their mean, and their covariance about it."""

    n_rows: int
    mean: NDArray[np.float64]  # (n_features,)
    covariance: NDArray[np.float64]  # (n_features, n_features)

    @classmethod
    def of(cls, X: Any, recipe: Recipe) -> Pool:
        """Statistics of rows, dense or sparse, under the power."""
        n_rows = X.shape[0]
        scatter = class_scatter(X, np.zeros(n_rows, np.intp), 1, None, recipe.prepare)
        return cls(n_rows, scatter.means[0], scatter.within / max(n_rows - 1, 1))

    @property
    def share(self) -> float:
        """Share of the pool in the spread between classes: none without rows, 0.3 with many."""
        return _MOST * self.n_rows / (self.n_rows + _HALF_WAY) if self.n_rows > 1 else 0.0


def adapt(scatter: ClassScatter, pool: Pool, recipe: Recipe) -> Solution:
    """Closed form whose centre and psi are moved towards a pool.

    With Sw = L L', psi is that of ``(1 - r) Sb + r (T - Sw)``, whitened by L: T is the covariance of the pool
    and r the share above. Negative variances are estimates of none.
    """
    factor, across = within_factor(scatter, recipe.chosen.within)
    spread = scatter.mean_deviations()
    between = (1 - pool.share) * spread.T @ spread
    between += pool.share * (pool.covariance - scatter.within_covariance())
    half = solve_triangular(factor, between, lower=True, check_finite=False)
    psi, directions = eigh(solve_triangular(factor, half.T, lower=True, check_finite=False))
    whitening = Whitening(factor, np.maximum(psi, 0), directions, scatter.dimension, across)
    return solve_whitened(whitening, _mean(scatter, pool, recipe), scatter.covariance, recipe)


def _mean(scatter: ClassScatter, pool: Pool, recipe: Recipe) -> NDArray[np.float64]:
    """The fitted mean, moved to that of the pool the more rows it has."""
    if not recipe.chosen.center:
        return np.zeros(len(scatter.within))
    weight = pool.n_rows / (pool.n_rows + _MEAN_ROWS)
    mean: NDArray[np.float64] = (1 - weight) * scatter.mean + weight * pool.mean
    return mean
