"""Small convolution networks, which train from nothing."""

from collections.abc import Sequence

from torch import nn

_MIN_SIDE = 4  # two halvings


class TutorialConv(nn.Sequential):
    """The network of TensorFlow Similarity's CIFAR-10 tutorial.

    3x3 convolutions without padding of 64, 128, 256 and 256 channels, ReLU after each, batch norm after the
    first three, a max-pool of 4 before the last but one; global max pool; a linear map. The tutorial puts its
    embeddings on the unit sphere, as :class:`~skmetric.deep.DeepMetricLearner` does by default.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        Channels, height and width; at least 24 pixels a side.
    n_components : int, default=256
        Dimension of the output.

    See Also
    --------
    Conv4 : For small grey images.
    SmallResNet : With residuals.

    References
    ----------
    .. [1] E. Bursztein et al., "TensorFlow Similarity: a usable, high-performance metric learning library",
       2021, notebook ``supervised_hello_world``.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import TutorialConv
    >>> TutorialConv((3, 32, 32))(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 256])
    """

    def __init__(self, input_shape: Sequence[int], n_components: int = 256) -> None:
        check_side(input_shape, 24, "TutorialConv")
        super().__init__(
            *_plain_block(input_shape[0], 64),
            *_plain_block(64, 128),
            nn.MaxPool2d(4),
            *_plain_block(128, 256),
            nn.Conv2d(256, 256, 3),
            nn.ReLU(inplace=True),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(256, n_components),
        )


class Conv4(nn.Sequential):
    """Four blocks of 3x3 convolution, batch norm, ReLU and max-pool: the network of few-shot learning.

    Made for small images, such as handwritten characters. Images are halved in each block as long as they
    have 4 pixels a side; what is left is pooled on average and goes through a linear map.

    Parameters
    ----------
    input_shape : tuple of (int, int, int)
        Channels, height and width; at least 4 pixels a side.
    n_components : int, default=64
        Dimension of the output.
    width : int, default=64
        Channels of each block.

    See Also
    --------
    TutorialConv : For small colour images.
    SmallResNet : Deeper, with residuals.

    References
    ----------
    .. [1] O. Vinyals et al., "Matching networks for one shot learning", NeurIPS 2016, section 4.1.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import Conv4
    >>> Conv4((1, 8, 8), n_components=16)(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 16])
    """

    def __init__(self, input_shape: Sequence[int], n_components: int = 64, width: int = 64) -> None:
        check_side(input_shape, _MIN_SIDE, "Conv4")
        channels, side = input_shape[0], min(input_shape[1:])
        blocks = []
        for _ in range(4):
            blocks += _padded_block(channels, width)
            channels = width
            if side >= _MIN_SIDE:
                blocks.append(nn.MaxPool2d(2))
                side //= 2
        super().__init__(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, n_components))


def _plain_block(n_in: int, n_out: int):
    """Convolution, ReLU, batch norm: the order of the tutorial."""
    return nn.Conv2d(n_in, n_out, 3), nn.ReLU(inplace=True), nn.BatchNorm2d(n_out)


def _padded_block(n_in: int, n_out: int):
    return nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)


def check_side(input_shape: Sequence[int], smallest, name):
    """Refuse what is no image, or too small a one, for the network of this name."""
    if len(input_shape) != 3 or min(input_shape[1:]) < smallest:
        raise ValueError(
            f"{name} takes images (channels, height, width) of at least {smallest} pixels a side, "
            f"got samples of shape {tuple(input_shape)}"
        )
