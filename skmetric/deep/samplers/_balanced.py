"""Balanced batches: P classes x K samples."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import read_labels
from skmetric._input._weights import read_weights
from skmetric._warning import warn

from ._deck import Classes, WeightedClasses
from ._stream import StreamSampler


class BalancedBatchSampler(StreamSampler):
    """Batches of P classes x K samples, as pair and triplet losses need them [1]_.

    Every class is served before any class is served again, and so is every sample of a class. A class with
    fewer than K samples repeats them within the batch, and one warning says how many classes do.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        Label of each sample of the data set: numbers, strings or booleans.
    classes_per_batch : int, default=8
        P.
    samples_per_class : int, default=4
        K.
    steps_per_epoch : int, default=None
        Batches in an epoch; None is the number of samples over the size of a
        batch, rounded up: with classes of equal size, each sample comes once.
    seed : int, default=0
        Seed of the order. The same seed and epoch give the same batches.
    weights : array-like of shape (n_samples,), default=None
        How often samples are drawn, compared with others of their class, and classes, in proportion to the
        mean weight of their samples; but no class and no sample comes twice in a batch that can have others.
        Weights of classes are weights of samples that are equal within a class. 0 leaves a sample out. None:
        as above.

    Raises
    ------
    ValueError
        If there are fewer classes than `classes_per_batch`, or a count is below 1.

    See Also
    --------
    HierarchicalBatchSampler : Classes of a batch share a group.

    References
    ----------
    .. [1] A. Hermans, L. Beyer and B. Leibe, "In defense of the triplet loss for person re-identification",
       2017, arXiv:1703.07737.

    Examples
    --------
    >>> sampler = BalancedBatchSampler([0, 0, 1, 1, 2, 2], classes_per_batch=2, samples_per_class=2)
    >>> len(sampler), [len(batch) for batch in sampler]
    (2, [4, 4])
    """

    def __init__(
        self,
        labels: ArrayLike,
        classes_per_batch: int = 8,
        samples_per_class: int = 4,
        steps_per_epoch: int | None = None,
        seed: int = 0,
        weights: ArrayLike | None = None,
    ) -> None:
        self.labels = check_labels(labels)
        self.classes_per_batch = check_count("classes_per_batch", classes_per_batch)
        self.samples_per_class = check_count("samples_per_class", samples_per_class)
        self.weights = None if weights is None else read_weights(weights, len(self.labels), "labels")
        if self.weights is not None and (self.weights == self.weights[0]).all():
            self.weights = None
        drawn = self.labels if self.weights is None else self.labels[self.weights > 0]
        sizes = np.unique(drawn, return_counts=True)[1]
        if len(sizes) < classes_per_batch:
            raise ValueError(
                f"classes_per_batch={classes_per_batch}, but the labels name {len(sizes)} classes: lower it"
            )
        warn_of_small_classes(sizes, samples_per_class)
        size = classes_per_batch * samples_per_class
        steps = math.ceil(len(self.labels) / size) if steps_per_epoch is None else steps_per_epoch
        self.steps_per_epoch = check_count("steps_per_epoch", steps)
        self.seed = seed
        super().__init__()

    def _stream(self, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
        classes = (
            Classes(np.arange(len(self.labels)), self.labels, rng)
            if self.weights is None
            else WeightedClasses(self.labels, self.weights, rng)
        )
        while True:
            yield classes.deal(self.classes_per_batch, self.samples_per_class)


def check_labels(labels: ArrayLike, name: str = "labels") -> NDArray[Any]:
    """Labels as an array (n_samples,); integers stay integers."""
    read = read_labels(labels, name)
    if len(read) == 0:
        raise ValueError(f"{name} is empty: give one label for each sample, at least one")
    return read


def check_count(name: str, value: float) -> int:
    """A count from 1, as an int."""
    if int(value) != value or value < 1:
        raise ValueError(f"{name} must be a whole number from 1, got {value!r}")
    return int(value)


def warn_of_small_classes(sizes: NDArray[np.intp], samples_per_class: int) -> None:
    """One warning for all classes that repeat samples within a batch."""
    n_small = int((sizes < samples_per_class).sum())
    if n_small:
        warn(
            f"{n_small} of {len(sizes)} classes have fewer than samples_per_class={samples_per_class} "
            "samples: batches repeat samples of these classes. Lower samples_per_class to avoid this"
        )
