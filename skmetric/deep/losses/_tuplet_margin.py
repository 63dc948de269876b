"""Tuplet margin loss."""

import math
from numbers import Real
from typing import Any

import torch
from torch.nn.functional import softplus

from skmetric._params import Interval

from ._distance import masked_logsumexp, sine
from ._pair import SimilarityPairLoss
from ._reduction import Reduction


class TupletMarginLoss(SimilarityPairLoss):
    r"""Tuplet margin loss: a positive, its angle narrowed by a margin, against all negatives [1]_.

    .. math:: \operatorname{mean}_{(a, p)} \log\Bigl(1 + \sum_{n \in N_a}
              e^{s (\cos\theta_{an} - \cos(\theta_{ap} - \beta))}\Bigr)

    over all positive pairs. The embeddings are normalised inside. The margin makes the loss easier for
    positives that are apart, and harder for those that coincide, against overfitting.

    Parameters
    ----------
    margin : float, default=0.1
        Slack margin β in radians.
    scale : float, default=64.0
        Scale s.

    See Also
    --------
    NPairsLoss : Without a margin.
    TripletMarginLoss : One negative at a time.

    References
    ----------
    .. [1] B. Yu and D. Tao, "Deep metric learning with tuplet margin loss", ICCV 2019, equation 5.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> loss = TupletMarginLoss(margin=0.0, scale=1.0)
    >>> loss(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(0 - 1))
    tensor(0.3133)
    """

    _parameter_constraints = {
        "margin": [Interval(Real, 0, math.pi / 2, closed="both")],
        "scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, margin: float = 0.1, scale: float = 64.0) -> None:
        self.margin = margin
        self.scale = scale

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        positive, negative = tuples
        narrowed = matrix * math.cos(self.margin) + sine(matrix) * math.sin(self.margin)  # cos(θ - β)
        others = masked_logsumexp(self.scale * matrix, negative)[:, None]  # (n_anchors, 1)
        return reduce.over(softplus(others - self.scale * narrowed), positive)
