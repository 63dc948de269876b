"""Contrastive loss of the signal-to-noise ratio."""

from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._contrastive import contrastive
from ._distance import euclidean
from ._pair import PairLoss
from ._reduction import Reduction


class SNRContrastiveLoss(PairLoss):
    r"""Contrastive loss of a noise-to-signal ratio: variance of the difference over that of the anchor [1]_.

    .. math:: \operatorname{mean}_P\, [d - m_+]_+ + \operatorname{mean}_N\, [m - d]_+
              + \lambda \operatorname{mean}_i \Bigl|\sum_k x_{ik}\Bigr|, \quad
              d_{ij} = \frac{\operatorname{var}(x_i - x_j)}{\operatorname{var}(x_i)}

    with variances over the components of a vector, and each mean over the pairs that violate their margin.
    The embeddings are not normalised. The last term is the zero-mean penalty of [1]_: it makes the variance
    of an embedding its energy. It is left out where pairs are given without embeddings (`from_matrix`).

    Parameters
    ----------
    margin : float, default=0.2
        Ratio from which a negative pair costs nothing.
    positive_margin : float, default=0.01
        Ratio up to which a positive pair costs nothing.
    mean_weight : float, default=0.005
        Weight λ of the zero-mean penalty, as [2]_ set it; 0 leaves it out.

    See Also
    --------
    ContrastiveLoss : The same with a distance.

    References
    ----------
    .. [1] T. Yuan et al., "Signal-to-noise ratio: a robust distance metric for deep metric learning",
       CVPR 2019, equations 7 and 9.
    .. [2] K. Roth et al., "Revisiting training strategies and generalization performance in deep metric
       learning", ICML 2020.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, -1.0], [2.0, -2.0], [1.0, -1.0]])  # ratios 1, 1/4 and 0
    >>> loss = SNRContrastiveLoss(margin=0.5, positive_margin=0.0)
    >>> loss(embeddings, torch.tensor([0, 0, 1]))  # (1 + .25) / 2 + (.5 + .25 + .5) / 3, means are 0
    tensor(1.0417)
    """

    _parameter_constraints = {
        "margin": [Interval(Real, 0, None, closed="neither")],
        "positive_margin": [Interval(Real, 0, None, closed="left")],
        "mean_weight": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self, margin: float = 0.2, positive_margin: float = 0.01, mean_weight: float = 0.005
    ) -> None:
        self.margin = margin
        self.positive_margin = positive_margin
        self.mean_weight = mean_weight

    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        signal = embeddings - embeddings.mean(1, keepdim=True)  # variances are squared lengths of these
        noise = euclidean(signal, others - others.mean(1, keepdim=True)).square()  # (batch, n_others)
        return noise / signal.square().sum(1, keepdim=True).clamp_min(1e-6)

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        value, self.active_share_ = contrastive(
            matrix, tuples, self.margin, self.positive_margin, False, reduce
        )
        return value

    def _penalty(self, embeddings: torch.Tensor, reduce: Reduction) -> torch.Tensor:
        return self.mean_weight * reduce.of_rows(embeddings.sum(1).abs())
