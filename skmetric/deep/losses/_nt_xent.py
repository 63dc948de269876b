"""NT-Xent, also called InfoNCE: each positive against all negatives."""

from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._distance import masked_logsumexp, masked_mean
from ._pair import CosinePairLoss


class NTXentLoss(CosinePairLoss):
    r"""NT-Xent or InfoNCE: pick the positive out among the anchor's negatives [1]_ [2]_.

    .. math:: -\operatorname{mean}_{(a, p)} \log
              \frac{e^{S_{ap} / \tau}}{e^{S_{ap} / \tau} + \sum_{n \in N_a} e^{S_{an} / \tau}}

    over all positive pairs; other positives of the anchor stand in no denominator, which with two samples a
    class is the loss of [2]_. S is the cosine: the embeddings are normalised inside.

    Parameters
    ----------
    temperature : float, default=0.07
        Temperature τ.

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

    _parameter_constraints = {"temperature": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, temperature: float = 0.07) -> None:
        self.temperature = temperature

    def _value(self, matrix: torch.Tensor, tuples: Any) -> torch.Tensor:
        return nt_xent(matrix / self.temperature, *tuples)


def nt_xent(logits, positive: torch.Tensor, negative: torch.Tensor):
    """Mean over positive pairs of -log softmax among the pair itself and the anchor's negatives."""
    others = masked_logsumexp(logits, negative)[:, None]  # (n_anchors, 1)
    return masked_mean(torch.nn.functional.softplus(others - logits), positive)
