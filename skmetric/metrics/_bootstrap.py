"""Percentile bootstrap."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

_CHUNK_BYTES = 2**22  # of resampling weights held at a time


def as_generator(random_state: Any) -> np.random.Generator:
    """A numpy Generator (three times as fast here) seeded from what scikit-learn calls a random state."""
    return np.random.default_rng(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def resampled_means(
    values: NDArray[np.float64],
    n_resamples: int,
    rng: np.random.Generator,
    codes: NDArray[np.intp] | None = None,
) -> NDArray[np.float64]:
    """Means of `values` (n_scores, n) over `n_resamples` samples of columns drawn with replacement.

    With `codes` (n,), from 0, whole classes are drawn, each with all its columns: the mean of a sample is the
    sum over the columns drawn, over their number, so that sums and sizes of classes are all that it needs.

    How often one is drawn is shared by all scores, so that they can be compared, and the means are one
    matrix product a chunk: O(n_resamples * n_drawn * n_scores) time, a few MB.

    Returns
    -------
    ndarray of shape (n_resamples, n_scores)
    """
    if codes is None:
        sums, sizes = values.T, np.ones(values.shape[1])  # (n, n_scores), (n,)
    else:
        sums, sizes = class_sums(values, codes)
    n = len(sizes)
    means = np.empty((n_resamples, len(values)))
    step = max(_CHUNK_BYTES // (8 * n), 1)
    for start in range(0, n_resamples, step):
        out = means[start : start + step]
        drawn = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in out]).astype(np.float64)
        np.divide(drawn @ sums, (drawn @ sizes)[:, None], out=out)
    return means


def class_sums(
    values: NDArray[np.float64], codes: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of `values` (n_scores, n) by class, (n_classes, n_scores), and sizes of classes, (n_classes,)."""
    sums = np.stack([np.bincount(codes, weights=row) for row in values], axis=1)
    return sums.astype(np.float64), np.bincount(codes).astype(np.float64)


def percentile_interval(resampled: NDArray[np.float64], confidence_level: float) -> list[tuple[float, float]]:
    """Central interval of each column: a list of (low, high)."""
    tail = (1 - confidence_level) / 2
    return [tuple(pair) for pair in np.quantile(resampled, [tail, 1 - tail], axis=0).T.tolist()]
