"""How many classes and samples a batch holds, and how many batches an epoch has."""

import math
import warnings

import numpy as np

from skmetric._warning import warn
from skmetric.deep.samplers import BalancedBatchSampler

_DEFAULT = 16, 64  # classes and samples, where nothing else is said


def make_batches(
    codes,
    classes_per_batch,
    samples_per_class,
    steps_per_epoch,
    seed,
    *,
    label_free=False,
    default=_DEFAULT,
    fewest_steps=1,
    weights=None,
):
    """Set up the sampler and the number of steps in an epoch.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Classes.
    classes_per_batch, samples_per_class, steps_per_epoch : int or None
        What the user asked for.
    seed : int
        Of the sampler.
    label_free : bool, default=False
        Whether each sample is a class, which `augment` gives a second view.
    default : tuple of (int, int), default=(16, 64)
        Classes and samples of a batch where the user did not ask.
    fewest_steps : int, default=1
        Least number of steps in an epoch where the user did not ask.
    weights : ndarray of shape (n_samples,), default=None
        By which samples and classes are drawn.

    Returns
    -------
    batches : BalancedBatchSampler
        Lists of row numbers.
    n_steps : int
        What was asked for, or so that an epoch draws as many samples as there are, and has the least number.
    """
    sizes = np.bincount(codes)
    sizes = sizes[sizes > 0]
    n_classes = len(sizes)
    if classes_per_batch is not None and classes_per_batch > n_classes:
        warn(
            f"classes_per_batch={classes_per_batch}, but there are {n_classes} classes to train on: batches "
            f"hold {n_classes}",
        )
    if label_free and samples_per_class not in (None, 1):
        raise ValueError(
            f"samples_per_class={samples_per_class}, but with two views each sample is a class "
            "of its own, drawn once: leave samples_per_class=None, and say in "
            "classes_per_batch how many a batch holds"
        )
    n_drawn, n_samples = default
    n_drawn = min(classes_per_batch or (n_samples if label_free else n_drawn), n_classes)
    n_each = (
        1 if label_free else samples_per_class or max(2, min(n_samples // n_drawn, int(np.median(sizes))))
    )
    n_steps = steps_per_epoch or max(fewest_steps, math.ceil(len(codes) / (n_drawn * n_each)))
    with warnings.catch_warnings():
        if samples_per_class is None:  # nobody asked for so many: that small classes repeat some is no news
            warnings.simplefilter("ignore")
        batches = BalancedBatchSampler(
            codes, n_drawn, n_each, steps_per_epoch=n_steps, seed=seed, weights=weights
        )
    return batches, n_steps
