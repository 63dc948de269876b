"""NT-Xent, also called InfoNCE: each positive against all negatives."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval
from skmetric.deep.miners._base import Pairs

from ._distance import masked_logsumexp
from ._named_distances import DISTANCE
from ._pair import SimilarityPairLoss
from ._reduction import Reduction


class NTXentLoss(SimilarityPairLoss):
    r"""NT-Xent or InfoNCE: pick the positive out among the anchor's negatives [1]_ [2]_.

    .. math:: -\operatorname{mean}_{(a, p)} \log
              \frac{e^{S_{ap} / \tau}}{e^{S_{ap} / \tau} + \sum_{n \in N_a} e^{S_{an} / \tau}}

    over all positive pairs; other positives of the anchor stand in no denominator, which with two samples a
    class is the loss of [2]_. S is the cosine: the embeddings are normalised inside.

    Parameters
    ----------
    temperature : float, default=0.07
        Temperature τ.
    distance : {"cosine", "euclidean", "squared_euclidean", "dot_product"} or callable, default="cosine"
        What the similarity S comes from: the cosine, the inner product, or the negative of a distance. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    SupConLoss : The mean over positives outside the logarithm.
    SimCLRLoss : For two views without labels.

    References
    ----------
    .. [1] A. van den Oord, Y. Li and O. Vinyals, "Representation learning with contrastive predictive
       coding", 2018, arXiv:1807.03748.
    .. [2] T. Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> NTXentLoss(temperature=1.0)(embeddings, torch.tensor([0, 0, 1]))  # -log(e / (e + 1))
    tensor(0.3133)
    """

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance": DISTANCE,
    }

    def __init__(
        self, temperature: float = 0.07, distance: str | Callable[..., torch.Tensor] = "cosine"
    ) -> None:
        self.temperature = temperature
        self.distance = distance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        return nt_xent(matrix / self.temperature, tuples, reduce)


def nt_xent(logits: torch.Tensor, pairs: Pairs, reduce: Reduction):
    """Mean over positive pairs of -log softmax among the pair itself and the anchor's negatives."""
    others = masked_logsumexp(logits, pairs.negative)[:, None]  # (n_anchors, 1)
    return reduce.over(torch.nn.functional.softplus(others - logits), pairs.positive)
