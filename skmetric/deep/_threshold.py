"""The threshold on distance that decides about pairs."""

import numpy as np


def choose_threshold(distances, similar, max_false_accept_rate=None):
    """Largest distance to take for similar: of the best balanced accuracy, or within a rate of false accepts.

    Parameters
    ----------
    distances : ndarray of shape (n_pairs,)
        Of pairs.
    similar : ndarray of shape (n_pairs,), bool
        Which are similar; both kinds occur.
    max_false_accept_rate : float, default=None
        In [0, 1]; None balances.

    Returns
    -------
    float
        Half-way to the next distance, where counts are the same.
    """
    if max_false_accept_rate is not None and not 0 <= max_false_accept_rate <= 1:
        raise ValueError(f"max_false_accept_rate must be from 0 to 1; got {max_false_accept_rate!r}")
    order = np.argsort(distances, kind="stable")
    accepted = np.concatenate([[0], np.cumsum(similar[order])]) / similar.sum()  # after each pair in order
    wrongly = np.concatenate([[0], np.cumsum(~similar[order])]) / (~similar).sum()
    ends = np.concatenate([[np.nextafter(distances.min(), -np.inf)], distances[order]])
    last = np.append(ends[1:] > ends[:-1], True)  # of equal distances all are accepted or none
    value = accepted - wrongly
    if max_false_accept_rate is not None:
        value = np.where(wrongly <= max_false_accept_rate, accepted, -1)
    best = int(np.argmax(np.where(last, value, -2)))
    after = ends[best + 1] if best + 1 < len(ends) else ends[best]
    return float((ends[best] + after) / 2) if best else float(ends[0])
