"""From the costs of a batch to one number, or to one number for each row."""

import torch
from torch.nn.functional import cross_entropy

from ._distance import masked_mean


class Reduction:
    """How costs become the value of a loss.

    Parameters
    ----------
    weights : Tensor of shape (n_rows,), default=None
        Weight of each row as an anchor; None weighs all alike.
    each : bool, default=False
        Whether the value is one number for each row, in place of their mean.
    """

    def __init__(self, weights: torch.Tensor | None = None, each: bool = False) -> None:
        self.weights, self.each = weights, each

    @property
    def is_plain(self) -> bool:
        """Whether the value is the mean over all that counts."""
        return self.weights is None and not self.each

    def over(self, costs: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mean of the marked costs, which are (n_rows,) or (n_rows, n_others)."""
        if self.is_plain:
            return masked_mean(costs, mask)
        kept, counts = torch.where(mask, costs, 0), mask.to(costs.dtype)
        return self.of_sums(kept, counts) if costs.ndim == 1 else self.of_sums(kept.sum(1), counts.sum(1))

    def of_rows(self, costs: torch.Tensor) -> torch.Tensor:
        """Mean of costs of which each row has one, (n_rows,)."""
        return costs.mean() if self.is_plain else self.of_sums(costs, torch.ones_like(costs))

    def of_sums(self, sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Mean from the sum of the costs of each row and their number, both (n_rows,)."""
        weighed = sums if self.weights is None else self.weights * sums
        return (weighed if self.each else weighed.sum()) / self.divisor(counts)

    def divisor(self, counts: torch.Tensor) -> torch.Tensor:
        """What weighed sums are divided by: the weighed number of all costs, or that of each row."""
        if self.each:
            return counts.clamp_min(1)
        total = counts.sum() if self.weights is None else (self.weights * counts).sum()
        return torch.where(total > 0, total, 1)

    def cross_entropy(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of logits (n_rows, n_classes)."""
        if self.is_plain:
            return cross_entropy(logits, labels)
        return self.of_rows(cross_entropy(logits, labels, reduction="none"))


PLAIN = Reduction()


def read_reduction(reduction: str, weights: torch.Tensor | None, embeddings: torch.Tensor) -> Reduction:
    """The reduction that a call asks for, its weights checked."""
    if reduction not in ("mean", "none"):
        raise ValueError(f"reduction must be 'mean' or 'none', got {reduction!r}")
    if weights is None:
        return PLAIN if reduction == "mean" else Reduction(each=True)
    n_rows = len(embeddings)
    if not isinstance(weights, torch.Tensor) or weights.shape != (n_rows,):
        given = tuple(weights.shape) if isinstance(weights, torch.Tensor) else type(weights).__name__
        raise ValueError(f"weights must be a tensor ({n_rows},), one weight for each row; got {given}")
    weights = weights.detach().to(embeddings.device, embeddings.dtype)
    if not bool((torch.isfinite(weights) & (weights >= 0)).all()):
        raise ValueError("weights must be finite and at least 0: one of the batch is not")
    return Reduction(weights, reduction == "none")
