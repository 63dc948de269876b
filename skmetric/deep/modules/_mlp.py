"""Networks for rows of features."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import nn


class LinearMap(nn.Sequential):
    """One matrix, without offset: the learned distance is a Mahalanobis distance.

    What it learns by steps, MetricLearner learns in closed form.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; images are flattened.
    n_components : int, default=64
        Dimension of the output.

    See Also
    --------
    MLP : With hidden layers.
    skmetric.MetricLearner : A linear map in closed form.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import LinearMap
    >>> LinearMap((4,), n_components=2)(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(self, input_shape: Sequence[int], n_components: int = 64) -> None:
        super().__init__(nn.Flatten(), nn.Linear(prod(input_shape), n_components, bias=False))


class MLP(nn.Sequential):
    """Fully connected layers with batch norm and ReLU between them; the input is batch-normed as well.

    The last layer has no activation.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample; images are flattened.
    n_components : int, default=64
        Dimension of the output.
    hidden : sequence of int, default=(256, 256)
        Widths of the hidden layers.

    See Also
    --------
    LinearMap : Without hidden layers.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import MLP
    >>> MLP((4,), n_components=2, hidden=(8,))(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """

    def __init__(
        self, input_shape: Sequence[int], n_components: int = 64, hidden: Sequence[int] = (256, 256)
    ) -> None:
        widths = [prod(input_shape), *hidden]
        layers = [nn.Flatten(), nn.BatchNorm1d(widths[0])]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear(widths[-1], n_components))
