"""What float32 and float64 can tell apart, and the order of what they cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDE = 2.0**50  # coordinates of queries, in the gallery's scale, whose squares might overflow
_SIGMAS = 6.0  # of rounding error: see `slack_of`


def slack_of(norms: Any, squares: Any, largest: float, n_features: int) -> Any:
    """How close two float32 squares up to `squares` can be and yet stand in the wrong order.

    The product sums n_features terms of |q||g| in all and then adds |q|^2 and |g|^2. Its rounding errors
    behave like independent ones (Higham and Mary, SIAM J. Sci. Comput. 41, 2019), so they grow with the
    root of the number of terms; an item that near has |g| <= |q| + d.

    Parameters
    ----------
    norms : array or tensor
        Of the queries.
    squares : array or tensor, such that ``norms + squares`` can be computed
        Squared distances.
    largest : float
        The largest norm of an item.
    n_features : int
        Terms of a product.
    """
    g = (norms + squares**0.5).clip(max=largest)
    product = (n_features / 12) ** 0.5 * norms * g
    return _SIGMAS * 2.0**-24 * (product + (norms**2 + g**2) / 2 + squares)


def order_of_squares(
    squares: NDArray[np.float64], items: NDArray[np.intp], n_features: int, run: Any = 0
) -> NDArray[np.intp]:
    """Order of exact squared distances, those that are equal by the number of the item.

    Those that differ by no more than float64 rounds a sum of n_features terms count as equal: so do codes
    and quantised numbers that were scaled to unit length, whose distances are equal but for rounding.

    Parameters
    ----------
    squares : ndarray of shape (n,)
        As :meth:`Search.exact_squares` gives them.
    items : ndarray of shape (n,)
        Number of each item: its place in the gallery.
    n_features : int
        Terms of a sum.
    run : ndarray of shape (n,), default=0
        What goes before the distance: runs stay in their order, and apart.
    """
    run = np.broadcast_to(run, len(squares))
    order = np.lexsort((items, squares, run))
    sorted_squares, sorted_run = squares[order], run[order]
    step = np.diff(sorted_squares)
    limit = (4 + np.sqrt(n_features)) * 2.0**-52 * sorted_squares[1:]
    is_new = ~(step <= limit) | (np.diff(sorted_run) != 0)
    if not ((step > 0) & ~is_new).any():
        return order
    level = np.concatenate([[0], np.cumsum(is_new)])
    return order[np.lexsort((items[order], level))]


def power_of_two(largest: float) -> float:
    """Factor that brings `largest` below 1 and rounds nothing."""
    return 2.0 ** -int(np.clip(np.frexp(largest)[1], -1000, 1000)) if largest > 0 else 1.0
