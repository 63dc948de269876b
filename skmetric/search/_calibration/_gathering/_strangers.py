"""Codes of queries, strangers among them, and the options of the bootstrap over their classes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def with_strangers(codes: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Codes of labels `y`, with one code below 0 for each class of strangers: these can be drawn too."""
    absent = codes < 0
    codes = codes.astype(np.int64)
    codes[absent] = -1 - np.unique(y[absent], return_inverse=True)[1]
    return codes


def check_bootstrap(confidence_level: float, n_resamples: int) -> None:
    if not isinstance(confidence_level, Real) or not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must be between 0 and 1; got {confidence_level!r}")
    if not isinstance(n_resamples, Integral) or n_resamples < 1:
        raise ValueError(f"n_resamples must be an integer from 1; got {n_resamples!r}")
