"""Losses that compare embeddings with learned proxies, one or several a class."""

from abc import abstractmethod
from numbers import Integral

import torch
from sklearn.base import clone
from torch import nn

from skmetric._params import Interval

from ._base import (
    StatefulLoss,
    TellsShare,
    check_batch,
    check_embeddings,
    check_labels_in_range,
    full_precision,
    widen,
)
from ._epoch import n_labels_of
from ._reduction import Reduction
from ._table_rows import rows_of
from ._tally import Tally

SAMPLED_CLASSES = [Interval(Integral, 2, None, closed="left"), None]


class ProxyLoss(StatefulLoss):
    """A loss with proxies: a subclass writes ``_proxies``, ``_logits`` and ``_value``.

    With ``sampled_classes`` a training batch sees the proxies of its own classes and of random others, that
    many in all (Partial FC): the matrix of similarities and its gradient then do not grow with the number of
    classes. The proxies themselves and the moments of the optimizer do. In the loops of the learners the
    gradient of the proxies is sparse, else it is dense.
    """

    sampled_classes: int | None

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        if n_classes < 2:
            name = type(self).__name__
            raise ValueError(f"{name} tells classes apart: n_classes must be at least 2, got {n_classes}")
        return Proxies(clone(self), self._proxies(n_components, n_classes, generator), generator)

    @abstractmethod
    def _proxies(self, n_components: int, n_classes: int, generator: torch.Generator | None) -> torch.Tensor:
        """Initial proxies; the first axis is the class."""

    @abstractmethod
    def _logits(self, embeddings: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        """Scores (batch, n_classes) of float embeddings for the classes, larger is more likely; no margin."""

    @abstractmethod
    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, proxies: torch.Tensor, reduce: Reduction
    ) -> torch.Tensor:
        """Value of float embeddings, labels and proxies, the first axis of which the labels index."""


class Proxies(TellsShare, Tally):
    """A proxy loss together with its proxies."""

    step: torch.Tensor
    _counter = "step"

    def __init__(self, loss, proxies: torch.Tensor, generator: torch.Generator | None) -> None:
        super().__init__()
        self.loss = loss
        self.proxies = nn.Parameter(proxies)
        # seed and counter, not a generator: they are saved, so that a continued run draws what it would have
        self.seed = int(torch.randint(2**31, (), generator=generator, device="cpu"))
        self._start()

    def forward(
        self,
        embeddings: torch.Tensor,
        labels: torch.Tensor,
        *,
        weights: torch.Tensor | None = None,
        reduction: str = "mean",
    ) -> torch.Tensor:
        """Value of the loss, or of each row; labels without a proxy are refused."""
        embeddings, labels = check_batch(embeddings, labels, self.loss)
        reduce = self.loss._reduction(reduction, weights, embeddings)
        check_labels_in_range(labels, len(self.proxies))
        with full_precision(embeddings):
            proxies = widen(self.proxies).to(embeddings.dtype)
            sampled = self.loss.sampled_classes
            if self.training and sampled is not None and sampled < len(proxies):
                classes = self._sample(labels, sampled)
                proxies, labels = rows_of(proxies, classes), torch.searchsorted(classes, labels)
            return self.loss._value(embeddings, labels, proxies, reduce)

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Scores of samples for the classes that have proxies: classification by what the loss learned.

        No margin is in them, and no class is left out. For the losses with a softmax over the classes,
        ``logits(embeddings).softmax(1)`` are its probabilities without the margin.

        Parameters
        ----------
        embeddings : Tensor of shape (n_samples, n_components)
            As the network gives them.

        Returns
        -------
        Tensor of shape (n_samples, n_classes)
            Larger is more likely.
        """
        check_embeddings(embeddings)
        embeddings = widen(embeddings)
        with full_precision(embeddings):
            return self.loss._logits(embeddings, widen(self.proxies).to(embeddings.dtype))

    def _sample(self, labels: torch.Tensor, n_sampled):
        """Sorted classes: those of the batch, then random ones up to `n_sampled`."""
        self._add(1)
        generator = torch.Generator().manual_seed(self.seed + self.count)
        priority = torch.rand(len(self.proxies), generator=generator).to(labels.device, non_blocking=True)
        priority[labels] += 1
        n_kept = n_sampled if len(labels) <= n_sampled else max(n_sampled, n_labels_of(labels))
        return priority.topk(n_kept).indices.sort().values

    def extra_repr(self) -> str:
        """What stands in the module's repr."""
        return f"{self.loss!r}, proxies={tuple(self.proxies.shape)}"


def random_directions(*shape, generator: torch.Generator | None):
    """Proxies around the unit sphere, in random directions."""
    return torch.randn(*shape, generator=generator) / shape[-1] ** 0.5


def proxies_of(labels: torch.Tensor, proxies: torch.Tensor):
    """Mask (batch, n_classes) of the proxy that each label names."""
    return labels[:, None] == torch.arange(len(proxies), device=labels.device)
