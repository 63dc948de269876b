"""From the neighbours of a query to one class and one distance, which a threshold then accepts or refuses.

A matcher of neighbours has ``depth`` and ``match``, and ``votes`` if it takes votes; a matcher of prototypes
has ``prototypes``. An object of the user's own with these methods works as well as the matchers here.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple, Protocol, TypeAlias, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2


class Match(NamedTuple):
    """The class that each query is matched to and the distance that the threshold is compared with."""

    codes: NDArray  # (n_queries,), int
    distances: NDArray  # (n_queries,), float; smaller is surer


@runtime_checkable
class NeighborMatcher(Protocol):
    """Matches a query by its nearest items."""

    def depth(self, n_neighbors: int) -> int:
        """Neighbours to search for, from the search's `n_neighbors`; a small gallery gives fewer."""

    def match(self, distances: NDArray, codes: NDArray) -> Match:
        """Match queries by the distances and class codes of their neighbours.

        Both are (n_queries, k), nearest first. Where an approximate index found fewer, the distance is
        infinite and the code -1; a query that found nothing must get an infinite distance.
        """


@runtime_checkable
class PrototypeMatcher(Protocol):
    """Matches a query to the nearest prototype of a class."""

    def prototypes(self, embeddings: NDArray) -> NDArray:
        """Prototypes, (n_prototypes, n_features), of the items of one class, (n_items, n_features)."""


Matcher: TypeAlias = NeighborMatcher | PrototypeMatcher


@final
class Nearest:
    """The class of the nearest item, at its distance."""

    def depth(self, n_neighbors: int) -> int:
        """Neighbours to search for."""
        return 1

    def match(self, distances: NDArray, codes: NDArray) -> Match:
        """Match queries by their neighbours, both (n_queries, k), nearest first."""
        return Match(codes[:, 0], distances[:, 0])


@final
class Majority:
    """The class of most neighbours, ties to the nearer; at the distance of its nearest item."""

    def depth(self, n_neighbors: int) -> int:
        """Neighbours to search for."""
        return n_neighbors

    def match(self, distances: NDArray, codes: NDArray) -> Match:
        """Match queries by their neighbours, both (n_queries, k), nearest first."""
        return _elect(distances, codes, self.votes(distances))

    def votes(self, distances: NDArray) -> NDArray:
        """The weight of each neighbour: 1, or 0 at infinity, where an index found nothing."""
        return np.isfinite(distances).astype(distances.dtype)


@final
class DistanceVote:
    """Neighbours vote with the inverse of their distance; at the distance of the winner's nearest item.

    An item at distance 0 has all of the vote, shared with others at 0.
    """

    def depth(self, n_neighbors: int) -> int:
        """Neighbours to search for."""
        return n_neighbors

    def match(self, distances: NDArray, codes: NDArray) -> Match:
        """Match queries by their neighbours, both (n_queries, k), nearest first."""
        return _elect(distances, codes, self.votes(distances))

    def votes(self, distances: NDArray) -> NDArray:
        """The weight of each neighbour."""
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = distances[:, :1] / distances  # the nearest has 1: no overflow
        return np.where(distances[:, :1] > 0, relative, distances == 0)


@final
class Ratio:
    """The class of the nearest item, at the ratio of its distance to that of the nearest of another class.

    The ratio is between 0 (sure) and 1 (two classes as near) [1]_; where all neighbours are of one class, the
    distance of the last one is used instead, so that the ratio is not too small.

    References
    ----------
    .. [1] D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 7.1.
    """

    def depth(self, n_neighbors: int) -> int:
        """Neighbours to search for."""
        return max(n_neighbors, 2)

    def match(self, distances: NDArray, codes: NDArray) -> Match:
        """Match queries by their neighbours, both (n_queries, k), nearest first."""
        there = np.isfinite(distances)  # an approximate index may have found fewer
        other = (codes != codes[:, :1]) & there
        second = np.where(other.any(axis=1), other.argmax(axis=1), np.maximum(there.sum(axis=1) - 1, 0))
        to_other = np.take_along_axis(distances, second[:, None], axis=1)[:, 0]
        nearest = distances[:, 0]
        found = np.isfinite(nearest)  # an approximate index may find nothing for a query
        unsure = np.where(found, 1.0, np.inf)
        ratio = np.divide(nearest, to_other, out=unsure, where=found & (to_other > 0))
        return Match(codes[:, 0], ratio)


@final
@dataclass(frozen=True)
class ClassCenters:
    """The class of the nearest centre, at its distance; one or several centres a class.

    Several centres are those of k-means on the items of a class; a class of no more items than that keeps
    them. With `n_best` the centre is a template: the mean of the best few of several photos of a person.

    Parameters
    ----------
    n_centers : int, default=1
        Centres of each class, from 1.
    n_best : int, default=None
        Number of items of a class that its centre is the mean of: those nearest to the median of the class,
        taken in each dimension, so that a bad photo or a wrong label does not move it. A class of no more
        items is averaged whole. None takes the mean of all, which on real galleries was the better centre
        even with a fifth of the labels drawn at random: measure before you use it. Only with one centre.

    Raises
    ------
    ValueError
        If a parameter is not an integer from 1, or `n_best` is given beside several centres.

    See Also
    --------
    SimilaritySearch : Takes it as its matcher.

    Examples
    --------
    >>> from skmetric.search import ClassCenters, SimilaritySearch
    >>> X, y = [[0.0], [4.0], [5.0], [5.2]], ["a", "a", "b", "b"]
    >>> SimilaritySearch(matcher=ClassCenters()).fit(X, y).predict([[3.8]])  # centres at 2 and 5.1
    array(['b'], dtype='<U1')
    >>> X, y = [[0.0], [0.2], [9.0], [5.0], [5.2]], ["a", "a", "a", "b", "b"]  # the third is a bad photo
    >>> SimilaritySearch(matcher=ClassCenters(n_best=2)).fit(X, y).predict([[2.0]])  # centres at 0.1 and 5.1
    array(['a'], dtype='<U1')
    """

    n_centers: int = 1
    n_best: int | None = None

    def __post_init__(self) -> None:
        for name in ("n_centers", "n_best"):
            value = getattr(self, name)
            is_whole = isinstance(value, Integral) and not isinstance(value, bool)
            if (value is not None or name == "n_centers") and (not is_whole or value < 1):
                raise ValueError(f"{name} must be an integer from 1; got {value!r}")
        if self.n_best is not None and self.n_centers > 1:
            raise ValueError(
                f"n_best={self.n_best} makes one centre of the best items, and n_centers={self.n_centers} "
                "asks for several: give one of them"
            )

    def prototypes(self, embeddings: NDArray) -> NDArray:
        """Compute the centres of the items of one class.

        Parameters
        ----------
        embeddings : ndarray of shape (n_items, n_features)
            Of the items.

        Returns
        -------
        ndarray of shape (n_centers, n_features)
            Fewer where items coincide.
        """
        if self.n_best is not None and len(embeddings) > self.n_best:
            embeddings = embeddings[_nearest_to_median(embeddings, self.n_best)]
        if self.n_centers == 1:
            return embeddings.mean(axis=0, keepdims=True, dtype=np.float64)
        if len(embeddings) <= self.n_centers:
            return embeddings.astype(np.float64)
        start = embeddings[_spread(embeddings, self.n_centers)].astype(np.float64)
        centers, nearest = kmeans2(embeddings.astype(np.float64), start, minit="matrix", missing="warn")
        return centers[np.unique(nearest)]


def _nearest_to_median(embeddings: NDArray, n: int) -> NDArray[np.intp]:
    """Rows of the `n` embeddings nearest to the median of each dimension."""
    distance = np.linalg.norm(embeddings - np.median(embeddings, axis=0), axis=1)
    return np.argsort(distance, kind="stable")[:n]


def _spread(embeddings, n):
    """Rows far from each other: the one farthest from the mean, then each farthest from those before it."""
    distance = np.linalg.norm(embeddings - embeddings.mean(axis=0), axis=1)
    chosen = [int(distance.argmax())]
    distance = np.linalg.norm(embeddings - embeddings[chosen[0]], axis=1)
    while len(chosen) < n and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(embeddings - embeddings[chosen[-1]], axis=1))
    return chosen


MATCHERS: dict[str, type] = {
    "nearest": Nearest,
    "majority": Majority,
    "distance": DistanceVote,
    "center": ClassCenters,
    "ratio": Ratio,
}

BY_ITEM = (Nearest, Majority, DistanceVote)  # their threshold is a distance to an item


def make_matcher(matcher: str | Matcher) -> Matcher:
    """The matcher of a name, or the one given."""
    return MATCHERS[matcher]() if isinstance(matcher, str) else matcher


def _elect(distances, codes, votes):
    """The class with the largest sum of votes, ties to the nearer; at the distance of its nearest item."""
    sums = np.stack([(votes * (codes == codes[:, [j]])).sum(axis=1) for j in range(codes.shape[1])], axis=1)
    # equal votes added in another order differ in their last digits: these sums are ties
    winner = np.argmax(sums >= sums.max(axis=1, keepdims=True) * (1 - 1e-12), axis=1)  # its nearest item
    rows = np.arange(len(codes))
    return Match(codes[rows, winner], distances[rows, winner])
