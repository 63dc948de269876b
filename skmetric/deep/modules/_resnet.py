"""A small residual network, which trains from nothing."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from ._conv import check_side


class SmallResNet(nn.Sequential):
    """The residual network for CIFAR-10: a 3x3 convolution, then three stages of residual blocks.

    The second and the third stage halve the image and double the width; then comes the average over places
    and a linear map. With 3 blocks a stage it is ResNet-20 of [1]_ up to its linear map, with a 1x1
    convolution where a shortcut changes shape. It takes any number of channels and images of any size.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        Channels, height and width; at least 4 pixels a side.
    n_components : int, default=64
        Dimension of the output.
    n_blocks : int, default=3
        Blocks of two convolutions in each stage: ``6 * n_blocks + 2`` layers in all.
    width : int, default=16
        Channels of the first stage.

    See Also
    --------
    TutorialConv : Without residuals.
    Conv4 : For small grey images.

    References
    ----------
    .. [1] K. He et al., "Deep residual learning for image recognition", CVPR 2016, section 4.2.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import SmallResNet
    >>> SmallResNet((3, 32, 32), n_components=16)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 16])
    """

    def __init__(
        self, input_shape: Sequence[int], n_components: int = 64, n_blocks: int = 3, width: int = 16
    ) -> None:
        check_side(input_shape, 4, "SmallResNet")
        stem = nn.Conv2d(input_shape[0], width, 3, padding=1, bias=False)
        stages = [
            _stage(width, width, n_blocks, stride=1),
            _stage(width, 2 * width, n_blocks, stride=2),
            _stage(2 * width, 4 * width, n_blocks, stride=2),
        ]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, n_components)]
        super().__init__(stem, nn.BatchNorm2d(width), nn.ReLU(inplace=True), *stages, *head)


class _Residual(nn.Module):
    """Two 3x3 convolutions with batch norm, added to what came in."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(n_out)
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Identity() if n_in == n_out and stride == 1 else _projection(n_in, n_out, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (n, n_out, H / stride, W / stride) of maps (n, n_in, H, W)."""
        inner = F.relu(self.first_norm(self.first(maps)))
        return F.relu(self.second_norm(self.second(inner)) + self.shortcut(maps))


def _projection(n_in: int, n_out: int, stride: int):
    return nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))


def _stage(n_in: int, n_out: int, n_blocks, stride: int):
    return nn.Sequential(
        _Residual(n_in, n_out, stride), *(_Residual(n_out, n_out, 1) for _ in range(n_blocks - 1))
    )
