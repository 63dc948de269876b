"""The unit of a first map: objectives over neighbours depend on it, and features come in any unit."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ._centred import Centred

_MULTIPLES = 2.0 ** np.arange(-2, 11)  # of the map under which squared distances are 1 in the mean
_ABOUT = 0.01  # share of the usual loss beyond the least: larger factors leave smaller gradients


def first_multiple(
    loss: Callable[[NDArray[np.float64]], float], components: NDArray[np.float64], rows: Centred
) -> float:
    """The smallest factor for which a map has about the least loss; 1 if it maps all rows to one point."""
    mean_square = 2 * float(rows.embed(components).var(axis=0, dtype=np.float64).sum())
    if not mean_square > 0:
        return 1.0
    factors = np.sqrt(_MULTIPLES / mean_square)
    losses = np.array([loss(factor * components) for factor in factors])
    about_least = losses <= losses.min() + _ABOUT * (np.median(losses) - losses.min())
    return float(factors[int(np.argmax(about_least))])
