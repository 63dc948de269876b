"""CosFace: a margin on the cosine."""

from numbers import Real

import torch

from skmetric._params import Interval

from ._distance import cosine
from ._proxy import SAMPLED_CLASSES, ProxyLoss, proxies_of, random_directions
from ._reduction import Reduction


class CosFaceLoss(ProxyLoss):
    r"""CosFace: cross-entropy of cosines, that of the sample's own class lowered by a margin [1]_.

    .. math:: -\operatorname{mean}_i \log \frac{e^{s (\cos\theta_{i y_i} - m)}}
              {e^{s (\cos\theta_{i y_i} - m)} + \sum_{c \neq y_i} e^{s \cos\theta_{ic}}}

    Embeddings and proxies are normalised inside.

    Parameters
    ----------
    margin : float, default=0.35
        Margin m, a difference of cosines.
    scale : float, default=64.0
        Scale s of the logits.
    sampled_classes : int or None, default=None
        Compare a training batch with its own classes and random others, this many in all; None takes all.

    See Also
    --------
    ArcFaceLoss : The margin is on the angle.
    NormalizedSoftmaxLoss : Without a margin.

    References
    ----------
    .. [1] H. Wang et al., "CosFace: large margin cosine loss for deep face recognition", CVPR 2018,
       equation 4.

    Examples
    --------
    >>> import torch
    >>> loss = CosFaceLoss().bind(n_components=2, n_classes=3)
    >>> loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 2])).isfinite()
    tensor(True)
    """

    _parameter_constraints = {
        "margin": [Interval(Real, 0, 2, closed="both")],
        "scale": [Interval(Real, 0, None, closed="neither")],
        "sampled_classes": SAMPLED_CLASSES,
    }

    def __init__(self, margin: float = 0.35, scale: float = 64.0, sampled_classes: int | None = None) -> None:
        self.margin = margin
        self.scale = scale
        self.sampled_classes = sampled_classes

    def _proxies(self, n_components: int, n_classes: int, generator: torch.Generator | None) -> torch.Tensor:
        return random_directions(n_classes, n_components, generator=generator)

    def _logits(self, embeddings: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        return self.scale * cosine(embeddings, proxies)

    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, proxies: torch.Tensor, reduce: Reduction
    ) -> torch.Tensor:
        lowered = cosine(embeddings, proxies) - self.margin * proxies_of(labels, proxies)
        return reduce.cross_entropy(self.scale * lowered, labels)
