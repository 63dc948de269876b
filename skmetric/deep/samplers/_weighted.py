"""Draws by weight: systematic sampling, in which counts differ from what weights say by less than one."""

import numpy as np
from numpy.typing import NDArray


def draw_by_weight(
    weights: NDArray[np.float64], rng: np.random.Generator, n: int | None = None
) -> NDArray[np.intp]:
    """Draw numbers; the expected count of each is in proportion to its weight.

    A number comes as often as its share of the weights says, rounded down or up. Equal weights draw each
    number once.

    Parameters
    ----------
    weights : ndarray of shape (n_weights,)
        From 0, not all 0.
    rng : Generator
        Of the order, and of what is rounded up.
    n : int, default=None
        How many to draw; None is as many as there are weights.

    Returns
    -------
    ndarray of shape (n,)
        Numbers from 0 to below n_weights, in random order.
    """
    n = len(weights) if n is None else n
    order = rng.permutation(len(weights))
    if n == len(weights) and (weights == weights[0]).all():
        return order
    upto = np.cumsum(weights[order] / weights.max())  # of the largest, so that no sum is infinite
    upto = np.floor(upto * (n / upto[-1]) + rng.random())
    upto[-1] = n
    counts = np.diff(np.minimum(upto, n), prepend=0).astype(np.intp)
    return rng.permutation(np.repeat(order, counts))


def draw_distinct(weights: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw `n` distinct numbers, each with a chance in proportion to its weight, at most 1.

    Parameters
    ----------
    weights : ndarray of shape (n_weights,)
        From 0; at least `n` are above.
    n : int
        How many.
    rng : Generator
        Of the draw.

    Returns
    -------
    ndarray of shape (n,)
        Numbers from 0 to below n_weights, in random order.
    """
    weights, sure = weights / weights.max(), np.zeros(len(weights), dtype=bool)
    while True:  # whose share is above 1 is drawn for sure, and the others share what is left
        left = n - int(sure.sum())
        rest = weights[~sure].sum()
        above = ~sure & (weights * left > rest) if left else np.zeros_like(sure)
        if not above.any():
            break
        sure |= above
    others = np.flatnonzero(~sure & (weights > 0))
    drawn = others[draw_by_weight(weights[others], rng, left)] if left else others[:0]
    return rng.permutation(np.concatenate([np.flatnonzero(sure), drawn]))
