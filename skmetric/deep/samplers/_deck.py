"""Dealing from a shuffled deck: everything is served before anything is served again."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._weighted import draw_by_weight, draw_distinct


class Deck:
    """Items in random order, shuffled anew when all are dealt."""

    def __init__(self, items, rng: np.random.Generator) -> None:
        self.items, self.rng = np.asarray(items), rng
        self.rest = rng.permutation(self.items)

    def deal(self, n):
        """The next `n` items, distinct if there are so many; else as even as can be."""
        hand = self.rest[:n]
        self.rest = self.rest[n:]
        while len(hand) < n:
            fresh = self.rng.permutation(self.items)
            if n <= len(self.items):  # what lies in the hand already waits for a later one
                waits = np.isin(fresh, hand)
                fresh = np.concatenate([fresh[~waits], fresh[waits]])
            missing = n - len(hand)
            hand, self.rest = np.concatenate([hand, fresh[:missing]]), fresh[missing:]
        return hand


class WeightedClasses:
    """Classes and their samples, drawn in proportion to weights, for each batch anew.

    The weight of a class is the mean weight of its samples.
    """

    def __init__(self, labels: ArrayLike, weights: NDArray[np.float64], rng: np.random.Generator) -> None:
        found, members = np.unique(labels, return_inverse=True)
        kept = np.flatnonzero(weights > 0)
        order = kept[np.argsort(members[kept], kind="stable")]
        bounds = np.cumsum(np.bincount(members[kept], minlength=len(found)))[:-1]
        self.members, self.weights, self.rng = np.split(order, bounds), weights, rng
        self.of_classes = np.bincount(members, weights) / np.bincount(members)

    def deal(self, n_classes: int, n_samples: int) -> NDArray[np.intp]:
        """Samples of the next classes, class by class: distinct ones, if the class has so many."""
        chosen = draw_distinct(self.of_classes, n_classes, self.rng)
        return np.concatenate([self._samples(self.members[c], n_samples) for c in chosen])

    def _samples(self, members: NDArray[np.intp], n: int) -> NDArray[np.intp]:
        weights = self.weights[members]
        distinct = len(members) >= n
        return members[
            draw_distinct(weights, n, self.rng) if distinct else draw_by_weight(weights, self.rng, n)
        ]


class Classes:
    """A deck for each class of some samples, and a deck of the classes."""

    def __init__(self, indices, labels: ArrayLike, rng: np.random.Generator) -> None:
        classes, members = np.unique(labels, return_inverse=True)
        order = np.argsort(members, kind="stable")
        bounds = np.cumsum(np.bincount(members, minlength=len(classes)))[:-1]
        self.decks = [Deck(part, rng) for part in np.split(np.asarray(indices)[order], bounds)]
        self.order = Deck(np.arange(len(classes)), rng)

    def deal(self, n_classes, n_samples):
        """Samples of the next classes, class by class."""
        return np.concatenate([self.decks[c].deal(n_samples) for c in self.order.deal(n_classes)])
