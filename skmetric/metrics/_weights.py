"""Weights of queries, as they come in."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_finite_rows, name_rows


def check_weights(sample_weight: ArrayLike, n_samples: int) -> NDArray[np.float64]:
    """Weights from 0, one a row; a ValueError names the rows that are wrong."""
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_samples,):
        raise ValueError(
            f"sample_weight has shape {weights.shape} for {n_samples} rows: give one number for each row"
        )
    check_finite_rows(weights, "sample_weight")
    negative = np.flatnonzero(weights < 0)
    if len(negative):
        raise ValueError(f"sample_weight is negative in {name_rows(negative)}: give weights from 0")
    return weights
