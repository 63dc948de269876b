"""Embeddings and labels of a batch from all processes, in one message, and their gradient without one."""

from __future__ import annotations

from typing import Any

import torch
from torch import distributed


def gathered(
    embeddings: torch.Tensor, labels: torch.Tensor, sizes: list[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of all processes, in the order of their ranks.

    Every process computes the loss of the whole batch, so it already has the gradient for its own rows and
    needs no message. The gradient is multiplied by the number of processes, since the gradients of weights
    are averaged over the processes afterwards.

    Parameters
    ----------
    embeddings : Tensor of shape (n_share, n_components)
        Of this process.
    labels : Tensor of shape (n_share, ...)
        Of the same samples.
    sizes : list of int
        Number of rows of each process.

    Returns
    -------
    embeddings, labels : Tensor
        Of the whole batch; embeddings have a gradient if those of this process have one.
    """
    told = _bytes(labels)
    rows = torch.cat([_bytes(embeddings), told], dim=1)  # (n_share, n_bytes)
    padded = rows.new_zeros(max(sizes), rows.shape[1])
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)  # takes parts of one size only
    whole = torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
    values, codes = whole.split([rows.shape[1] - told.shape[1], told.shape[1]], dim=1)
    everything = _from_bytes(values, embeddings)
    if embeddings.requires_grad:
        everything = _Placed.apply(embeddings, everything, sizes)
    return everything, _from_bytes(codes, labels)


def _bytes(rows: torch.Tensor) -> torch.Tensor:
    """Rows as bytes (n_rows, n_bytes)."""
    return rows.detach().reshape(len(rows), -1).contiguous().view(torch.uint8)


def _from_bytes(rows: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Bytes (n_rows, n_bytes) as rows of another tensor's type and shape."""
    return rows.contiguous().view(like.dtype).reshape(len(rows), *like.shape[1:])


class _Placed(torch.autograd.Function):
    """The whole batch, through which the gradient goes to the rows of this process."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, everything: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        ctx.sizes = sizes
        return everything.view_as(everything)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        own = gradient.split(ctx.sizes)[distributed.get_rank()]
        return own * len(ctx.sizes), None, None
