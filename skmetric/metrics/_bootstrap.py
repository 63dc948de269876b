"""Percentile bootstrap."""

import numpy as np
from sklearn.utils import check_random_state

_CHUNK_BYTES = 2**22  # of resampling weights held at a time


def as_generator(random_state):
    """A numpy Generator (three times as fast here) seeded from what scikit-learn calls a random state."""
    return np.random.default_rng(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def resampled_means(values, n_resamples, rng):
    """Means of `values` (n_scores, n) over `n_resamples` samples of n columns drawn with replacement.

    How often a column is drawn is shared by all scores, so that they can be compared, and the means are one
    matrix product a chunk: O(n_resamples * n * n_scores) time, a few MB.

    Returns
    -------
    ndarray of shape (n_resamples, n_scores)
    """
    n = values.shape[1]
    means = np.empty((n_resamples, len(values)))
    step = max(_CHUNK_BYTES // (8 * n), 1)
    for start in range(0, n_resamples, step):
        out = means[start : start + step]
        counts = np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in out])
        np.divide(counts.astype(np.float64) @ values.T, n, out=out)
    return means


def percentile_interval(resampled, confidence_level):
    """Central interval of each column: a list of (low, high)."""
    tail = (1 - confidence_level) / 2
    return [tuple(pair) for pair in np.quantile(resampled, [tail, 1 - tail], axis=0).T.tolist()]
