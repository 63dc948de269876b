"""What the ranking losses share: queries in chunks, so that memory stays within a few such matrices."""

import torch

from ._distance import with_gradient


def mean_over_queries(function, matrix, positive, negative, width):
    """Mean of `function` over the rows that have a positive, its gradient worked out chunk by chunk.

    Parameters
    ----------
    function : callable
        Maps rows of the matrix and of both masks to the cost of each row.
    matrix : Tensor of shape (n_queries, n_others)
        Similarities or distances.
    positive, negative : bool Tensor of shape (n_queries, n_others)
        The pairs.
    width : int
        How many matrices of its own shape a row block needs: blocks are that much smaller.
    """
    answerable = positive.any(1)
    total, gradient = matrix.new_zeros(()), torch.zeros_like(matrix)
    rows = answerable.nonzero().flatten()
    chunks = rows.split(max(1, len(matrix) // max(1, width))) if len(rows) else ()
    for chunk in chunks:
        if matrix.requires_grad:
            with torch.enable_grad():
                leaf = matrix.detach()[chunk].requires_grad_()
                costs = function(leaf, positive[chunk], negative[chunk]).sum()
            (gradient[chunk],) = torch.autograd.grad(costs, leaf)
        else:
            costs = function(matrix[chunk], positive[chunk], negative[chunk]).sum()
        total += costs.detach()
    n_answerable = max(1, len(rows))
    return with_gradient(matrix, total / n_answerable, gradient / n_answerable)


def gather_positives(rows, positive):
    """The positives of each row, left-aligned (n_rows, n_slots), and which slots are filled."""
    n_slots = int(positive.sum(1).max())
    filled, order = positive.to(torch.uint8).topk(n_slots, dim=1)  # (n_rows, n_slots)
    return rows.gather(1, order), filled.bool(), order


def smooth_ranks(rows, among, temperature, positive):
    """Smooth rank of every positive among the marked items of its row: 1 + Σ_j sigmoid((s_j - s_p) / T).

    Returns ranks (n_rows, n_slots) and which slots are filled.
    """
    values, filled, order = gather_positives(rows, positive)
    above = torch.sigmoid((rows[:, None] - values[:, :, None]) / temperature)  # (n_rows, n_slots, n_others)
    counted = among[:, None] & (torch.arange(rows.shape[1], device=rows.device) != order[:, :, None])
    return 1 + torch.where(counted, above, 0).sum(2), filled


def most_positives(positive):
    """Largest number of positives of a row."""
    return int(positive.sum(1).max())
