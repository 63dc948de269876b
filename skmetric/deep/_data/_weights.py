"""Weights of samples or of tuples: how often each is drawn, compared with the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import as_array


def read_weights(sample_weight: ArrayLike, n: int, what: str) -> NDArray[np.float64]:
    """Weights (n,) from 0, finite and not all 0.

    Parameters
    ----------
    sample_weight : array-like
        As given.
    n : int
        How many there must be.
    what : str
        What they are of, in the plural.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    try:
        weights = np.asarray(as_array(sample_weight), dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"sample_weight must hold a number for each of the {n} {what}; got {sample_weight!r:.60}"
        ) from None
    if weights.shape != (n,):
        raise ValueError(
            f"sample_weight must have shape ({n},), a number for each of the {what}; got {weights.shape}"
        )
    wrong = ~np.isfinite(weights) | (weights < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"sample_weight[{row}] is {weights[row]:g}: weights are finite numbers from 0, which leaves out "
            f"({wrong.sum()} of {n} are not)"
        )
    if not weights.any():
        raise ValueError("sample_weight is 0 for all: nothing is left to train on")
    return weights


def read_weights_of(sample_weight: ArrayLike | None, n: int, what: str) -> NDArray[np.float64] | None:
    """The same, where there may be none."""
    return None if sample_weight is None else read_weights(sample_weight, n, what)


def draw_by_weight(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw as many numbers as there are weights: the expected count of each is in proportion to its weight.

    Systematic sampling: a number comes as often as its weight over the mean weight says, rounded down or up.
    Equal weights draw each number once.

    Parameters
    ----------
    weights : ndarray of shape (n,)
        From 0, not all 0.
    rng : Generator
        Of the order, and of what is rounded up.

    Returns
    -------
    ndarray of shape (n,)
        Numbers from 0 to below n, in random order.
    """
    n = len(weights)
    order = rng.permutation(n)
    if (weights == weights[0]).all():
        return order
    upto = np.cumsum(weights[order] / weights.max())  # of the largest, so that no sum is infinite
    upto = np.floor(upto * (n / upto[-1]) + rng.random())
    upto[-1] = n
    counts = np.diff(np.minimum(upto, n), prepend=0).astype(np.intp)
    return rng.permutation(np.repeat(order, counts))
