"""Soft nearest neighbour loss, also known from neighbourhood components analysis."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._distance import masked_logsumexp
from ._named_distances import DISTANCE
from ._pair import DistancePairLoss
from ._reduction import Reduction


class SoftNearestNeighborLoss(DistancePairLoss):
    r"""Soft nearest neighbour loss: the neighbour that an anchor draws shall be of its class [1]_ [2]_.

    .. math:: -\operatorname{mean}_a \log
              \frac{\sum_{p \in P_a} e^{-D_{ap} / T}}{\sum_{k \neq a} e^{-D_{ak} / T}}

    over the anchors that have a positive; neighbourhood components analysis [1]_ is this with T = 1 (without
    the logarithm, in its first form). D is the squared Euclidean distance; the embeddings are not normalised.

    Parameters
    ----------
    temperature : float, default=1.0
        Temperature T, in the unit of D.
    distance : str or callable, default="squared_euclidean"
        The distance D: "squared_euclidean", "euclidean", "cosine" or "dot_product". "cosine" is one minus the
        cosine; "dot_product" is the negative inner product. A callable or module gives the matrix (n, m) of
        distances between n and m rows.

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

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance": DISTANCE,
    }

    def __init__(
        self,
        temperature: float = 1.0,
        distance: str | Callable[..., torch.Tensor] = "squared_euclidean",
    ) -> None:
        self.temperature = temperature
        self.distance = distance

    def _given(self, matrix: torch.Tensor) -> torch.Tensor:
        return matrix.square() if self.distance == "squared_euclidean" else matrix

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        positive, negative = tuples
        logits = -matrix / self.temperature
        log_shares = masked_logsumexp(logits, positive) - masked_logsumexp(logits, positive | negative)
        return -reduce.over(log_shares, positive.any(1))
