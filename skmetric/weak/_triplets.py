"""Triplets from labels."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._by_class import by_class
from ._request import check_classes, check_count, default_count, generator, warn_of_fewer
from ._spaces import Triplets, draw


def sample_triplets(
    y: ArrayLike,
    n_triplets: int | None = None,
    *,
    unlabeled: Any = None,
    random_state: int | np.random.RandomState | None = None,
) -> NDArray[np.intp]:
    """Draw triplets of an anchor, another row of its class and a row of another class.

    Each row whose class has a second one is the anchor as often as any other, up to one time; before that,
    each class gets one triplet. No triplet comes twice.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Classes: numbers or strings. At least two classes, one of them with two rows.
    n_triplets : int, default=None
        Number of triplets; fewer, with a warning, if `y` has not so many. None: ten for each labelled row,
        but at most 50,000.
    unlabeled : object, default=None
        The value in `y` that marks rows without a label: these are in no triplet. None: every value in `y`
        is a class, -1 too.
    random_state : int, RandomState instance or None, default=None
        Draws the triplets. An int gives the same ones every time.

    Returns
    -------
    ndarray of shape (n_triplets, 3)
        Row numbers of anchor, positive and negative, in random order.

    Raises
    ------
    ValueError
        If `y` has one class, or no class with two rows, or if a parameter is out of range.

    See Also
    --------
    sample_pairs : Pairs of the same class and of two classes.
    FromLabels : A learner of triplets that is fitted on `X` and `y`.

    Examples
    --------
    >>> from skmetric.weak import sample_triplets
    >>> sorted(sample_triplets(["ant", "ant", "bee"], random_state=0).tolist())
    [[0, 1, 2], [1, 0, 2]]
    """
    rows = by_class(y, unlabeled)
    asked, rng = check_count("n_triplets", n_triplets), generator(random_state)
    check_classes(rows)
    drawn = draw(Triplets(rows), default_count(len(rows.rows)) if asked is None else asked, rng)
    warn_of_fewer("triplets", len(drawn), asked or 0)
    return rows.rows.take(drawn)
