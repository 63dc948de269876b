"""The contract of a miner: ``miner(distances, labels)`` says which tuples of a batch count.

``distances`` (n_anchors, n_others) holds the distance of each anchor from each sample, the smaller the
nearer; ``labels`` (n_others,) are those of the samples, and the anchors are the first of them: an anchor
and its own column are no pair. With ``anchor_labels`` (n_anchors,) the anchors are not among the samples: a
loss passes it where it is called with references. The answer is `Pairs` or `Triplets`. A loss takes any
callable with this contract.

A miner with an attribute `distance` that is not None gets distances of that kind; others get those that the
loss compares by.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from skmetric._documented import DocumentedMixin
from skmetric._params import StrOptions
from skmetric._sklearn import BaseEstimator

# what the parameter `distance` of a miner may be; losses say what the names mean
DISTANCE: list[Any] = [
    StrOptions({"euclidean", "squared_euclidean", "cosine", "dot_product"}),
    callable,
    None,
]


class Pairs(NamedTuple):
    """The pairs that count, as masks: a triplet loss takes every positive with every negative of an anchor.

    What a miner of pairs returns, and what a loss of pairs is given.

    Parameters
    ----------
    positive : bool Tensor of shape (n_anchors, n_others)
        Pairs to pull together.
    negative : bool Tensor of shape (n_anchors, n_others)
        Pairs to push apart.

    See Also
    --------
    Triplets : What miners of triplets return.

    Examples
    --------
    >>> import torch
    >>> Pairs(positive=torch.eye(2, dtype=torch.bool), negative=torch.zeros(2, 2, dtype=torch.bool))
    Pairs(positive=tensor([[ True, False],
            [False,  True]]), negative=tensor([[False, False],
            [False, False]]))
    """

    positive: torch.Tensor
    negative: torch.Tensor


class Triplets(NamedTuple):
    """The triplets that count, as rows and columns of the distances; no more than there are pairs.

    A pair loss takes the pairs that occur, each once.

    Parameters
    ----------
    anchor : int64 Tensor of shape (n_triplets,)
        Rows.
    positive : int64 Tensor of shape (n_triplets,)
        Columns with the anchor's label.
    negative : int64 Tensor of shape (n_triplets,)
        Columns with another label.

    See Also
    --------
    Pairs : What miners of pairs return.

    Examples
    --------
    >>> import torch
    >>> Triplets(torch.tensor([0]), torch.tensor([1]), torch.tensor([2])).negative
    tensor([2])
    """

    anchor: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor


class Miner(DocumentedMixin, BaseEstimator, ABC):
    """A choice of tuples; a subclass writes ``_mine(distances, positive, negative)``."""

    distance: str | Callable[..., torch.Tensor] | None = None

    def __call__(
        self, distances: torch.Tensor, labels: torch.Tensor, anchor_labels: torch.Tensor | None = None
    ) -> Pairs | Triplets:
        same = (labels[: len(distances)] if anchor_labels is None else anchor_labels)[:, None] == labels[None]
        positive = same.clone()
        if anchor_labels is None:
            positive.fill_diagonal_(False)
        with torch.no_grad():
            return self._mine(distances, positive, ~same)

    @abstractmethod
    def _mine(
        self, distances: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> Pairs | Triplets:
        """Pairs or Triplets among the positive and negative pairs."""


def as_pairs(tuples, distances: torch.Tensor):
    """The pairs that occur in tuples."""
    if isinstance(tuples, Pairs):
        return tuples
    positive = torch.zeros(distances.shape, dtype=torch.bool, device=distances.device)
    negative = positive.clone()
    positive[tuples.anchor, tuples.positive] = True
    negative[tuples.anchor, tuples.negative] = True
    return Pairs(positive, negative)


def one_per_row(scores: torch.Tensor, mask: torch.Tensor):
    """Mask of the smallest score in each row among those that `mask` marks; none where it marks none."""
    best = scores.masked_fill(~mask, torch.inf).argmin(1, keepdim=True)
    return torch.zeros_like(mask).scatter_(1, best, True) & mask
