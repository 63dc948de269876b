"""Normalised softmax: classification by cosine."""

from numbers import Real

import torch

from skmetric._params import Interval

from ._distance import cosine
from ._proxy import SAMPLED_CLASSES, ProxyLoss, random_directions
from ._reduction import Reduction


class NormalizedSoftmaxLoss(ProxyLoss):
    r"""Cross-entropy of the cosines with one proxy a class [1]_ [2]_.

    .. math:: -\operatorname{mean}_i \log \frac{e^{\cos(x_i, w_{y_i}) / T}}{\sum_c e^{\cos(x_i, w_c) / T}}

    Embeddings and proxies are normalised inside.

    Parameters
    ----------
    temperature : float, default=0.05
        Temperature T.
    sampled_classes : int or None, default=None
        Compare a training batch with its own classes and random others, this many in all; None takes all.

    See Also
    --------
    CosFaceLoss : With a margin.
    ProxyNCALoss : Squared distances instead of cosines.
    SoftTripleLoss : Several centres a class.

    References
    ----------
    .. [1] F. Wang et al., "NormFace: L2 hypersphere embedding for face verification", ACM MM 2017.
    .. [2] A. Zhai and H.-Y. Wu, "Classification is a strong baseline for deep metric learning", BMVC 2019.

    Examples
    --------
    >>> import torch
    >>> loss = NormalizedSoftmaxLoss().bind(n_components=2, n_classes=3)
    >>> loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 2])).isfinite()
    tensor(True)
    """

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "sampled_classes": SAMPLED_CLASSES,
    }

    def __init__(self, temperature: float = 0.05, sampled_classes: int | None = None) -> None:
        self.temperature = temperature
        self.sampled_classes = sampled_classes

    def _proxies(self, n_components: int, n_classes: int, generator: torch.Generator | None) -> torch.Tensor:
        return random_directions(n_classes, n_components, generator=generator)

    def _logits(self, embeddings: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        return cosine(embeddings, proxies) / self.temperature

    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, proxies: torch.Tensor, reduce: Reduction
    ) -> torch.Tensor:
        return reduce.cross_entropy(self._logits(embeddings, proxies), labels)
