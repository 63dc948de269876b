"""SoftTriple loss."""

from numbers import Integral, Real

import torch

from skmetric._params import Interval

from ._distance import cosine, unit
from ._proxy import SAMPLED_CLASSES, ProxyLoss, proxies_of, random_directions
from ._reduction import Reduction


class SoftTripleLoss(ProxyLoss):
    r"""SoftTriple loss: cross-entropy with several centres a class, which share in each sample softly [1]_.

    .. math:: -\operatorname{mean}_i \log \frac{e^{\lambda (S_{i y_i} - \delta)}}
              {e^{\lambda (S_{i y_i} - \delta)} + \sum_{c \neq y_i} e^{\lambda S_{ic}}}, \quad
              S_{ic} = \sum_k \frac{e^{x_i^\top w_{ck} / \gamma}}{\sum_l e^{x_i^\top w_{cl} / \gamma}}
              x_i^\top w_{ck}

    Embeddings and centres are normalised inside. To this [1]_ add a penalty that merges the centres of a
    class until it has as many as it needs, the mean over classes and pairs of centres

    .. math:: \frac{\tau}{C K (K - 1)} \sum_c \sum_{k < l} \|w_{ck} - w_{cl}\|_2

    Parameters
    ----------
    margin : float, default=0.01
        Margin δ, a cosine.
    scale : float, default=20.0
        Scale λ of the logits.
    temperature : float, default=0.1
        Temperature among the centres of a class.
    n_centers : int, default=10
        Centres K of a class.
    merge_weight : float, default=0.2
        Weight τ of the penalty; 0 leaves it out.
    sampled_classes : int or None, default=None
        Compare a training batch with its own classes and random others, this many in all; None takes all.

    See Also
    --------
    SubCenterArcFaceLoss : The nearest centre alone counts.
    NormalizedSoftmaxLoss : One centre a class.

    References
    ----------
    .. [1] Q. Qian et al., "SoftTriple loss: deep metric learning without triplet sampling", ICCV 2019,
       equations 7, 9 and 10.

    Examples
    --------
    >>> import torch
    >>> loss = SoftTripleLoss().bind(n_components=2, n_classes=3)
    >>> loss.proxies.shape
    torch.Size([3, 10, 2])
    """

    _parameter_constraints = {
        "margin": [Interval(Real, 0, 2, closed="both")],
        "scale": [Interval(Real, 0, None, closed="neither")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "n_centers": [Interval(Integral, 1, None, closed="left")],
        "merge_weight": [Interval(Real, 0, None, closed="left")],
        "sampled_classes": SAMPLED_CLASSES,
    }

    def __init__(
        self,
        margin: float = 0.01,
        scale: float = 20.0,
        temperature: float = 0.1,
        n_centers: int = 10,
        merge_weight: float = 0.2,
        sampled_classes: int | None = None,
    ) -> None:
        self.margin = margin
        self.scale = scale
        self.temperature = temperature
        self.n_centers = n_centers
        self.merge_weight = merge_weight
        self.sampled_classes = sampled_classes

    def _proxies(self, n_components: int, n_classes: int, generator: torch.Generator | None) -> torch.Tensor:
        return random_directions(n_classes, self.n_centers, n_components, generator=generator)

    def _logits(self, embeddings: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        return self.scale * self._similarities(embeddings, proxies)

    def _similarities(self, embeddings: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
        """Similarities S (batch, n_classes), of which the centres of a class have their shares."""
        cosines = cosine(embeddings, centers.flatten(0, 1)).unflatten(1, centers.shape[:2])
        shares = torch.softmax(cosines / self.temperature, dim=2)  # (batch, n_classes, n_centers)
        return (shares * cosines).sum(2)

    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, proxies: torch.Tensor, reduce: Reduction
    ) -> torch.Tensor:
        own = proxies_of(labels, proxies)
        similarities = self._similarities(embeddings, proxies) - self.margin * own
        value = reduce.cross_entropy(self.scale * similarities, labels)
        return value + self.merge_weight * spread_of_centers(proxies) if self.merge_weight else value


def spread_of_centers(centers):
    """Half the mean distance between two centres of a class, normalised, as [1]_ weigh it."""
    n_classes, n_centers, _ = centers.shape
    if n_centers == 1:
        return 0
    sphere = unit(centers)
    cosines = (sphere @ sphere.mT).triu(1)  # (n_classes, n_centers, n_centers)
    distances = (
        (2 + 1e-5 - 2 * cosines).clamp_min(1e-5).sqrt().triu(1)
    )  # centres that coincide: no infinite slope
    return distances.sum() / (n_classes * n_centers * (n_centers - 1))
