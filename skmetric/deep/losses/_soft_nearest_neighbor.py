"""Soft nearest neighbour loss, also known from neighbourhood components analysis."""

from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._distance import masked_logsumexp, masked_mean
from ._pair import EuclideanPairLoss


class SoftNearestNeighborLoss(EuclideanPairLoss):
    r"""Soft nearest neighbour loss: the neighbour that an anchor draws shall be of its class [1]_ [2]_.

    .. math:: -\operatorname{mean}_a \log
              \frac{\sum_{p \in P_a} e^{-d_{ap}^2 / T}}{\sum_{k \neq a} e^{-d_{ak}^2 / T}}

    over the anchors that have a positive; neighbourhood components analysis [1]_ is this with T = 1 (without
    the logarithm, in its first form). Distances are Euclidean and the embeddings are not normalised.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature T, in the unit of squared distances.

    See Also
    --------
    ProxyNCALoss : Proxies in place of neighbours.
    SupConLoss : The mean over positives outside the logarithm.

    References
    ----------
    .. [1] J. Goldberger et al., "Neighbourhood components analysis", NIPS 2004.
    .. [2] N. Frosst, N. Papernot and G. Hinton, "Analyzing and improving representations with the soft
       nearest neighbor loss", ICML 2019, equation 1.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [0.0], [1.0]])
    >>> SoftNearestNeighborLoss()(embeddings, torch.tensor([0, 0, 1]))  # -log(1 / (1 + exp(-1)))
    tensor(0.3133)
    """

    _parameter_constraints = {"temperature": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def _value(self, matrix: torch.Tensor, tuples: Any) -> torch.Tensor:
        positive, negative = tuples
        logits = -matrix.square() / self.temperature
        log_shares = masked_logsumexp(logits, positive) - masked_logsumexp(logits, positive | negative)
        return -masked_mean(log_shares, positive.any(1))
