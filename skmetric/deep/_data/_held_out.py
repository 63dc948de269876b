"""Classes that training holds out, to score on."""

import math

import numpy as np

from skmetric.model_selection import ClassDisjointShuffleSplit

AUTO = "auto"
_DEFAULT = 0.2  # share of classes held out where nothing else is said
_ENOUGH = 16  # classes with two samples, from which on some are held out without being asked for


def split_classes(codes, fraction, early_stopping, seed):
    """Rows to train on and rows of other classes to score.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Classes from 0.
    fraction : float, "auto" or None
        Share of the classes to score on, at least two. None is 0.2 with early stopping, else 0. "auto" is 0.2
        with early stopping or from 16 classes on, else 0.
    early_stopping : bool
        Whether training stops by the score.
    seed : int
        Draws the classes.

    Returns
    -------
    ndarray
        Row numbers; the second is empty where nothing is held out.
    """
    if fraction == AUTO:
        paired = np.bincount(codes)[codes] > 1
        if not early_stopping and len(np.unique(codes[paired])) >= _ENOUGH:
            return _among(np.flatnonzero(paired), codes, seed)
    if fraction is None or fraction == AUTO:
        fraction = _DEFAULT if early_stopping else 0.0
    if fraction == 0:
        if early_stopping:
            raise ValueError("early_stopping=True needs classes to score on: validation_fraction is 0")
        return np.arange(len(codes)), np.empty(0, dtype=int)
    n_classes = codes.max() + 1
    if n_classes < 4:
        raise ValueError(
            f"y has {n_classes} classes; validation_fraction={fraction:g} needs two to train on and two to "
            "score on, four in all: use validation_fraction=0 and early_stopping=False"
        )
    n_held_out = min(max(2, math.ceil(fraction * n_classes)), n_classes - 2)
    splitter = ClassDisjointShuffleSplit(1, test_size=n_held_out, random_state=seed)
    return next(splitter.split(codes, codes))


def _among(rows, codes, seed):
    """Hold out classes of these rows, whose classes can be scored; all other rows are trained on."""
    _, own = np.unique(codes[rows], return_inverse=True)
    _, held_out = split_classes(own, _DEFAULT, False, seed)
    held_out = rows[held_out]
    return np.setdiff1d(np.arange(len(codes)), held_out), held_out
