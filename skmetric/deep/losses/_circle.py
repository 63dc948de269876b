"""Circle loss."""

from numbers import Real
from typing import Any

import torch
from torch.nn.functional import softplus

from skmetric._params import Interval

from ._base import share_of
from ._distance import masked_logsumexp
from ._pair import SimilarityPairLoss
from ._reduction import Reduction


class CircleLoss(SimilarityPairLoss):
    r"""Circle loss: pairs weighted by how far each is from its own optimum [1]_.

    .. math:: \operatorname{mean}_a \log\Bigl(1 + \sum_{n \in N_a} e^{\gamma [S_{an} + m]_+ (S_{an} - m)}
              \sum_{p \in P_a} e^{-\gamma [1 + m - S_{ap}]_+ (S_{ap} - 1 + m)}\Bigr)

    over the anchors that have a positive and a negative; no gradient flows through the weights in brackets.
    S is the cosine: the embeddings are normalised inside.

    Parameters
    ----------
    margin : float, default=0.4
        Relaxation m; [1]_ take 0.4 for fine-grained retrieval and 0.25 for faces.
    scale : float, default=80.0
        Scale; [1]_ take 80 for fine-grained retrieval and 256 for faces.

    See Also
    --------
    MultiSimilarityLoss : Weighs pairs among those of their anchor.
    TripletMarginLoss : Weighs all violators alike.

    References
    ----------
    .. [1] Y. Sun et al., "Circle loss: a unified perspective of pair similarity optimization", CVPR 2020,
       equation 6.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> loss = CircleLoss(margin=0.25, scale=1.0)  # exponents -.25 · .25 for either kind of pair
    >>> loss(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(-.125))
    tensor(0.6326)
    """

    _parameter_constraints = {
        "margin": [Interval(Real, 0, 1, closed="both")],
        "scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, margin: float = 0.4, scale: float = 80.0) -> None:
        self.margin = margin
        self.scale = scale

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        positive, negative = tuples
        weight_near = torch.relu(1 + self.margin - matrix.detach())
        weight_far = torch.relu(matrix.detach() + self.margin)
        self.active_share_ = share_of((positive & (weight_near > 0), negative & (weight_far > 0)), tuples)
        pull = masked_logsumexp(-self.scale * weight_near * (matrix - 1 + self.margin), positive)
        push = masked_logsumexp(self.scale * weight_far * (matrix - self.margin), negative)
        return reduce.over(softplus(pull + push), positive.any(1) & negative.any(1))
