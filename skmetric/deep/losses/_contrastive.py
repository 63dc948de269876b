"""Contrastive loss of pairs."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._base import share_of
from ._named_distances import DISTANCE
from ._pair import DistancePairLoss
from ._reduction import Reduction


class ContrastiveLoss(DistancePairLoss):
    r"""Contrastive loss: positive pairs together, negative pairs at least a margin apart [1]_.

    .. math:: \tfrac12 \operatorname{mean}_P\, [d - m_+]_+^2 + \tfrac12 \operatorname{mean}_N\, [m - d]_+^2

    over the positive pairs P and the negative pairs N that violate their margin; each kind has its own
    mean, so that the many negative pairs of a batch do not drown the positive ones ([1]_ sums over pairs).
    The embeddings are not normalised.

    Parameters
    ----------
    margin : float, default=1.0
        Distance from which a negative pair costs nothing.
    positive_margin : float, default=0.0
        Distance up to which a positive pair costs nothing.
    squared : bool, default=True
        Squares with their factor ½, as in [1]_; False takes the excess itself.
    miner : Miner or callable, default=None
        Chooses the pairs; None takes all.
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default="euclidean"
        The distance d. "cosine" is one minus the cosine; "dot_product" is the negative inner product. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    MarginLoss : Learns the boundary between the two kinds.
    TripletMarginLoss : Compares distances with one another.

    References
    ----------
    .. [1] R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality reduction by learning an invariant mapping",
       CVPR 2006.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [1.0], [1.5]])
    >>> ContrastiveLoss()(embeddings, torch.tensor([0, 0, 1]))  # (1² + 0.5²) / 2
    tensor(0.6250)
    """

    _parameter_constraints = {
        "margin": [Interval(Real, 0, None, closed="neither")],
        "positive_margin": [Interval(Real, 0, None, closed="left")],
        "squared": ["boolean"],
        "miner": [callable, None],
        "distance": DISTANCE,
    }

    def __init__(
        self,
        margin: float = 1.0,
        positive_margin: float = 0.0,
        squared: bool = True,
        miner: Callable[..., Any] | None = None,
        distance: str | Callable[..., torch.Tensor] = "euclidean",
    ) -> None:
        self.margin = margin
        self.positive_margin = positive_margin
        self.squared = squared
        self.miner = miner
        self.distance = distance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        value, self.active_share_ = contrastive(
            matrix, tuples, self.margin, self.positive_margin, self.squared, reduce
        )
        return value


def contrastive(distances, pairs, margin, positive_margin, squared, reduce):
    """Mean cost of the positive pairs beyond their margin plus that of the negative pairs within theirs.

    Returns it, and the share of pairs that cost something.
    """
    near = torch.relu(distances - positive_margin)
    far = torch.relu(margin - distances)
    active = (pairs.positive & (near > 0), pairs.negative & (far > 0))
    costs = [0.5 * near.square(), 0.5 * far.square()] if squared else [near, far]
    value = reduce.over(costs[0], active[0]) + reduce.over(costs[1], active[1])
    return value, share_of(active, pairs)
