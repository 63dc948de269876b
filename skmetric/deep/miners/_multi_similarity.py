"""Multi-similarity mining."""

from collections.abc import Callable
from numbers import Real

import torch

from skmetric._params import Interval

from ._base import DISTANCE, Miner, Pairs, Triplets


class MultiSimilarityMiner(Miner):
    """Pairs that the anchor's pairs of the other kind call into question [1]_.

    A negative counts if it is nearer than the anchor's farthest positive plus ε; a positive counts if it is
    farther than the anchor's nearest negative less ε. [1]_ state this for cosines: on ``1 - cosine`` the two
    rules are the same.

    Parameters
    ----------
    epsilon : float, default=0.1
        Slack, in the unit of the distances.
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default=None
        Distance that the choice is by, as in :class:`~skmetric.deep.losses.TripletMarginLoss`; None uses the
        one that the loss compares by.

    See Also
    --------
    skmetric.deep.losses.MultiSimilarityLoss : The loss that it was made for.
    BatchHardMiner : One pair of each kind.

    References
    ----------
    .. [1] X. Wang et al., "Multi-similarity loss with general pair weighting for deep metric learning",
       CVPR 2019, equations 11 and 12.

    Examples
    --------
    >>> import torch
    >>> distances = torch.tensor([[0.0, 0.5, 0.55, 2.0]])
    >>> MultiSimilarityMiner()(distances, torch.tensor([0, 0, 1, 1])).negative
    tensor([[False, False,  True, False]])
    """

    _parameter_constraints = {"epsilon": [Interval(Real, 0, None, closed="left")], "distance": DISTANCE}

    def __init__(
        self, epsilon: float = 0.1, distance: str | Callable[..., torch.Tensor] | None = None
    ) -> None:
        self.epsilon = epsilon
        self.distance = distance

    def _mine(
        self, distances: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> Pairs | Triplets:
        return informative_pairs(distances, positive, negative, self.epsilon)


def informative_pairs(distances: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, epsilon):
    """Negatives nearer than the farthest positive, positives farther than the nearest negative."""
    farthest = distances.masked_fill(~positive, -torch.inf).amax(1, keepdim=True)
    nearest = distances.masked_fill(~negative, torch.inf).amin(1, keepdim=True)
    return Pairs(positive & (distances > nearest - epsilon), negative & (distances < farthest + epsilon))
