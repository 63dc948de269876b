"""Random brightness, contrast and saturation."""

from numbers import Real

import torch

from skmetric._params import Interval

from ._base import Augmentation, uniform

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: how bright red, green and blue look


class ColorJitter(Augmentation):
    """Change brightness, then contrast, then saturation of each image.

    Brightness multiplies an image; contrast moves it away from its mean brightness, or towards it;
    saturation, of images with three channels, away from grey. Results are clipped to the range from 0 to 1.

    Parameters
    ----------
    brightness, contrast, saturation : float, default=0.4
        Largest change: 0.4 draws a factor between 0.6 and 1.4.

    See Also
    --------
    RandomErasing : Hides a part instead.
    TwoViews : Augments a batch twice.

    References
    ----------
    .. [1] A. Howard, "Some improvements on deep convolutional neural network based image classification",
       2013, arXiv:1312.5402, section 2.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.augment import ColorJitter
    >>> changed = ColorJitter(brightness=0.2)(torch.rand(8, 3, 32, 32))
    >>> changed.shape, bool(changed.min() >= 0), bool(changed.max() <= 1)
    (torch.Size([8, 3, 32, 32]), True, True)
    """

    _parameter_constraints = {
        name: [Interval(Real, 0, None, closed="left")] for name in ("brightness", "contrast", "saturation")
    }

    def __init__(self, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4) -> None:
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation

    def _augment(self, images: torch.Tensor) -> torch.Tensor:
        images = (images * _factor(images, self.brightness)).clamp(0, 1)
        mean = _grey(images).mean(dim=(-2, -1), keepdim=True)  # (n, 1, 1, 1)
        images = _blend(images, mean, _factor(images, self.contrast))
        if images.shape[1] == 3:
            images = _blend(images, _grey(images), _factor(images, self.saturation))
        return images


def _factor(images: torch.Tensor, most):
    return uniform(images, max(0.0, 1 - most), 1 + most)


def _blend(images: torch.Tensor, towards, factor):
    """At factor 0 `towards`, at 1 the images, beyond it away from `towards`."""
    return (towards + factor * (images - towards)).clamp(0, 1)


def _grey(images: torch.Tensor):
    """Brightness (n, 1, H, W)."""
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    weights = images.new_tensor(_LUMA)[:, None, None]
    return (weights * images).sum(dim=1, keepdim=True)
