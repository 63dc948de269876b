"""Losses of two views of each sample: two crops of an image, an image and its caption.

The contract stays ``loss(embeddings, labels)``: labels say what belongs together. **The first row with a
label is the first view of it and the second row the second view**, so ``torch.cat([first, second])`` with
labels ``torch.arange(n).repeat(2)`` is the usual batch. A label that occurs more often gives further pairs,
the third row with the fourth; a row without partner is left out.
"""

from abc import abstractmethod
from typing import Any

import torch

from ._base import BatchLoss, ParametricLoss, report
from ._epoch import n_pairs_of
from ._reduction import Reduction


def two_views(embeddings: torch.Tensor, labels: torch.Tensor):
    """First views, second views, both (n_pairs, n_components), and the label of each pair."""
    order = labels.argsort(stable=True)
    ordered = labels[order]
    starts = torch.searchsorted(ordered, ordered)  # where the label of each row begins
    turn = torch.arange(len(labels), device=labels.device) - starts
    first = (turn[:-1] % 2 == 0) & (ordered[:-1] == ordered[1:])
    n_pairs = n_pairs_of(labels)
    if n_pairs is None:
        at = first.nonzero().flatten()
    else:
        at = first.to(torch.uint8).argsort(descending=True, stable=True)[:n_pairs]
    return embeddings[order[at]], embeddings[order[at + 1]], ordered[at]


class TwoViewsLoss(BatchLoss):
    """A loss of two views: a subclass writes ``_between(first, second)`` and ``_fewest``."""

    _by_row = False
    _fewest = 2  # pairs, below which the loss has nothing to say

    def _value(self, embeddings: torch.Tensor, labels: torch.Tensor, reduce: Reduction) -> torch.Tensor:
        first, second, _ = two_views(embeddings, labels)
        if len(first) < self._fewest:
            report_too_few(len(first), self._fewest)
            return (embeddings * 0).sum()
        return self._between(first, second)

    @abstractmethod
    def _between(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Scalar of both views (n_pairs, n_components)."""


class TwoViewsParametricLoss(ParametricLoss):
    """A loss of two views that learns a scale: a subclass writes ``_parameters`` and ``_between``."""

    _by_row = False

    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, reduce: Reduction, **parameters: Any
    ) -> torch.Tensor:
        first, second, pair_labels = two_views(embeddings, labels)
        if len(first) < 2:
            report_too_few(len(first), 2)
            return (embeddings * 0).sum()
        same = pair_labels[:, None] == pair_labels
        return self._between(first, second, same, **parameters)

    @abstractmethod
    def _between(self, *views: Any, **parameters: Any) -> torch.Tensor:
        """Scalar of both views (n_pairs, n_components) and of `same` (n_pairs, n_pairs), the equal labels."""


def report_too_few(n_pairs, fewest):
    """Warn of a batch with too few pairs of views."""
    report(f"the batch has {n_pairs} pairs of views, the loss needs {fewest}: each label must occur twice")
