"""VICReg: variance, invariance and covariance of two views."""

from numbers import Real

import torch

from skmetric._params import Interval

from ._views import TwoViewsLoss

_WEIGHT = [Interval(Real, 0, None, closed="left")]


class VICRegLoss(TwoViewsLoss):
    r"""VICReg: two views alike, every component spread, no two components correlated [1]_.

    .. math:: \lambda \frac{1}{n d} \sum_i \|z_i - z_i'\|^2 + \mu\, \tfrac12 [v(Z) + v(Z')]
              + \nu\, [c(Z) + c(Z')]

    with :math:`v(Z) = \frac1d \sum_j [1 - \sqrt{\operatorname{var}(z^j) + \epsilon}]_+` and c(Z) the sum of
    the squared covariances between components over d. [1]_ write the first and second term without 1/d and ½;
    this is their code. No classes are needed: labels number the samples, and the first and the second row
    with a label are its views, as in ``torch.cat([first_views, second_views])`` with labels
    ``torch.arange(n).repeat(2)``. The embeddings are not normalised.

    Parameters
    ----------
    invariance : float, default=25.0
        Weight of the first term.
    variance : float, default=25.0
        Weight of the second term.
    covariance : float, default=1.0
        Weight of the third term.
    eps : float, default=1e-4
        What keeps the root smooth.

    See Also
    --------
    BarlowTwinsLoss : Correlations of two views.
    SimCLRLoss : Compares with the rest of the batch.

    References
    ----------
    .. [1] A. Bardes, J. Ponce and Y. LeCun, "VICReg: variance-invariance-covariance regularization for
       self-supervised learning", ICLR 2022, equations 1 to 6.

    Examples
    --------
    >>> import torch
    >>> views = torch.tensor([[2.0, 2.0], [-2.0, 2.0], [2.0, -2.0], [-2.0, -2.0]])  # spread, uncorrelated
    >>> VICRegLoss()(torch.cat([views, views]), torch.arange(4).repeat(2))
    tensor(0.)
    """

    _parameter_constraints = {
        "invariance": _WEIGHT,
        "variance": _WEIGHT,
        "covariance": _WEIGHT,
        "eps": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0, eps: float = 1e-4
    ) -> None:
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance
        self.eps = eps

    def _between(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        apart = (first - second).square().mean()
        narrow = (self._narrowness(first) + self._narrowness(second)) / 2
        correlated = _covariances(first) + _covariances(second)
        return self.invariance * apart + self.variance * narrow + self.covariance * correlated

    def _narrowness(self, view):
        return torch.relu(1 - (view.var(0) + self.eps).sqrt()).mean()


def _covariances(view):
    """Sum of the squared covariances between components, over their number."""
    n, width = view.shape
    centered = view - view.mean(0)
    covariance = centered.T @ centered / (n - 1)  # (n_components, n_components)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / width
