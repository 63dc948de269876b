"""Losses that are a function of a matrix over (anchor, other) and of which pairs should be near."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skmetric.deep.miners._base import Pairs, as_pairs

from ._base import Loss, TellsShare, check_batch, check_embeddings, full_precision, report_missing, widen
from ._distance import relations, relations_with
from ._named_distances import distances, similarities
from ._reduction import Reduction, read_reduction


class PairLoss(Loss):
    """A loss of a matrix over pairs: a subclass writes ``_matrix`` (through one below) and ``_value``.

    Rows are anchors. Columns are the batch, then, under cross-batch memory, what is remembered: column i is
    row i itself, and no pair. With references, columns are those alone, and no row is among them.
    """

    distance: str | Callable[..., torch.Tensor] | None = None  # None: the loss fixes its distance
    miner: Callable[..., Any] | None = None  # losses that can mine take one in their constructor
    _takes_triplets = False
    _of_columns = False  # whether the loss looks at pairs of two columns, which references have no matrix of

    def __call__(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        memory: torch.Tensor | None = None,
        memory_labels: torch.Tensor | None = None,
        *,
        references: torch.Tensor | None = None,
        reference_labels: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
        reduction: str = "mean",
    ) -> torch.Tensor:
        """Value of a batch.

        Parameters
        ----------
        embeddings : Tensor of shape (batch, n_components)
            The anchors.
        labels : int Tensor of shape (batch,)
            Their labels.
        memory, memory_labels : Tensor of shape (n_memory, n_components) and of shape (n_memory,)
            Further samples that each anchor is compared with, beside the batch.
        references, reference_labels : Tensor of shape (n_references, n_components) and (n_references,)
            What the anchors are compared with instead of the batch: the keys of a momentum encoder and its
            queue, or the other tower of two. They get a gradient if they have one.
        weights : Tensor of shape (batch,), default=None
            Weight of each anchor in the mean.
        reduction : {"mean", "none"}, default="mean"
            "none" gives one number for each anchor.

        Returns
        -------
        Tensor
            A scalar, or (batch,).
        """
        _check_together(memory, memory_labels, references, reference_labels)
        embeddings, labels = self._check(embeddings, labels)
        reduce = self._reduction(reduction, weights, embeddings)
        with full_precision(embeddings):
            others, other_labels = embeddings, labels
            if memory is not None and memory_labels is not None:
                others = torch.cat([embeddings, memory.to(embeddings.dtype)])
                other_labels = torch.cat([labels, memory_labels])
            elif references is not None:
                others, other_labels = self._check_references(embeddings, references, reference_labels)
            tuples = self._relate(labels, other_labels, alone=references is None, like=embeddings)
            matrix = self._matrix(embeddings, others)
            if self.miner is not None:
                anchors = None if references is None else labels
                tuples = self._mined(matrix, embeddings, others, other_labels, anchors)
            value = self._value(matrix, tuples, reduce)
            return value + self._penalty(embeddings, reduce)

    def from_matrix(
        self,
        matrix: torch.Tensor,
        positive: torch.Tensor,
        negative: torch.Tensor,
        *,
        weights: torch.Tensor | None = None,
        reduction: str = "mean",
    ) -> torch.Tensor:
        """Value of the loss where the pairs are given, not labels: for a siamese or a triplet network.

        No miner is asked.

        Parameters
        ----------
        matrix : Tensor of shape (n_anchors, n_others)
            Distances, or similarities for a loss that is defined on the cosine.
        positive, negative : bool Tensor of shape (n_anchors, n_others)
            Which pairs should be near, and which far.
        weights : Tensor of shape (n_anchors,), default=None
            Weight of each row in the mean.
        reduction : {"mean", "none"}, default="mean"
            "none" gives one number for each row.

        Returns
        -------
        Tensor
            A scalar, or (n_anchors,).
        """
        matrix = self._given(widen(matrix))
        return self._of_pairs(matrix, positive, negative, weights=weights, reduction=reduction)

    def _of_pairs(
        self,
        matrix: torch.Tensor,
        positive: torch.Tensor,
        negative: torch.Tensor,
        *,
        weights: torch.Tensor | None = None,
        reduction: str = "mean",
    ) -> torch.Tensor:
        """As `from_matrix`, for a matrix in the unit of the loss."""
        matrix = widen(matrix)
        reduce = read_reduction(reduction, weights, matrix)
        with full_precision(matrix):
            return self._value(matrix, Pairs(positive, negative), reduce)

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        return PairModule(clone(self)) if isinstance(self.distance, nn.Module) else self

    def _check(self, embeddings: torch.Tensor, labels: torch.Tensor):
        """Anchors and labels, checked."""
        return check_batch(embeddings, labels, self)

    def _check_references(self, embeddings: torch.Tensor, references: torch.Tensor, labels: Any):
        """References and their labels, checked, in the precision of the anchors."""
        if self._of_columns:
            raise ValueError(
                f"{type(self).__name__} with swap=True compares the others of an anchor with one another: it "
                "does not go with references"
            )
        check_embeddings(references, "references")
        references, labels = self._check(references, labels)
        if references.shape[1] != embeddings.shape[1]:
            raise ValueError(
                f"references have {references.shape[1]} components and embeddings have {embeddings.shape[1]}"
            )
        return references.to(embeddings.dtype), labels

    def _relate(self, labels: torch.Tensor, others: torch.Tensor, *, alone: bool, like: torch.Tensor) -> Any:
        """Which pairs should be near and which far; without references (`alone`) column i is row i."""
        pairs = Pairs(*(relations(others, len(labels)) if alone else relations_with(labels, others)))
        report_missing(*pairs)
        return pairs

    def _mined(
        self, matrix: torch.Tensor, embeddings: torch.Tensor, others: torch.Tensor, labels: Any, anchors: Any
    ):
        """The tuples that the miner chooses, by its own distance if it names one."""
        assert self.miner is not None
        named = getattr(self.miner, "distance", None)
        with torch.no_grad():
            seen = matrix.detach() if named is None else distances(named, embeddings, others)
        mined = self.miner(seen, labels, **({} if anchors is None else {"anchor_labels": anchors}))
        return mined if self._takes_triplets else as_pairs(mined, matrix)

    def _given(self, matrix: torch.Tensor) -> torch.Tensor:
        """A matrix as it is given to `from_matrix`, in the unit of `_matrix`."""
        return matrix

    def _penalty(self, embeddings: torch.Tensor, reduce: Reduction) -> torch.Tensor | float:
        """What the embeddings of the batch cost by themselves; most losses ask nothing."""
        return 0

    @abstractmethod
    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Distances or similarities (batch, n_others)."""

    @abstractmethod
    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        """Value of the matrix and the tuples that count."""


class DistancePairLoss(PairLoss):
    """A pair loss of distances, Euclidean if nothing else is said; the embeddings are taken as they are."""

    distance: str | Callable[..., torch.Tensor] = "euclidean"

    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return distances(self.distance, embeddings, others)


class SimilarityPairLoss(PairLoss):
    """A pair loss of similarities, cosines if nothing else is said, which normalise the embeddings inside."""

    distance: str | Callable[..., torch.Tensor] = "cosine"

    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return similarities(self.distance, embeddings, others)


class PairModule(TellsShare, nn.Module):
    """A pair loss whose distance is a module, which moves between devices and may learn."""

    def __init__(self, loss: PairLoss) -> None:
        super().__init__()
        self.loss = loss
        self.distance = loss.distance

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor, *args: Any, **options: Any):
        """Value of the loss."""
        return self.loss(embeddings, labels, *args, **options)

    def extra_repr(self) -> str:
        """What stands in the module's repr."""
        return type(self.loss).__name__


def _check_together(memory: Any, memory_labels: Any, references: Any, reference_labels: Any):
    if (memory is None) != (memory_labels is None):
        raise ValueError("memory and memory_labels go together: give both or neither")
    if (references is None) != (reference_labels is None):
        raise ValueError("references and reference_labels go together: give both or neither")
    if memory is not None and references is not None:
        raise ValueError(
            "memory is compared with beside the batch and references in place of it: give one of them, "
            "joined by torch.cat if need be"
        )
