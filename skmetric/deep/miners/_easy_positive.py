"""Easy-positive mining."""

from collections.abc import Callable

import torch

from skmetric._params import StrOptions

from ._base import DISTANCE, Miner, Pairs, Triplets, one_per_row


class EasyPositiveMiner(Miner):
    """For each anchor its nearest positive, so that a class may keep several modes [1]_.

    The other positives of the anchor are let be, wherever they lie.

    Parameters
    ----------
    negatives : {"semi-hard", "hard", "all"}, default="semi-hard"
        The nearest negative that is farther than the positive chosen (none if there is none), the nearest
        one, or all.
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default=None
        Distance that the choice is by, as in :class:`~skmetric.deep.losses.TripletMarginLoss`; None uses the
        one that the loss compares by.

    See Also
    --------
    BatchHardMiner : The farthest positive instead.
    SemiHardMiner : All positives.

    References
    ----------
    .. [1] H. Xuan, A. Stylianou and R. Pless, "Improved embeddings with easy positive triplet mining",
       WACV 2020.

    Examples
    --------
    >>> import torch
    >>> distances = torch.tensor([[0.0, 0.5, 1.0, 0.4, 0.7]])
    >>> pairs = EasyPositiveMiner()(distances, torch.tensor([0, 0, 0, 1, 1]))
    >>> pairs.positive, pairs.negative
    (tensor([[False,  True, False, False, False]]), tensor([[False, False, False, False,  True]]))
    """

    _parameter_constraints = {"negatives": [StrOptions({"semi-hard", "hard", "all"})], "distance": DISTANCE}

    def __init__(
        self, negatives: str = "semi-hard", distance: str | Callable[..., torch.Tensor] | None = None
    ) -> None:
        self.negatives = negatives
        self.distance = distance

    def _mine(
        self, distances: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> Pairs | Triplets:
        easiest = one_per_row(distances, positive)
        if self.negatives == "all":
            return Pairs(easiest, negative)
        if self.negatives == "semi-hard":
            reach = distances.masked_fill(~easiest, torch.inf).amin(1, keepdim=True)
            negative = negative & (distances > reach)
        return Pairs(easiest, one_per_row(distances, negative))
