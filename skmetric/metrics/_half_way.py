"""A threshold between two distances."""

from __future__ import annotations

import math


def half_way(accepted: float, refused: float) -> float:
    """A threshold between two distances: it accepts the smaller and refuses the larger.

    Half-way, or the smaller one where nothing lies between: neighbouring floats, whose rounded mean may be
    the larger, and an infinite larger one.

    Parameters
    ----------
    accepted, refused : float
        The smaller and the larger distance.

    Returns
    -------
    threshold : float
        ``accepted <= threshold < refused``; `accepted` where both are equal.
    """
    middle = accepted + (refused - accepted) / 2 if math.isfinite(refused) else accepted
    if math.isinf(middle):  # the difference of numbers of both signs overflowed
        middle = accepted / 2 + refused / 2
    return float(middle) if accepted <= middle < refused else float(accepted)
