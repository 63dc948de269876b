"""Lifted structured loss, as published and generalised."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skmetric._params import Interval

from ._base import BatchLoss, report_missing, share_of
from ._distance import masked_logsumexp, relations
from ._named_distances import DISTANCE, distances
from ._pair import DistancePairLoss, PairModule
from ._reduction import Reduction

_MARGIN = [Interval(Real, 0, None, closed="neither")]


class LiftedStructureLoss(BatchLoss):
    r"""Lifted structured loss: a positive pair against the negatives of both its ends [1]_.

    .. math:: \frac{1}{2} \operatorname{mean}_{(i, j)} \Bigl[\log\Bigl(\sum_{k \in N_i} e^{m - d_{ik}}
              + \sum_{l \in N_j} e^{m - d_{jl}}\Bigr) + d_{ij}\Bigr]_+^2

    over all positive pairs. The embeddings are not normalised.

    Parameters
    ----------
    margin : float, default=1.0
        Margin m.
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default="euclidean"
        The distance d. "cosine" is one minus the cosine; "dot_product" is the negative inner product. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    GeneralizedLiftedStructureLoss : Over all positives of an anchor.
    NPairsLoss : One positive an anchor.

    References
    ----------
    .. [1] H. Oh Song et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016,
       equation 4.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [1.0], [1.5]])
    >>> LiftedStructureLoss()(embeddings, torch.tensor([0, 0, 1]))  # (log(e^-.5 + e^.5) + 1)² / 2
    tensor(1.6440)
    """

    _parameter_constraints = {"margin": _MARGIN, "distance": DISTANCE}
    distance: str | Callable[..., torch.Tensor] = "euclidean"  # also of losses that earlier versions pickled

    def __init__(
        self, margin: float = 1.0, distance: str | Callable[..., torch.Tensor] = "euclidean"
    ) -> None:
        self.margin = margin
        self.distance = distance

    def _bind(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        return PairModule(clone(self)) if isinstance(self.distance, nn.Module) else self

    def _value(self, embeddings: torch.Tensor, labels: torch.Tensor, reduce: Reduction) -> torch.Tensor:
        positive, negative = relations(labels, len(labels))
        report_missing(positive, negative)
        matrix = distances(self.distance, embeddings, embeddings)
        others = masked_logsumexp(self.margin - matrix, negative)  # (batch,)
        excess = torch.relu(torch.logaddexp(others[:, None], others) + matrix)
        self.active_share_ = share_of((positive & (excess > 0),), (positive,))
        return reduce.over(excess.square() / 2, positive)


class GeneralizedLiftedStructureLoss(DistancePairLoss):
    r"""Lifted structured loss generalised to all positives of an anchor [1]_.

    .. math:: \operatorname{mean}_a \Bigl[\log \sum_{p \in P_a} e^{d_{ap}}
              + \log \sum_{n \in N_a} e^{m - d_{an}}\Bigr]_+

    over the anchors that have a positive and a negative. The embeddings are not normalised.

    Parameters
    ----------
    margin : float, default=1.0
        Margin m.
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default="euclidean"
        The distance d. "cosine" is one minus the cosine; "dot_product" is the negative inner product. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    LiftedStructureLoss : The first form, over pairs.
    NTXentLoss : A softmax over the same pairs.

    References
    ----------
    .. [1] A. Hermans, L. Beyer and B. Leibe, "In defense of the triplet loss for person re-identification",
       2017, arXiv:1703.07737, equation 7.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [1.0], [1.5]])
    >>> loss = GeneralizedLiftedStructureLoss()
    >>> loss(embeddings, torch.tensor([0, 0, 1]))  # (1 + 1 - 1.5 + 1 + 1 - .5) / 2
    tensor(1.)
    """

    _parameter_constraints = {"margin": _MARGIN, "distance": DISTANCE}

    def __init__(
        self, margin: float = 1.0, distance: str | Callable[..., torch.Tensor] = "euclidean"
    ) -> None:
        self.margin = margin
        self.distance = distance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        positive, negative = tuples
        pull = masked_logsumexp(matrix, positive)
        push = masked_logsumexp(self.margin - matrix, negative)
        costs, valid = torch.relu(pull + push), positive.any(1) & negative.any(1)
        self.active_share_ = share_of((valid & (costs > 0),), (valid,))
        return reduce.over(costs, valid)
