"""Losses of other libraries, with their miners."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ._base import Loss, StatefulLoss, TellsShare, check_batch, full_precision, report_missing
from ._distance import relations


class ForeignLoss(StatefulLoss):
    """A loss from elsewhere, such as one of pytorch-metric-learning, together with its miner.

    Without a miner such a loss needs no wrapper: ``DeepMetricLearner(loss=...)`` takes any module or function
    of ``(embeddings, labels)``, and a tuple ``(loss, miner)`` for this class. Loss and miner are copied when
    bound; what they learn is trained, and moves between devices with the module that `bind` gives. A value of
    0 from a batch that lacks positives or negatives is reported.

    Parameters
    ----------
    loss : nn.Module or callable
        ``loss(embeddings, labels) -> scalar``; with a miner ``loss(embeddings, labels, mined)``.
    miner : nn.Module or callable, default=None
        ``miner(embeddings, labels)``; what it gives is handed to the loss as it is. Miners of
        :mod:`skmetric.deep.miners` look at distances: they are parameters of our own losses.

    Raises
    ------
    ValueError
        When bound, if a loss of this package is given: it takes its miner as a parameter.

    See Also
    --------
    CrossBatchMemory : A wrapper of losses of this package.
    TripletMarginLoss : A loss with miners of this package.

    Examples
    --------
    >>> import torch
    >>> def hinge(embeddings, labels, mined=None):
    ...     anchor, positive, negative = mined
    ...     near = (embeddings[anchor] - embeddings[positive]).norm(dim=1)
    ...     return (0.2 + near - (embeddings[anchor] - embeddings[negative]).norm(dim=1)).relu().mean()
    >>> def miner(embeddings, labels):
    ...     return torch.tensor([1]), torch.tensor([0]), torch.tensor([2])
    >>> loss = ForeignLoss(hinge, miner).bind(n_components=1, n_classes=2)
    >>> loss(torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1]))  # .2 + 1 - .5
    tensor(0.7000)
    """

    _parameter_constraints = {"loss": [callable], "miner": [callable, None]}

    def __init__(self, loss: Callable[..., torch.Tensor], miner: Callable[..., Any] | None = None) -> None:
        self.loss = loss
        self.miner = miner

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        if isinstance(self.loss, Loss):
            name = type(self.loss).__name__
            raise ValueError(
                f"loss={name} is one of skmetric.deep.losses: use it as it is, and its parameter miner"
            )
        return Foreign(copy.deepcopy(self.loss), copy.deepcopy(self.miner))


class Foreign(TellsShare, nn.Module):
    """A loss and its miner, called as one."""

    def __init__(self, loss: Callable[..., torch.Tensor], miner: Callable[..., Any] | None) -> None:
        super().__init__()
        self.loss, self.miner = loss, miner

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Value of the loss over what the miner chose."""
        embeddings, labels = check_batch(embeddings, labels)
        with full_precision(embeddings):
            mined = () if self.miner is None else (self.miner(embeddings, labels),)
            value = self.loss(embeddings, labels, *mined)
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            is_zero = (value.detach() == 0).reshape(()).to(labels.device)
            positive, negative = relations(labels, len(labels))
            report_missing(positive, negative, where=is_zero)
        return value
