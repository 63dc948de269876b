"""CLIP's and SigLIP's losses of pairs from two sources."""

import math
from numbers import Real

import torch
from torch.nn.functional import cross_entropy, logsigmoid

from skmetric._params import Interval

from ._distance import LOW, cosine
from ._views import TwoViewsParametricLoss


class CLIPLoss(TwoViewsParametricLoss):
    r"""CLIP's loss: an image picks its caption out and a caption its image, at a learned temperature [1]_.

    .. math:: -\frac{1}{2n} \sum_i \log \frac{e^{t S_{ii}}}{\sum_j e^{t S_{ij}}}
              + \log \frac{e^{t S_{ii}}}{\sum_j e^{t S_{ji}}}

    with S the cosines between the first and the second members of pairs: the first and second row of a label,
    ``torch.cat([images, texts])`` with labels ``torch.arange(n).repeat(2)``. Pairs of equal label are no
    negatives of each other. The scale t, at most 100, is learned. The embeddings are normalised inside.

    Parameters
    ----------
    temperature : float, default=0.07
        Temperature 1/t to start from.

    See Also
    --------
    SigLIPLoss : Judges each pair for itself.
    NTXentLoss : The same within one set of embeddings.

    References
    ----------
    .. [1] A. Radford et al., "Learning transferable visual models from natural language supervision",
       ICML 2021, figure 3.

    Examples
    --------
    >>> import torch
    >>> loss = CLIPLoss(temperature=1.0).bind(n_components=2, n_classes=2)
    >>> images = texts = torch.eye(2)
    >>> loss(torch.cat([images, texts]), torch.tensor([0, 1, 0, 1])).item()  # -log(e / (e + 1))
    0.313...
    """

    _parameter_constraints = {"temperature": [Interval(Real, 0.01, None, closed="left")]}

    def __init__(self, temperature: float = 0.07) -> None:
        self.temperature = temperature

    def _parameters(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        return {"log_scale": torch.tensor(-math.log(self.temperature))}

    def _between(self, first: torch.Tensor, second: torch.Tensor, same, log_scale) -> torch.Tensor:
        logits = log_scale.exp().clamp_max(100) * cosine(first, second)  # (n_pairs, n_pairs)
        own = torch.eye(len(same), dtype=torch.bool, device=same.device)
        logits = logits.masked_fill(same & ~own, LOW)
        target = torch.arange(len(logits), device=logits.device)
        return (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2


class SigLIPLoss(TwoViewsParametricLoss):
    r"""SigLIP's loss: each image with each caption is a separate yes-or-no question [1]_.

    .. math:: -\frac{1}{n} \sum_{i, j} \log \sigma\bigl(z_{ij} (t S_{ij} + b)\bigr)

    with S the cosines between the first and the second members of pairs (as in :class:`CLIPLoss`) and z = 1
    for i = j, else -1. Other pairs of equal label are left out. Scale t and bias b are learned. The
    embeddings are normalised inside.

    Parameters
    ----------
    scale : float, default=10.0
        Scale t to start from.
    bias : float, default=-10.0
        Bias b to start from.

    See Also
    --------
    CLIPLoss : A softmax over the batch.

    References
    ----------
    .. [1] X. Zhai et al., "Sigmoid loss for language image pre-training", ICCV 2023, equation 1.

    Examples
    --------
    >>> import torch
    >>> loss = SigLIPLoss(scale=1.0, bias=0.0).bind(n_components=2, n_classes=2)
    >>> images = texts = torch.eye(2)
    >>> loss(torch.cat([images, texts]), torch.tensor([0, 1, 0, 1])).item()  # log(1 + 1/e) + log 2
    1.006...
    """

    _parameter_constraints = {
        "scale": [Interval(Real, 0, None, closed="neither")],
        "bias": [Interval(Real, None, None, closed="neither")],
    }

    def __init__(self, scale: float = 10.0, bias: float = -10.0) -> None:
        self.scale = scale
        self.bias = bias

    def _parameters(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        return {"log_scale": torch.tensor(math.log(self.scale)), "bias": torch.tensor(float(self.bias))}

    def _between(self, first: torch.Tensor, second: torch.Tensor, same, log_scale, bias) -> torch.Tensor:
        logits = log_scale.exp() * cosine(first, second) + bias  # (n_pairs, n_pairs)
        own = torch.eye(len(same), dtype=torch.bool, device=same.device)
        costs = -logsigmoid(torch.where(own, logits, -logits))
        return torch.where(own | ~same, costs, 0).sum() / len(costs)
