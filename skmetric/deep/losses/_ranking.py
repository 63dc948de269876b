"""What the ranking losses share: queries in chunks, so that memory stays within a few such matrices."""

import torch

from skmetric.deep.miners._base import Pairs

from ._distance import with_gradient
from ._epoch import most_positives
from ._reduction import Reduction

_BLOCK = 1 << 20  # comparisons that a chunk may hold even where the batch is small


def mean_over_queries(function, matrix: torch.Tensor, pairs: Pairs, reduce: Reduction):
    """Mean of `function` over the rows that have a positive, its gradient worked out chunk by chunk.

    `function` maps rows of the matrix and of both masks, and the number of slots for positives, to the cost
    of each row, at the price of one comparison for each item and each slot.
    """
    positive, negative = pairs
    answerable, n_slots = positive.any(1), most_positives(positive)
    costs, gradients = [], []
    for rows, *masks in _chunks(n_slots, matrix, positive, negative):
        if matrix.requires_grad:
            with torch.enable_grad():
                leaf = rows.detach().requires_grad_()
                found = function(leaf, *masks, n_slots)
            gradients += torch.autograd.grad(found.sum(), leaf)
        else:
            found = function(rows, *masks, n_slots)
            gradients.append(torch.zeros_like(rows))
        costs.append(found.detach())
    # a row without a positive costs 0 / 0
    gradient = torch.where(answerable[:, None], torch.cat(gradients), 0)
    value = torch.where(answerable, torch.cat(costs), 0)
    return reduce.over(with_gradient(matrix, value, gradient), answerable)


def _chunks(n_slots: int, matrix: torch.Tensor, *masks: torch.Tensor):
    """Rows of all in chunks of no more comparisons than the matrix has entries, or than `_BLOCK`."""
    size = max(1, max(matrix.numel(), _BLOCK) // (matrix.shape[1] * n_slots))
    return zip(*(part.split(size) for part in (matrix, *masks)), strict=True)


def smooth_ranks(rows: torch.Tensor, positive: torch.Tensor, masks, temperature, n_slots: int):
    """Smooth rank of every positive of a row among the items of each mask, which hold the positives too.

    The rank is 1 + Σ_j sigmoid((s_j - s_p) / T) over the items j other than p. Returns the ranks
    (n_rows, n_slots) for each mask, and which slots are filled: a row may have fewer positives than slots.
    """
    filled, order = positive.to(torch.uint8).topk(n_slots, dim=1)  # (n_rows, n_slots)
    values = rows.gather(1, order)
    above = torch.sigmoid((rows[:, None] - values[:, :, None]) / temperature)  # (n_rows, n_slots, n_others)
    # p itself counts sigmoid(0) = 1/2 in the sum
    return [0.5 + (above @ mask[:, :, None].to(above.dtype)).squeeze(2) for mask in masks], filled.bool()
