"""What the ranking losses share: queries in chunks, so that memory stays within a few such matrices."""

import torch

from skmetric.deep.miners._base import Pairs

from ._distance import with_gradient
from ._reduction import Reduction

_BLOCK = 1 << 20  # comparisons that a chunk may hold even where the batch is small


def mean_over_queries(function, matrix: torch.Tensor, pairs: Pairs, reduce: Reduction):
    """Mean of `function` over the rows that have a positive, its gradient worked out chunk by chunk.

    `function` maps rows of the matrix and of both masks to the cost of each row, at the price of one
    comparison for each item and each positive of a row.
    """
    positive, negative = pairs
    costs, gradient = matrix.new_zeros(len(matrix)), torch.zeros_like(matrix)
    answerable = positive.any(1)
    for chunk in _chunks(answerable.nonzero().flatten(), matrix, positive):
        if matrix.requires_grad:
            with torch.enable_grad():
                leaf = matrix.detach()[chunk].requires_grad_()
                found = function(leaf, positive[chunk], negative[chunk])
            (gradient[chunk],) = torch.autograd.grad(found.sum(), leaf)
        else:
            found = function(matrix[chunk], positive[chunk], negative[chunk])
        costs[chunk] = found.detach()
    return reduce.over(with_gradient(matrix, costs, gradient), answerable)


def _chunks(rows: torch.Tensor, matrix: torch.Tensor, positive: torch.Tensor):
    """Rows in chunks of no more comparisons than the matrix has entries, or than `_BLOCK`."""
    if not len(rows):
        return ()
    comparisons_per_row = matrix.shape[1] * int(positive.sum(1).max())
    return rows.split(max(1, max(matrix.numel(), _BLOCK) // comparisons_per_row))


def smooth_ranks(rows: torch.Tensor, positive: torch.Tensor, masks, temperature):
    """Smooth rank of every positive of a row among the items of each mask, which hold the positives too.

    The rank is 1 + Σ_j sigmoid((s_j - s_p) / T) over the items j other than p. Returns the ranks
    (n_rows, n_slots) for each mask, and which slots are filled: a row may have fewer positives than slots.
    """
    filled, order = positive.to(torch.uint8).topk(int(positive.sum(1).max()), dim=1)  # (n_rows, n_slots)
    values = rows.gather(1, order)
    above = torch.sigmoid((rows[:, None] - values[:, :, None]) / temperature)  # (n_rows, n_slots, n_others)
    # p itself counts sigmoid(0) = 1/2 in the sum
    return [0.5 + (above @ mask[:, :, None].to(above.dtype)).squeeze(2) for mask in masks], filled.bool()
