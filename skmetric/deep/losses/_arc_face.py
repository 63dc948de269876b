"""ArcFace: a margin on the angle, with one proxy a class or several."""

import math
from numbers import Integral, Real

import torch

from skmetric._params import Interval

from ._distance import cosine, sine
from ._proxy import SAMPLED_CLASSES, ProxyLoss, proxies_of, random_directions
from ._reduction import Reduction

_COMMON = {
    "margin": [Interval(Real, 0, math.pi / 2, closed="both")],
    "scale": [Interval(Real, 0, None, closed="neither")],
    "sampled_classes": SAMPLED_CLASSES,
}


class ArcFaceLoss(ProxyLoss):
    r"""ArcFace: cross-entropy of cosines, the angle to the sample's own class widened by a margin [1]_.

    .. math:: -\operatorname{mean}_i \log \frac{e^{s \cos(\theta_{i y_i} + m)}}
              {e^{s \cos(\theta_{i y_i} + m)} + \sum_{c \neq y_i} e^{s \cos\theta_{ic}}}

    Where θ + m would pass π, cos θ - m sin m takes over, so that the loss keeps falling with the angle, as in
    the authors' code. Embeddings and proxies are normalised inside.

    Parameters
    ----------
    margin : float, default=0.5
        Margin m in radians.
    scale : float, default=64.0
        Scale s of the logits.
    sampled_classes : int or None, default=None
        Compare a training batch with its own classes and random others, this many in all; None takes all.

    See Also
    --------
    CosFaceLoss : The margin is on the cosine.
    SubCenterArcFaceLoss : Several proxies a class, for noisy labels.

    References
    ----------
    .. [1] J. Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019,
       equation 3.

    Examples
    --------
    >>> import torch
    >>> loss = ArcFaceLoss().bind(n_components=2, n_classes=3)
    >>> loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 2])).isfinite()
    tensor(True)
    """

    _parameter_constraints = _COMMON

    def __init__(self, margin: float = 0.5, scale: float = 64.0, sampled_classes: int | None = None) -> None:
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
        return arc_face(cosine(embeddings, proxies), labels, proxies, self.margin, self.scale, reduce)


class SubCenterArcFaceLoss(ProxyLoss):
    r"""ArcFace with several proxies a class, of which the nearest speaks for it [1]_.

    As :class:`ArcFaceLoss` with :math:`\cos\theta_{ic} = \max_k \cos(x_i, w_{ck})`: noisy or unusual samples
    gather around other proxies and leave the main one clean. Embeddings and proxies are normalised
    inside.

    Parameters
    ----------
    margin : float, default=0.5
        Margin in radians.
    scale : float, default=64.0
        Scale of the logits.
    n_centers : int, default=3
        Proxies of a class.
    sampled_classes : int or None, default=None
        Compare a training batch with its own classes and random others, this many in all; None takes all.

    See Also
    --------
    ArcFaceLoss : One proxy a class.
    SoftTripleLoss : Centres that share softly.

    References
    ----------
    .. [1] J. Deng et al., "Sub-center ArcFace: boosting face recognition by large-scale noisy web faces",
       ECCV 2020.

    Examples
    --------
    >>> import torch
    >>> loss = SubCenterArcFaceLoss().bind(n_components=2, n_classes=3)
    >>> loss.proxies.shape
    torch.Size([3, 3, 2])
    """

    _parameter_constraints = {**_COMMON, "n_centers": [Interval(Integral, 1, None, closed="left")]}

    def __init__(
        self, margin: float = 0.5, scale: float = 64.0, n_centers: int = 3, sampled_classes: int | None = None
    ) -> None:
        self.margin = margin
        self.scale = scale
        self.n_centers = n_centers
        self.sampled_classes = sampled_classes

    def _proxies(self, n_components: int, n_classes: int, generator: torch.Generator | None) -> torch.Tensor:
        return random_directions(n_classes, self.n_centers, n_components, generator=generator)

    def _logits(self, embeddings: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        return self.scale * self._cosines(embeddings, proxies)

    def _cosines(self, embeddings: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        """Cosines with the nearest proxy of each class, (batch, n_classes)."""
        cosines = cosine(embeddings, proxies.flatten(0, 1)).unflatten(1, proxies.shape[:2])
        return cosines.amax(2)

    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, proxies: torch.Tensor, reduce: Reduction
    ) -> torch.Tensor:
        cosines = self._cosines(embeddings, proxies)
        return arc_face(cosines, labels, proxies, self.margin, self.scale, reduce)


def arc_face(cosines, labels: torch.Tensor, proxies: torch.Tensor, margin, scale, reduce: Reduction):
    """Cross-entropy of cosines (batch, n_classes), with the margin on the angle of the sample's own class."""
    widened = cosines * math.cos(margin) - sine(cosines) * math.sin(margin)  # cos(θ + m)
    beyond = cosines - margin * math.sin(margin)
    own = torch.where(cosines >= -math.cos(margin), widened, beyond)
    return reduce.cross_entropy(scale * torch.where(proxies_of(labels, proxies), own, cosines), labels)
