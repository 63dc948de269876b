"""Matryoshka: embeddings whose prefixes are embeddings too."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from ._base import Loss, StatefulLoss, check_embeddings


class MatryoshkaLoss(StatefulLoss):
    r"""Sum of a loss over prefixes of the embedding, so that a shortened embedding still serves [1]_.

    .. math:: \sum_m c_m\, L(x_{1 \ldots m}, y)

    Each prefix has its own proxies, where the loss has proxies.

    Parameters
    ----------
    loss : Loss
        Loss of every prefix.
    prefixes : sequence of int or None, default=None
        Lengths m; None halves `n_components` down to 8.
    weights : sequence of float or None, default=None
        Weights c, one for each length; None weighs all 1.

    See Also
    --------
    CrossBatchMemory : Another wrapper.
    GatheredBatches : Another wrapper.

    References
    ----------
    .. [1] A. Kusupati et al., "Matryoshka representation learning", NeurIPS 2022, equation 1.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.losses import TripletMarginLoss
    >>> loss = MatryoshkaLoss(TripletMarginLoss(), prefixes=[1, 2]).bind(n_components=2, n_classes=2)
    >>> embeddings = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.5, 0.0]])
    >>> loss(embeddings, torch.tensor([0, 0, 1]))  # .7 for either length
    tensor(1.4000)
    """

    _parameter_constraints = {
        "loss": [Loss],
        "prefixes": ["array-like", None],
        "weights": ["array-like", None],
    }

    def __init__(
        self,
        loss: Callable[..., torch.Tensor],
        prefixes: Sequence[int] | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.loss = loss
        self.prefixes = prefixes
        self.weights = weights

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        lengths = halvings(n_components) if self.prefixes is None else list(self.prefixes)
        weights = [1.0] * len(lengths) if self.weights is None else list(self.weights)
        _check_prefixes(lengths, weights, n_components)
        bound = [clone(self.loss).bind(m, n_classes, generator=generator) for m in lengths]
        return Prefixes(bound, lengths, weights)


class Prefixes(nn.Module):
    """The bound losses of the prefixes."""

    def __init__(self, losses: Sequence, lengths: Sequence[int], weights: Sequence[float]) -> None:
        super().__init__()
        self.losses, self.lengths, self.weights = list(losses), lengths, weights
        # losses that own something are modules too; the list holds them all, in order
        self.modules_ = nn.ModuleList(loss for loss in losses if isinstance(loss, nn.Module))

    @property
    def active_share_(self) -> torch.Tensor | None:
        """Mean over the prefixes of their share of active tuples; None if the loss does not tell."""
        told: list[Any] = [getattr(loss, "active_share_", None) for loss in self.losses]
        return None if any(share is None for share in told) else torch.stack(told).mean()

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor, **options: Any) -> torch.Tensor:
        """Weighted sum over the prefixes; options go to their losses."""
        check_embeddings(embeddings)
        parts = zip(self.losses, self.lengths, self.weights, strict=True)
        values = [w * loss(embeddings[:, :m], labels, **_cut(options, m)) for loss, m, w in parts]
        return torch.stack(values).sum(0)


def _cut(options: dict[str, Any], length: int) -> dict[str, Any]:
    """Options of a call, of which embeddings are shortened as well."""
    sides = [name for name in ("memory", "references") if options.get(name) is not None]
    return options | {name: options[name][:, :length] for name in sides}


def halvings(n_components: int):
    """Lengths from `n_components` down by halves, none below 8 but the first."""
    lengths = [n_components]
    while lengths[-1] // 2 >= 8:
        lengths.append(lengths[-1] // 2)
    return lengths


def _check_prefixes(lengths, weights, n_components: int):
    if not lengths or any(int(m) != m or not 1 <= m <= n_components for m in lengths):
        raise ValueError(f"prefixes must be lengths from 1 to n_components={n_components}, got {lengths}")
    if len(weights) != len(lengths):
        raise ValueError(f"weights must be one for each of the {len(lengths)} prefixes, got {len(weights)}")
