"""Pairs from labels."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._by_class import by_class
from ._request import check_classes, check_count, check_share, default_count, generator, warn_of_fewer
from ._spaces import DissimilarPairs, SimilarPairs, draw


def sample_pairs(
    y: ArrayLike,
    n_pairs: int | None = None,
    *,
    similar: float = 0.5,
    unlabeled: Any = None,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Draw pairs of rows of the same class and of two classes, for learners that fit on pairs.

    Each labelled row is the first member of a pair as often as any other, up to one time; before that, each
    class gets one pair of each kind. No pair comes twice, in either order.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Classes: numbers or strings. At least two classes, one of them with two rows.
    n_pairs : int, default=None
        Number of pairs; fewer, with a warning, if `y` has not so many. None: ten for each labelled row, but
        at most 50,000.
    similar : float, default=0.5
        Share of the pairs whose rows are of the same class, from 0 to 1.
    unlabeled : object, default=None
        The value in `y` that marks rows without a label, such as -1 or "unknown": these are in no pair. None:
        every value in `y` is a class, -1 too.
    random_state : int, RandomState instance or None, default=None
        Draws the pairs. An int gives the same pairs every time.

    Returns
    -------
    pairs : ndarray of shape (n_pairs, 2)
        Row numbers, in random order.
    y_pairs : ndarray of shape (n_pairs,)
        1 for the same class, else -1.

    Raises
    ------
    ValueError
        If `y` has one class, or no class with two rows, or if a parameter is out of range.

    See Also
    --------
    sample_triplets : An anchor, a row of its class and a row of another class.
    FromLabels : A learner of pairs that is fitted on `X` and `y`.

    Examples
    --------
    >>> from skmetric.weak import sample_pairs
    >>> pairs, y_pairs = sample_pairs(["ant", "ant", "bee", "bee"], 4, random_state=0)
    >>> sorted(y_pairs.tolist())
    [-1, -1, 1, 1]
    """
    share = check_share("similar", similar)
    rows = by_class(y, unlabeled)
    asked, rng = check_count("n_pairs", n_pairs), generator(random_state)
    n = default_count(len(rows.rows)) if asked is None else asked
    check_classes(rows, needs_partner=share > 0, needs_stranger=share < 1)
    n_similar = round(n * share)
    near = draw(SimilarPairs(rows), n_similar, rng) if share > 0 else np.empty((0, 2), np.intp)
    far = draw(DissimilarPairs(rows), n - n_similar, rng) if share < 1 else np.empty((0, 2), np.intp)
    kinds = f"{len(near)} pairs of one class and {len(far)} of two classes"
    warn_of_fewer(f"pairs ({kinds})", len(near) + len(far), asked or 0)
    order = rng.permutation(len(near) + len(far))
    y_pairs = np.repeat([1, -1], [len(near), len(far)])
    pairs = rows.rows.take(np.concatenate([near, far]))  # (n_pairs, 2), similar ones first
    return pairs.take(order, axis=0), y_pairs.take(order)
