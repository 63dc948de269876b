"""Angular loss."""

import math
from numbers import Real

import torch

from skmetric._params import Interval

from ._base import BatchLoss, report_missing
from ._distance import LOW, relations, unit
from ._reduction import Reduction


class AngularLoss(BatchLoss):
    r"""Angular loss: the angle at the negative, of the triangle with a positive pair, should be small [1]_.

    .. math:: \operatorname{mean}_{(a, p)} \log\Bigl(1 + \sum_{n \in N_a} e^{f_{apn}}\Bigr), \quad
              f_{apn} = 4 \tan^2\!\alpha\, (x_a + x_p)^\top x_n - 2 (1 + \tan^2\!\alpha)\, x_a^\top x_p

    over all positive pairs and all negatives of each: the exponentials factorise, so that the sum over n is a
    matrix product. The embeddings are normalised inside.

    Parameters
    ----------
    alpha : float, default=pi/4
        Bound of the angle, in radians; [1]_ take 36 to 55 degrees, .63 to .96 radians.

    See Also
    --------
    TripletMarginLoss : The margin is a distance.
    NPairsLoss : The same softmax without angles.

    References
    ----------
    .. [1] J. Wang et al., "Deep metric learning with angular loss", ICCV 2017, equation 8.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> AngularLoss()(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(4 · 0 - 4 · 1))
    tensor(0.0181)
    """

    _parameter_constraints = {"alpha": [Interval(Real, 0, math.radians(75), closed="right")]}

    def __init__(self, alpha: float = math.pi / 4) -> None:
        self.alpha = alpha

    def _value(self, embeddings: torch.Tensor, labels: torch.Tensor, reduce: Reduction) -> torch.Tensor:
        positive, negative = relations(labels, len(labels))
        report_missing(positive, negative)
        sphere = unit(embeddings)
        cosines, squared_tan = sphere @ sphere.T, math.tan(self.alpha) ** 2
        # log Σ_n exp(u_an + u_pn), where a and p have the same negatives
        exponents = (4 * squared_tan * cosines).masked_fill(~negative, LOW)
        top = exponents.detach().amax(1, keepdim=True)
        terms = (exponents - top).exp() * negative
        sums = (terms @ terms.T).clamp_min(torch.finfo(terms.dtype).tiny)  # (batch, batch)
        costs = torch.nn.functional.softplus(sums.log() + top + top.T - 2 * (1 + squared_tan) * cosines)
        return reduce.over(costs, positive)
