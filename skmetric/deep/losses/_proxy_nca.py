"""ProxyNCA++ loss."""

from numbers import Real

import torch

from skmetric._params import Interval

from ._distance import euclidean, unit
from ._proxy import SAMPLED_CLASSES, ProxyLoss, random_directions
from ._reduction import Reduction


class ProxyNCALoss(ProxyLoss):
    r"""ProxyNCA++: the probability of the own proxy under a softmax of squared distances [1]_.

    .. math:: -\operatorname{mean}_i \log
              \frac{e^{-\|x_i - w_{y_i}\|^2 / T}}{\sum_c e^{-\|x_i - w_c\|^2 / T}}

    Unlike in ProxyNCA [2]_, the own proxy stands in the denominator too. Embeddings and proxies are
    normalised inside.

    Parameters
    ----------
    temperature : float, default=1/9
        Temperature T.
    sampled_classes : int or None, default=None
        Compare a training batch with its own classes and random others, this many in all; None takes all.

    See Also
    --------
    ProxyAnchorLoss : Anchors are the proxies instead.
    SoftNearestNeighborLoss : Without proxies.

    References
    ----------
    .. [1] E. W. Teh, T. DeVries and G. W. Taylor, "ProxyNCA++: revisiting and revitalizing proxy neighborhood
       component analysis", ECCV 2020.
    .. [2] Y. Movshovitz-Attias et al., "No fuss distance metric learning using proxies", ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> loss = ProxyNCALoss().bind(n_components=2, n_classes=3)
    >>> loss(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 2])).isfinite()
    tensor(True)
    """

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "sampled_classes": SAMPLED_CLASSES,
    }

    def __init__(self, temperature: float = 1 / 9, sampled_classes: int | None = None) -> None:
        self.temperature = temperature
        self.sampled_classes = sampled_classes

    def _proxies(self, n_components: int, n_classes: int, generator: torch.Generator | None) -> torch.Tensor:
        return random_directions(n_classes, n_components, generator=generator)

    def _logits(self, embeddings: torch.Tensor, proxies: torch.Tensor) -> torch.Tensor:
        return -euclidean(unit(embeddings), unit(proxies)).square() / self.temperature

    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, proxies: torch.Tensor, reduce: Reduction
    ) -> torch.Tensor:
        return reduce.cross_entropy(self._logits(embeddings, proxies), labels)
