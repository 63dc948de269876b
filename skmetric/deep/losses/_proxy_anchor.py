"""Proxy anchor loss."""

from numbers import Real

import torch
from torch.nn.functional import softplus

from skmetric._params import Interval

from ._distance import cosine, masked_logsumexp, masked_mean
from ._proxy import SAMPLED_CLASSES, ProxyLoss, proxies_of, random_directions
from ._reduction import Reduction


class ProxyAnchorLoss(ProxyLoss):
    r"""Proxy anchor loss: each proxy pulls its samples and pushes the others, the hardest the most [1]_.

    .. math::

        \operatorname{mean}_{c \in C^+} \log\Bigl(1 + \sum_{y_i = c} e^{-\alpha (S_{ic} - \delta)}\Bigr)
        + \operatorname{mean}_{c \in C} \log\Bigl(1 + \sum_{y_i \ne c} e^{\alpha (S_{ic} + \delta)}\Bigr)

    with :math:`C^+` the classes of the batch. S is the cosine: embeddings and proxies are normalised inside.

    Parameters
    ----------
    margin : float, default=0.1
        Margin δ, a cosine.
    alpha : float, default=32.0
        Scale of the exponents.
    sampled_classes : int or None, default=None
        Compare a training batch with its own classes and random others, this many in all; None takes all.

    See Also
    --------
    ProxyNCALoss : Anchors are samples instead.
    MultiSimilarityLoss : The same form over pairs of samples.

    References
    ----------
    .. [1] S. Kim et al., "Proxy anchor loss for deep metric learning", CVPR 2020, equation 4.

    Examples
    --------
    >>> import torch
    >>> loss = ProxyAnchorLoss().bind(n_components=2, n_classes=3)
    >>> loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 2])).isfinite()
    tensor(True)
    """

    _by_row = False  # proxies are the anchors
    _parameter_constraints = {
        "margin": [Interval(Real, 0, 1, closed="both")],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "sampled_classes": SAMPLED_CLASSES,
    }

    def __init__(self, margin: float = 0.1, alpha: float = 32.0, sampled_classes: int | None = None) -> None:
        self.margin = margin
        self.alpha = alpha
        self.sampled_classes = sampled_classes

    def _proxies(self, n_components: int, n_classes: int, generator: torch.Generator | None) -> torch.Tensor:
        return random_directions(n_classes, n_components, generator=generator)

    def _logits(self, embeddings: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        return self.alpha * cosine(embeddings, proxies)

    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, proxies: torch.Tensor, reduce: Reduction
    ) -> torch.Tensor:
        cosines, own = cosine(embeddings, proxies), proxies_of(labels, proxies)  # (batch, n_classes)
        pull = softplus(masked_logsumexp(-self.alpha * (cosines - self.margin), own, dim=0))
        push = softplus(masked_logsumexp(self.alpha * (cosines + self.margin), ~own, dim=0))
        return masked_mean(pull, own.any(0)) + push.mean()
