"""Gathered batches: a loss that sees the batches of all processes."""

from collections.abc import Callable
from typing import Any

import torch
from sklearn.base import clone
from torch import distributed, nn

from ._base import Loss, StatefulLoss, TellsShare, check_batch


class GatheredBatches(StatefulLoss):
    """Compare the batches of all processes of ``torch.distributed`` with one another, as one batch.

    Data-parallel training splits a batch over processes, and a loss of pairs would only see the pairs within
    a part. Here each process gathers embeddings and labels of all, in the order of their ranks, and works out
    the loss of the whole. The gradient comes back to where an embedding was made, summed over processes, so
    that the mean over processes that ``DistributedDataParallel`` takes is the gradient of one process with
    the whole batch. Parts may differ in size. Without a process group, or in a group of one, it is the loss
    itself.

    What the loss learns itself has the same gradient everywhere if it draws nothing at random: start it from
    the same values, that is bind with the same generator on each process. Labels mean the same everywhere;
    where they only number the samples of a batch, as for two views, they need to differ between processes.

    Parameters
    ----------
    loss : Loss
        Loss of the whole batch; a CrossBatchMemory too.

    See Also
    --------
    CrossBatchMemory : More to compare with, from past batches.
    MatryoshkaLoss : Another wrapper.

    References
    ----------
    .. [1] T. Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020,
       whose contrastive batches span all devices.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.losses import TripletMarginLoss
    >>> loss = GatheredBatches(TripletMarginLoss()).bind(n_components=1, n_classes=2)
    >>> loss(torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1]))  # one process
    tensor(0.7000)
    """

    _parameter_constraints = {"loss": [Loss]}

    def __init__(self, loss: Callable[..., torch.Tensor]) -> None:
        self.loss = loss

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        return Gathered(clone(self.loss).bind(n_components, n_classes, generator=generator))


class Gathered(TellsShare, nn.Module):
    """A bound loss, called with the batches of all processes."""

    def __init__(self, loss: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: torch.Tensor, labels: torch.Tensor, **options: Any) -> torch.Tensor:
        """Value of the loss over all processes; it is the same on each."""
        if is_alone():
            return self.loss(embeddings, labels, **options)
        if options:
            raise ValueError(f"GatheredBatches gathers embeddings and labels alone: leave out {[*options]}")
        embeddings, labels = check_batch(embeddings, labels, self.loss)
        sizes = sizes_everywhere(embeddings)
        return self.loss(gather_with_gradient(embeddings, sizes), gather(labels, sizes))


def is_alone():
    """Whether there is no other process to gather from."""
    return not (distributed.is_available() and distributed.is_initialized()) or (
        distributed.get_world_size() == 1
    )


def sizes_everywhere(embeddings: torch.Tensor):
    """Number of rows on each process; embeddings of different widths are refused, on all of them."""
    shape = torch.tensor(embeddings.shape, device=embeddings.device)
    shapes = [torch.empty_like(shape) for _ in range(distributed.get_world_size())]
    distributed.all_gather(shapes, shape)
    sizes, widths = torch.stack(shapes).T.tolist()
    if len(set(widths)) > 1:
        raise ValueError(f"embeddings must be of one width on all processes, got {widths} by rank")
    return sizes


def gather(rows: torch.Tensor, sizes):
    """Rows of all processes, in the order of their ranks, without gradient."""
    padded = rows.new_zeros(max(sizes), *rows.shape[1:])
    padded[: len(rows)] = rows.detach()
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)  # takes parts of one size only
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def gather_with_gradient(rows: torch.Tensor, sizes):
    """Rows of all processes; the gradient of a row is summed over them, and goes where the row was made."""
    return _Gather.apply(rows, sizes)


class _Gather(torch.autograd.Function):
    """Gather rows; on the way back, each process gets the sum of all gradients of its own rows."""

    @staticmethod
    def forward(ctx, rows, sizes):
        ctx.sizes = sizes
        return gather(rows, sizes)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total.split(ctx.sizes)[distributed.get_rank()], None
