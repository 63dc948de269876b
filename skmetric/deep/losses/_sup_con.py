"""Supervised contrastive loss."""

from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._distance import masked_logsumexp, masked_mean
from ._pair import SimilarityPairLoss


class SupConLoss(SimilarityPairLoss):
    r"""Supervised contrastive loss, with the mean over positives outside the logarithm [1]_.

    .. math:: -\operatorname{mean}_a \frac{1}{|P_a|} \sum_{p \in P_a} \log
              \frac{e^{S_{ap} / \tau}}{\sum_{k \neq a} e^{S_{ak} / \tau}}

    over the anchors that have a positive. S is the cosine: the embeddings are normalised inside.

    Parameters
    ----------
    temperature : float, default=0.1
        Temperature τ.

    See Also
    --------
    NTXentLoss : One positive at a time.
    SimCLRLoss : For two views without labels.

    References
    ----------
    .. [1] P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020, equation 2.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> SupConLoss(temperature=1.0)(embeddings, torch.tensor([0, 0, 1]))  # -log(e / (e + 1))
    tensor(0.3133)
    """

    _parameter_constraints = {"temperature": [Interval(Real, 0, None, closed="neither")]}

    def __init__(self, temperature: float = 0.1) -> None:
        self.temperature = temperature

    def _value(self, matrix: torch.Tensor, tuples: Any) -> torch.Tensor:
        positive, negative = tuples
        logits = matrix / self.temperature
        log_shares = logits - masked_logsumexp(logits, positive | negative)[:, None]
        n_positives = positive.sum(1)
        means = torch.where(positive, log_shares, 0).sum(1) / n_positives.clamp_min(1)  # (n_anchors,)
        return -masked_mean(means, n_positives > 0)
