"""Losses that are a function of a matrix over (anchor, other) and of which pairs are to be near."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch

from skmetric.deep.miners._base import Pairs, as_pairs

from ._base import Loss, check_batch, full_precision, report_missing, widen
from ._distance import cosine, euclidean, relations


class PairLoss(Loss):
    """A loss of a matrix over pairs: a subclass writes ``_matrix`` (through one below) and ``_value``.

    Rows are anchors. Columns are the batch, then, under cross-batch memory, what is remembered: column i is
    row i itself, and no pair.
    """

    miner: Callable[..., Any] | None = None  # losses that can mine take one in their constructor
    _takes_triplets = False

    def __call__(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        memory: torch.Tensor | None = None,
        memory_labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if (memory is None) != (memory_labels is None):
            raise ValueError("memory and memory_labels go together: give both or neither")
        embeddings, labels = check_batch(embeddings, labels)
        with full_precision(embeddings):
            others = embeddings
            if memory is not None and memory_labels is not None:
                others = torch.cat([embeddings, memory.to(embeddings.dtype)])
                labels = torch.cat([labels, memory_labels])
            positive, negative = relations(labels, len(embeddings))
            report_missing(positive, negative)
            matrix = self._matrix(embeddings, others)
            value = self._value(matrix, self._tuples(matrix, labels, Pairs(positive, negative)))
            return value + self._penalty(embeddings)

    def from_matrix(
        self, matrix: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> torch.Tensor:
        """Value of the loss where the pairs are given, not labels: for a siamese or a triplet network.

        No miner is asked.

        Parameters
        ----------
        matrix : Tensor of shape (n_anchors, n_others)
            Distances, or cosines for a loss that is defined on the cosine.
        positive, negative : bool Tensor of shape (n_anchors, n_others)
            Which pairs are to be near, and which far.

        Returns
        -------
        Tensor
            A scalar.
        """
        matrix = widen(matrix)
        with full_precision(matrix):
            return self._value(matrix, Pairs(positive, negative))

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        return self

    def _tuples(self, matrix: torch.Tensor, labels: torch.Tensor, pairs):
        if self.miner is None:
            return pairs
        mined = self.miner(matrix.detach(), labels)
        return mined if self._takes_triplets else as_pairs(mined, matrix)

    def _penalty(self, embeddings: torch.Tensor):
        """What the embeddings of the batch cost by themselves; most losses ask nothing."""
        return 0

    @abstractmethod
    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Distances or similarities (batch, n_others)."""

    @abstractmethod
    def _value(self, matrix: torch.Tensor, tuples: Any) -> torch.Tensor:
        """Scalar of the matrix and the tuples that count."""


class EuclideanPairLoss(PairLoss):
    """A pair loss of Euclidean distances; the embeddings are taken as they are."""

    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return euclidean(embeddings, others)


class CosinePairLoss(PairLoss):
    """A pair loss of cosines, which normalises the embeddings inside."""

    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return cosine(embeddings, others)
