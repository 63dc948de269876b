"""Distance-weighted sampling of negatives."""

from numbers import Integral, Real

import numpy as np
import torch

from skmetric._params import Interval

from ._base import Miner, Pairs, Triplets


class DistanceWeightedMiner(Miner):
    r"""All positives, and as many negatives of each anchor, drawn evenly over the distances [1]_.

    Points on the unit sphere of dimension n lie at distance d with density

    .. math:: q(d) \propto d^{n - 2} \bigl(1 - d^2 / 4\bigr)^{(n - 3) / 2},

    so nearly all at √2; a negative is drawn, without replacement, with weight 1/q(d). Embeddings must be
    normalised.

    Parameters
    ----------
    n_components : int
        Dimension n of the embeddings.
    cutoff : float, default=0.5
        Nearer negatives are drawn as if they were at this distance, which bounds the noise.
    max_distance : float, default=1.4
        Farther negatives are not drawn: they cost nothing.
    random_state : int or None, default=None
        Seed; the miner counts its draws, so that a copy goes on as the original would. None is unpredictable.

    See Also
    --------
    skmetric.deep.losses.MarginLoss : The loss that it was made for.
    BatchHardMiner : The nearest negative alone.

    References
    ----------
    .. [1] C.-Y. Wu et al., "Sampling matters in deep embedding learning", ICCV 2017, section 4.1.

    Examples
    --------
    >>> import torch
    >>> distances = torch.tensor([[0.0, 0.5, 1.0, 1.5]])
    >>> DistanceWeightedMiner(n_components=8)(distances, torch.tensor([0, 0, 1, 1])).negative
    tensor([[False, False,  True, False]])
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 2, None, closed="left")],
        "cutoff": [Interval(Real, 0, 2, closed="neither")],
        "max_distance": [Interval(Real, 0, 2, closed="right")],
        "random_state": [Interval(Integral, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        n_components: int,
        cutoff: float = 0.5,
        max_distance: float = 1.4,
        random_state: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.cutoff = cutoff
        self.max_distance = max_distance
        self.random_state = random_state

    def _mine(
        self, distances: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor
    ) -> Pairs | Triplets:
        eligible = negative & (distances < self.max_distance)
        keys = self._log_weights(distances) + self._gumbel(distances)  # the largest keys are a weighted draw
        rank = keys.masked_fill(~eligible, -torch.inf).argsort(1, descending=True).argsort(1)
        return Pairs(positive, eligible & (rank < positive.sum(1, keepdim=True)))

    def _log_weights(self, distances: torch.Tensor):
        d = distances.clamp(self.cutoff, self.max_distance)
        log_far = torch.log1p(-(d / 2).square().clamp_max(1 - 1e-6))
        return -(self.n_components - 2) * d.log() - (self.n_components - 3) / 2 * log_far

    def _gumbel(self, like):
        seed, n_draws = getattr(self, "_drawn", (self.random_state, 0))
        if seed is None:
            seed = int(np.random.default_rng().integers(2**31))
        self._drawn = seed, n_draws + 1
        generator = torch.Generator().manual_seed(seed + 7919 * n_draws)
        uniform = torch.rand(like.shape, generator=generator, dtype=torch.float64)
        return -(-uniform.clamp_min(1e-300).log()).log().to(like.device, like.dtype)
