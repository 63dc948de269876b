"""Weights of samples, tuples or queries, as they come in."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import as_array


def check_weights(sample_weight: ArrayLike, n: int, what: str) -> NDArray[np.float64]:
    """Weights (n,) from 0, all finite.

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
            f"sample_weight[{row}] is {weights[row]:g}: weights must be finite numbers, 0 or larger "
            f"({wrong.sum()} of {n} are not)"
        )
    return weights


def read_weights(sample_weight: ArrayLike, n: int, what: str) -> NDArray[np.float64]:
    """The same of what is trained on, over the largest: only ratios count, and no sum is infinite.

    Raises an error if all are 0.
    """
    weights = check_weights(sample_weight, n, what)
    if not weights.any():
        raise ValueError("sample_weight is zero for all: at least one must be above 0")
    return weights / weights.max()


def read_weights_of(sample_weight: ArrayLike | None, n: int, what: str) -> NDArray[np.float64] | None:
    """The same, where there may be none."""
    return None if sample_weight is None else read_weights(sample_weight, n, what)


def check_both_kinds(similar: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> None:
    """Refuse weights that leave only similar pairs, or none of them."""
    left = similar if weights is None else similar[weights > 0]
    if left.all() or not left.any():
        raise ValueError(
            f"sample_weight leaves out all pairs that are {'not ' if left.all() else ''}similar: a weight "
            "above 0 is needed for some pairs of both kinds"
        )
