"""Balanced batches from labels in two levels."""

import math

import numpy as np
from numpy.typing import ArrayLike

from ._balanced import check_count, check_labels, warn_of_small_classes
from ._deck import Classes, Deck
from ._stream import StreamSampler


class HierarchicalBatchSampler(StreamSampler):
    """Batches from a few groups of classes, so that their negatives are hard: siblings of the anchor's class.

    A batch holds G groups x P classes of each x K samples of each [1]_. Every group, every class of a group
    and every sample of a class is served before any is served again. A group with fewer than P classes
    gives those it has; a class with fewer than K samples repeats them, and one warning says how many
    classes do.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        Label of each sample of the data set.
    groups : array-like of shape (n_samples,)
        Group of each sample: the coarser label, such as the kind of product. A class lies in one group.
    groups_per_batch : int, default=2
        G.
    classes_per_group : int, default=4
        P.
    samples_per_class : int, default=4
        K.
    steps_per_epoch : int, default=None
        Batches in an epoch; None is as many as hold every sample once, were all of equal size.
    seed : int, default=0
        Seed of the order. The same seed and epoch give the same batches.

    Raises
    ------
    ValueError
        If a class lies in two groups, there are fewer groups than `groups_per_batch`, or a count is below 1.

    See Also
    --------
    BalancedBatchSampler : Classes of a batch are drawn from all.

    References
    ----------
    .. [1] X. Cai et al., "Dynamic metric learning: towards a scalable metric space to accommodate multiple
       semantic scales", CVPR 2021, batches of several scales.

    Examples
    --------
    >>> sampler = HierarchicalBatchSampler([0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 0, 0, 1, 1, 1, 1],
    ...                                    groups_per_batch=1, classes_per_group=2, samples_per_class=2)
    >>> [sorted(batch) in ([0, 1, 2, 3], [4, 5, 6, 7]) for batch in sampler]
    [True, True]
    """

    def __init__(
        self,
        labels: ArrayLike,
        groups: ArrayLike,
        groups_per_batch: int = 2,
        classes_per_group: int = 4,
        samples_per_class: int = 4,
        steps_per_epoch: int | None = None,
        seed: int = 0,
    ) -> None:
        self.labels, self.groups = check_labels(labels), check_labels(groups, "groups")
        self.groups_per_batch = check_count("groups_per_batch", groups_per_batch)
        self.classes_per_group = check_count("classes_per_group", classes_per_group)
        self.samples_per_class = check_count("samples_per_class", samples_per_class)
        _check_nesting(self.labels, self.groups)
        n_groups = len(np.unique(self.groups))
        if n_groups < groups_per_batch:
            raise ValueError(
                f"groups_per_batch={groups_per_batch}, but there are {n_groups} groups: lower it"
            )
        warn_of_small_classes(np.unique(self.labels, return_counts=True)[1], samples_per_class)
        size = groups_per_batch * classes_per_group * samples_per_class
        steps = math.ceil(len(self.labels) / size) if steps_per_epoch is None else steps_per_epoch
        self.steps_per_epoch = check_count("steps_per_epoch", steps)
        self.seed = seed
        super().__init__()

    def _stream(self, rng: np.random.Generator):
        names, members = np.unique(self.groups, return_inverse=True)
        indices = [np.flatnonzero(members == g) for g in range(len(names))]
        parts = [Classes(index, self.labels[index], rng) for index in indices]
        order = Deck(np.arange(len(names)), rng)
        while True:
            dealt = (parts[g] for g in order.deal(self.groups_per_batch))
            yield np.concatenate([self._deal(part) for part in dealt])

    def _deal(self, part):
        return part.deal(min(self.classes_per_group, len(part.decks)), self.samples_per_class)


def _check_nesting(labels: np.ndarray, groups: np.ndarray) -> None:
    if len(labels) != len(groups):
        raise ValueError(f"labels and groups must be of one length, got {len(labels)} and {len(groups)}")
    members, codes = np.unique(labels, return_inverse=True)
    group_codes = np.unique(groups, return_inverse=True)[1]
    first = np.zeros(len(members), dtype=np.int64)
    first[codes] = group_codes
    torn = np.unique(codes[first[codes] != group_codes])
    if len(torn):
        raise ValueError(
            f"class {str(members[torn[0]])!r} lies in more than one group ({len(torn)} classes do)"
        )
