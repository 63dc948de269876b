"""Cross-batch memory: more negatives and positives than the batch holds."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skmetric._params import Interval

from ._base import StatefulLoss, TellsShare, check_batch
from ._pair import PairLoss
from ._tally import Tally


class CrossBatchMemory(StatefulLoss):
    """Compare each anchor with the last batches too, whose embeddings are remembered without gradient [1]_.

    Embeddings drift slowly once the network has settled, so that those of past batches still serve as
    positives and negatives. Anchors are the rows of the batch; they meet the batch, as without memory, and
    what is remembered. In training mode a batch is stored after it was used; in evaluation mode none is.
    :class:`~skmetric.deep.DeepMetricLearner` empties the memory at the start of a call that numbers samples,
    with two views or with `relevance`; with class labels the memory goes on.

    Parameters
    ----------
    loss : PairLoss
        A loss of pairs, such as ContrastiveLoss, TripletMarginLoss, MultiSimilarityLoss, NTXentLoss,
        SupConLoss or CircleLoss.
    size : int, default=1024
        Embeddings to remember, the latest.

    See Also
    --------
    GatheredBatches : More to compare with, from other processes.
    skmetric.deep.samplers.BalancedBatchSampler : Makes the batches.

    References
    ----------
    .. [1] X. Wang et al., "Cross-batch memory for embedding learning", CVPR 2020.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.losses import NTXentLoss
    >>> loss = CrossBatchMemory(NTXentLoss(), size=8).bind(n_components=2, n_classes=2)
    >>> for step in range(3):
    ...     value = loss(torch.randn(6, 2, requires_grad=True), torch.tensor([0, 0, 0, 1, 1, 1]))
    >>> int(loss.n_stored)
    8
    """

    _parameter_constraints = {
        "loss": [PairLoss],
        "size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, loss: Callable[..., torch.Tensor], size: int = 1024) -> None:
        self.loss = loss
        self.size = size

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        inner = clone(self.loss).bind(n_components, n_classes, generator=generator)
        return Memory(inner, self.size, n_components)


class Memory(TellsShare, Tally):
    """A pair loss and the embeddings of the last batches, in a ring."""

    embeddings: torch.Tensor
    labels: torch.Tensor
    n_seen: torch.Tensor
    _counter = "n_seen"

    def __init__(self, loss: Callable[..., torch.Tensor], size: int, n_components: int) -> None:
        super().__init__()
        self.loss = loss
        self.register_buffer("embeddings", torch.zeros(size, n_components))
        self.register_buffer("labels", torch.zeros(size, dtype=torch.int64))
        self._start()

    @property
    def n_stored(self) -> torch.Tensor:
        """Number of embeddings remembered."""
        return self.n_seen.clamp_max(len(self.labels))

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        weights: torch.Tensor | None = None,
        reduction: str = "mean",
    ) -> torch.Tensor:
        """Value of the loss; then the batch is stored."""
        embeddings, labels = check_batch(embeddings, labels, self.loss)
        n_stored = min(self.count, len(self.labels))
        # copies: what is stored next must not change what the backward pass will read
        memory, memory_labels = self.embeddings[:n_stored].clone(), self.labels[:n_stored].clone()
        options = {"weights": weights, "reduction": reduction}
        value = self.loss(embeddings, labels, memory=memory, memory_labels=memory_labels, **options)
        if self.training:
            self._store(embeddings.detach(), labels)
        return value

    @torch.no_grad()
    def _store(self, embeddings: torch.Tensor, labels: torch.Tensor):
        size = len(self.labels)
        at = (self.count + torch.arange(len(labels), device=labels.device))[-size:] % size
        self.embeddings[at] = embeddings[-size:].to(self.embeddings.dtype)
        self.labels[at] = labels[-size:]
        self._add(len(labels))

    def empty(self) -> None:
        """Remember nothing."""
        self._set(0)


def forget(loss: Any) -> None:
    """Empty the memories in a bound loss: its labels will mean something else from now on."""
    for part in loss.modules() if isinstance(loss, nn.Module) else ():
        if isinstance(part, Memory):
            part.empty()
