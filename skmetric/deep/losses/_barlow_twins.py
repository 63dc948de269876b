"""Barlow Twins."""

from numbers import Real

import torch

from skmetric._params import Interval

from ._views import TwoViewsLoss


class BarlowTwinsLoss(TwoViewsLoss):
    r"""Barlow Twins: the correlations between the components of two views should be the identity matrix [1]_.

    .. math:: \sum_j (1 - C_{jj})^2 + \lambda \sum_{j \neq k} C_{jk}^2

    with C the correlation, over the batch, of component j of the first views with component k of the
    second. No classes are needed: labels number the samples, and the first and the second row with a label
    are its views, as in ``torch.cat([first_views, second_views])`` with labels
    ``torch.arange(n).repeat(2)``. Components are standardised inside.

    Parameters
    ----------
    off_diagonal : float, default=0.005
        Weight λ.

    See Also
    --------
    VICRegLoss : Bounds variance and covariance apart.
    SimCLRLoss : Compares with the rest of the batch.

    References
    ----------
    .. [1] J. Zbontar et al., "Barlow Twins: self-supervised learning via redundancy reduction", ICML 2021,
       equations 1 and 2.

    Examples
    --------
    >>> import torch
    >>> views = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])  # both components are one: 2 λ
    >>> BarlowTwinsLoss()(torch.cat([views, views]), torch.tensor([0, 1, 0, 1]))
    tensor(0.0100)
    """

    _parameter_constraints = {"off_diagonal": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, off_diagonal: float = 0.005) -> None:
        self.off_diagonal = off_diagonal

    def _between(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        correlations = _standardized(first).T @ _standardized(second) / len(first)  # (width, width)
        diagonal = correlations.diagonal()
        rest = correlations.square().sum() - diagonal.square().sum()
        return (1 - diagonal).square().sum() + self.off_diagonal * rest


def _standardized(view):
    """Components of mean 0 and variance 1; one that does not vary stays 0."""
    centered = view - view.mean(0)
    return centered / centered.square().mean(0).clamp_min(1e-8).sqrt()
