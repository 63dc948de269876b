"""The closed form of one candidate: centre and map, from scatters or from samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric.base import centred_map, signed_power
from skmetric.linear._selection._candidates import Candidate
from skmetric.linear._selection._scoring import preparation

from ._scatter import ClassScatter, class_scatter, dense
from ._span import Span, span_of
from ._whitening import Whitening, components, principal, scales, whiten

Rows = Any  # an array or a CSR array, (n_samples, n_features)


class Recipe(NamedTuple):
    """What was chosen, and the parameters that nothing chooses."""

    chosen: Candidate
    weighting: str
    n_components: int | None

    def prepare(self, X: Rows) -> Rows:
        """Rows before they are centred, the power apart."""
        return preparation(self.chosen.normalize)(X)


class Solution(NamedTuple):
    """Centre and map, and the scale of the map across the span of the samples."""

    mean: NDArray[np.float64]  # (n_features,)
    components: NDArray[np.float64]  # (n_components, n_features)
    across: float


def solve(scatter: ClassScatter, recipe: Recipe, turn: bool = False) -> Solution:
    """Closed form of a scatter; `turn` orders the rows of the map by variance."""
    mean = scatter.mean if recipe.chosen.center else np.zeros(len(scatter.within))
    whitening = whiten(scatter, recipe.chosen.within)
    return solve_whitened(whitening, mean, scatter.covariance, recipe, turn)


def solve_whitened(
    whitening: Whitening,
    mean: NDArray[np.float64],
    covariance: Callable[[], NDArray[np.float64]],
    recipe: Recipe,
    turn: bool = False,
) -> Solution:
    """Closed form of a solved eigenproblem; the covariance of all samples orders the rows of the map."""
    chosen, weighting = recipe.chosen, recipe.weighting
    mapped = components(whitening, chosen.between, weighting, chosen.saturation)
    if turn or recipe.n_components is not None:
        mapped = principal(mapped, covariance(), recipe.n_components)
    rest, _ = scales(whitening, chosen.between, weighting, chosen.saturation)
    return Solution(mean, mapped, rest * whitening.across)


def solve_on(
    X: Rows,
    codes: NDArray[np.intp],
    weights: Rows | None,
    recipe: Recipe,
    n_features: int | None = None,
) -> tuple[Callable[[Rows], Rows], Rows]:
    """Closed form of some samples: what embeds, before the last normalisation, and the map."""
    classes, renumbered = np.unique(codes, return_inverse=True)
    scatter = class_scatter(X, renumbered, len(classes), weights, recipe.prepare)
    solution = solve(scatter._replace(n_features=n_features), recipe, turn=True)
    mean, mapped = solution.mean.astype(X.dtype), solution.components.astype(X.dtype)
    return lambda X: centred_map(recipe.prepare(X), mean, mapped), mapped


def powered_rows(X: Rows, power: float, n_components: int | None) -> tuple[Span | None, Rows, int | None]:
    """Rows under a power; in their span where fewer rows than features hold all directions that are kept.

    Sparse rows are made dense for their span: they are fewer than the rows of the scatter.

    Returns
    -------
    span : Span or None
    rows : ndarray of shape (n_samples, n_features) or (n_samples, n_rows)
    n_features : int or None
        Of the samples, where the rows are coordinates in fewer dimensions.
    """
    X = signed_power(X, power)
    span = span_of(dense(X)) if X.shape[0] < X.shape[1] else None
    if span is None or span.basis.shape[1] < (n_components or 0):
        return None, X, None
    return span, span.X, X.shape[1]


def lifted(solution: Solution, span: Span | None, n_components: int | None) -> Solution:
    """The solution in all features, of one in the span of the rows."""
    if span is None:
        return solution
    outside = solution.across if n_components is None else None
    mapped = span.lift(solution.components, outside)
    return Solution(span.basis @ solution.mean, mapped, solution.across)


def attributes_of(solution: Solution, dtype: Any) -> dict[str, Any]:
    """Fitted attributes that hold the map."""
    mapped = solution.components.astype(dtype)
    return {"mean_": solution.mean.astype(dtype), "components_": mapped, "n_components_": len(mapped)}
