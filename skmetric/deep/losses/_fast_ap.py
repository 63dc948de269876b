"""FastAP loss."""

from numbers import Integral
from typing import Any

import torch

from skmetric._params import Interval

from ._distance import euclidean, unit
from ._pair import PairLoss
from ._reduction import Reduction


class FastAPLoss(PairLoss):
    r"""FastAP: one less the average precision of distances sorted into soft bins [1]_.

    .. math:: 1 - \operatorname{mean}_q \frac{1}{|P_q|} \sum_b \frac{H_b^+ h_b^+}{H_b}

    with :math:`h_b` the soft count of the query's squared distances in bin b, :math:`H_b` the count up to it,
    and + for positives, over the queries that have a positive. The embeddings are normalised inside, so that
    squared distances lie in [0, 4].

    Parameters
    ----------
    n_bins : int, default=10
        Width of the bins: 4 / `n_bins`.

    See Also
    --------
    SmoothAPLoss : The same aim by sigmoids, without bins.
    RecallAtKLoss : Recall at k instead.

    References
    ----------
    .. [1] F. Cakir et al., "Deep metric learning to rank", CVPR 2019, equation 8.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    >>> FastAPLoss()(embeddings, torch.tensor([0, 0, 1]))  # the positive comes first
    tensor(0.)
    """

    _parameter_constraints = {"n_bins": [Interval(Integral, 1, None, closed="left")]}

    def __init__(self, n_bins: int = 10) -> None:
        self.n_bins = n_bins

    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return euclidean(unit(embeddings), unit(others)).square()

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        positive, negative = tuples
        near = soft_histogram(matrix, positive, self.n_bins)  # (n_anchors, n_bins + 1)
        up_to = (near + soft_histogram(matrix, negative, self.n_bins)).cumsum(1)
        shares = near * near.cumsum(1) / torch.where(up_to > 0, up_to, 1)
        n_positives = positive.sum(1)
        return reduce.over(1 - shares.sum(1) / n_positives.clamp_min(1), n_positives > 0)


def soft_histogram(squared, mask, n_bins):
    """Counts of the marked squared distances in [0, 4], each shared linearly by its two nearest bins."""
    position = squared * (n_bins / 4)
    lower = position.detach().floor().clamp(0, n_bins - 1)
    share = torch.where(mask, position - lower, 0)
    counts = squared.new_zeros(len(squared), n_bins + 1)
    counts = counts.scatter_add(1, lower.long(), mask.to(share.dtype) - share)
    return counts.scatter_add(1, lower.long() + 1, share)
