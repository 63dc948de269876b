"""Semi-hard mining."""

from collections.abc import Callable

import torch

from ._base import DISTANCE, Miner, Pairs, Triplets


class SemiHardMiner(Miner):
    """For each positive pair the nearest negative that is farther than the positive [1]_.

    Where all negatives are nearer than the positive, the farthest of them is taken, as in TensorFlow Addons,
    or the pair is left out. The anchors' negatives are sorted once: O(batch² log batch).

    Parameters
    ----------
    fallback : bool, default=True
        Take the farthest negative where none is farther than the positive; False leaves the pair out.
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default=None
        Distance that the choice is by, as in :class:`~skmetric.deep.losses.TripletMarginLoss`; None uses the
        one that the loss compares by.

    See Also
    --------
    BatchHardMiner : The hardest of all.
    DistanceWeightedMiner : Negatives at all distances.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: a unified embedding for face recognition and
       clustering", CVPR 2015, section 3.2.

    Examples
    --------
    >>> import torch
    >>> distances = torch.tensor([[0.0, 0.5, 0.4, 0.7, 0.9]])
    >>> SemiHardMiner()(distances, torch.tensor([0, 0, 1, 1, 1])).negative
    tensor([3])
    """

    _parameter_constraints = {"fallback": ["boolean"], "distance": DISTANCE}

    def __init__(
        self, fallback: bool = True, distance: str | Callable[..., torch.Tensor] | None = None
    ) -> None:
        self.fallback = fallback
        self.distance = distance

    def _mine(
        self, distances: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> Pairs | Triplets:
        ascending, order = distances.masked_fill(~negative, torch.inf).sort(1)  # (n_anchors, n_others)
        n_negatives = negative.sum(1, keepdim=True)
        first_farther = torch.searchsorted(ascending, distances, right=True)
        keep = positive & (n_negatives > 0)
        if not self.fallback:
            keep &= first_farther < n_negatives
        chosen = order.gather(1, first_farther.minimum(n_negatives - 1).clamp_min(0))
        anchor, column = keep.nonzero(as_tuple=True)
        return Triplets(anchor, column, chosen[anchor, column])
