"""FastAP loss."""

from numbers import Integral

import torch

from skmetric._params import Interval

from ._distance import euclidean, unit
from ._pair import PairLoss
from ._ranking import mean_over_queries


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

    def __init__(self, n_bins=10):
        self.n_bins = n_bins

    def _matrix(self, embeddings, others):
        return euclidean(unit(embeddings), unit(others)).square()

    def _value(self, matrix, tuples):
        return mean_over_queries(self._costs, matrix, *tuples, width=2 * self.n_bins)

    def _costs(self, rows, positive, negative):
        middles = torch.linspace(0, 4, self.n_bins + 1, device=rows.device, dtype=rows.dtype)
        pulses = torch.relu(1 - (rows[:, None] - middles[:, None]).abs() * (self.n_bins / 4))
        near = torch.where(positive[:, None], pulses, 0).sum(2)  # (n_rows, n_bins + 1)
        every = near + torch.where(negative[:, None], pulses, 0).sum(2)
        up_to = every.cumsum(1)
        shares = near * near.cumsum(1) / torch.where(up_to > 0, up_to, 1)
        return 1 - shares.sum(1) / positive.sum(1)
