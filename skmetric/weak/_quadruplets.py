"""Quadruplets from labels."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._by_class import by_class
from ._request import check_classes, check_count, default_count, generator, warn_of_fewer
from ._spaces import Quadruplets, draw


def sample_quadruplets(
    y: ArrayLike,
    n_quadruplets: int | None = None,
    *,
    unlabeled: Any = None,
    random_state: int | np.random.RandomState | None = None,
) -> NDArray[np.intp]:
    """Draw quadruplets of a pair of one class and a pair of two classes: the first should be nearer.

    The pairs are drawn as :func:`sample_pairs` draws them. No quadruplet comes twice.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Classes: numbers or strings. At least two classes, one of them with two rows.
    n_quadruplets : int, default=None
        Number of quadruplets; fewer, with a warning, if `y` has not so many. None: ten for each labelled
        row, but at most 50,000.
    unlabeled : object, default=None
        The value in `y` that marks rows without a label: these are in no quadruplet. None: every value in
        `y` is a class, -1 too.
    random_state : int, RandomState instance or None, default=None
        Draws the quadruplets. An int gives the same ones every time.

    Returns
    -------
    ndarray of shape (n_quadruplets, 4)
        Row numbers: the first two are of one class, the last two of two classes. In random order.

    Raises
    ------
    ValueError
        If `y` has one class, or no class with two rows, or if a parameter is out of range.

    See Also
    --------
    sample_pairs : Pairs of the same class and of two classes.
    FromLabels : A learner of quadruplets that is fitted on `X` and `y`.

    Examples
    --------
    >>> from skmetric.weak import sample_quadruplets
    >>> sorted(sample_quadruplets(["ant", "ant", "bee"], random_state=0).tolist())
    [[0, 1, 0, 2], [0, 1, 1, 2]]
    """
    rows = by_class(y, unlabeled)
    asked, rng = check_count("n_quadruplets", n_quadruplets), generator(random_state)
    check_classes(rows)
    drawn = draw(Quadruplets(rows), default_count(len(rows.rows)) if asked is None else asked, rng)
    warn_of_fewer("quadruplets", len(drawn), asked or 0)
    return rows.rows.take(drawn)
