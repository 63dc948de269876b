"""Mini-batches in which rows have partners of their class, and the steps that they are taken by."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_GROUP = 8  # rows of a class that stay together


def grouped_batches(
    codes: NDArray[np.intp], batch_size: int, rng: np.random.RandomState
) -> Iterator[NDArray[np.intp]]:
    """Yield batches of row numbers, sorted by class: all rows once, in groups of rows of a class.

    A batch of rows drawn one by one would hold few rows of a class where classes are many.
    """
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]  # rows of a class together, in random order
    sizes = np.unique(codes, return_counts=True)[1]
    place = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # in the class
    group = np.cumsum((place % _GROUP) == 0) - 1
    shuffled = rng.permutation(group[-1] + 1)[group]
    order = order[np.argsort(shuffled, kind="stable")]
    for rows in np.array_split(order, max(1, round(len(order) / batch_size))):
        yield rows[np.argsort(codes[rows], kind="stable")]


class Adam(NamedTuple):
    """Running moments of the gradient (Kingma and Ba, ICLR 2015)."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    n_steps: int = 0

    @classmethod
    def zeros(cls, shape: tuple[int, ...]) -> "Adam":
        """Before the first step."""
        return cls(np.zeros(shape), np.zeros(shape))

    def step(
        self, components: NDArray[np.float64], gradient: NDArray[np.floating], rate: float
    ) -> "tuple[Adam, NDArray[np.float64]]":
        """Moments and map after a step of `rate` times the mean size of the entries of the map."""
        first = 0.9 * self.first + 0.1 * gradient
        second = 0.99 * self.second + 0.01 * np.square(gradient, dtype=np.float64)
        n_steps = self.n_steps + 1
        direction = first / (1 - 0.9**n_steps) / (np.sqrt(second / (1 - 0.99**n_steps)) + 1e-30)
        size = np.sqrt(np.mean(np.square(components)))
        return Adam(first, second, n_steps), components - rate * size * direction
