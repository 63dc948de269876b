"""Multi-similarity loss with its mining."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from torch.nn.functional import softplus

from skmetric._params import Interval
from skmetric.deep.miners._multi_similarity import informative_pairs

from ._base import share_of
from ._distance import masked_logsumexp
from ._named_distances import DISTANCE
from ._pair import SimilarityPairLoss
from ._reduction import Reduction


class MultiSimilarityLoss(SimilarityPairLoss):
    r"""Multi-similarity loss: a pair weighs by its own cosine and by those of the anchor's other pairs [1]_.

    .. math:: \frac1B \sum_i \frac1\alpha \log\Bigl(1 + \sum_{p \in P_i} e^{-\alpha (S_{ip} - \lambda)}\Bigr)
              + \frac1\beta \log\Bigl(1 + \sum_{n \in N_i} e^{\beta (S_{in} - \lambda)}\Bigr)

    over the pairs that survive mining: negatives more similar than the least similar positive less ε, and
    positives less similar than the most similar negative plus ε. S is the cosine: the embeddings are
    normalised inside. With the defaults this is the loss of TensorFlow Similarity, whose tutorials use it.

    Parameters
    ----------
    alpha : float, default=2.0
        Scale of positive pairs.
    beta : float, default=40.0
        Scale of negative pairs.
    base : float, default=0.5
        Similarity λ around which pairs are weighed.
    epsilon : float or None, default=0.1
        Slack ε of the mining; None takes all pairs.
    distance : {"cosine", "euclidean", "squared_euclidean", "dot_product"} or callable, default="cosine"
        What the similarity S comes from: the cosine, the inner product, or the negative of a distance. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    CircleLoss : Weighs pairs by their own optimum.
    skmetric.deep.miners.MultiSimilarityMiner : Its miner.

    References
    ----------
    .. [1] X. Wang et al., "Multi-similarity loss with general pair weighting for deep metric learning",
       CVPR 2019: equation 15, and 11 and 12 for the mining.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> loss = MultiSimilarityLoss(epsilon=None)
    >>> loss(embeddings, torch.tensor([0, 0, 1]))  # 2/3 · log(1 + exp(-1)) / 2
    tensor(0.1044)
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "base": [Interval(Real, None, None, closed="neither")],
        "epsilon": [Interval(Real, 0, None, closed="left"), None],
        "distance": DISTANCE,
    }

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 40.0,
        base: float = 0.5,
        epsilon: float | None = 0.1,
        distance: str | Callable[..., torch.Tensor] = "cosine",
    ) -> None:
        self.alpha = alpha
        self.beta = beta
        self.base = base
        self.epsilon = epsilon
        self.distance = distance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        valid = tuples
        if self.epsilon is not None:
            tuples = informative_pairs(1 - matrix.detach(), tuples.positive, tuples.negative, self.epsilon)
        self.active_share_ = share_of(tuples, valid)
        excess = matrix - self.base
        pull = softplus(masked_logsumexp(-self.alpha * excess, tuples.positive)) / self.alpha
        push = softplus(masked_logsumexp(self.beta * excess, tuples.negative)) / self.beta
        return reduce.of_rows(pull + push)
