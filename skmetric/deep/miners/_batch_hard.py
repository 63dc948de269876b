"""Batch-hard mining."""

from collections.abc import Callable

import torch

from ._base import DISTANCE, Miner, Pairs, Triplets, one_per_row


class BatchHardMiner(Miner):
    """For each anchor its farthest positive and its nearest negative [1]_.

    Of the distances of a batch it keeps two an anchor; a mislabelled sample is often one of them.

    Parameters
    ----------
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default=None
        Distance that the choice is by, as in :class:`~skmetric.deep.losses.TripletMarginLoss`; None uses the
        one that the loss compares by.

    See Also
    --------
    SemiHardMiner : Not the hardest, which may be mislabelled.
    EasyPositiveMiner : The nearest positive instead.

    References
    ----------
    .. [1] A. Hermans, L. Beyer and B. Leibe, "In defense of the triplet loss for person re-identification",
       2017, arXiv:1703.07737, equation 5.

    Examples
    --------
    >>> import torch
    >>> distances = torch.tensor([[0.0, 0.5, 1.0, 0.7]])
    >>> pairs = BatchHardMiner()(distances, torch.tensor([0, 0, 0, 1]))
    >>> pairs.positive
    tensor([[False, False,  True, False]])
    """

    _parameter_constraints = {"distance": DISTANCE}

    def __init__(self, distance: str | Callable[..., torch.Tensor] | None = None) -> None:
        self.distance = distance

    def _mine(
        self, distances: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> Pairs | Triplets:
        return Pairs(one_per_row(-distances, positive), one_per_row(distances, negative))
