"""Random erasing."""

import math
from numbers import Real

import torch

from skmetric._params import Interval

from ._base import Augmentation, uniform


class RandomErasing(Augmentation):
    """Blank a random rectangle of some images [1]_, so that no single part decides.

    The rectangle is filled with one value.

    Parameters
    ----------
    p : float, default=0.5
        Share of the images that lose a rectangle.
    smallest, largest : float, default=0.02 and 0.33
        Bounds of its area, as shares of the image's. A rectangle that sticks out is cut to the image.
    elongation : float, default=3.0
        It is at most so many times longer than wide, or wider than long.
    fill : float, default=0.0
        Value inside.

    See Also
    --------
    ColorJitter : Changes the light instead.
    RandomShift : Moves what is seen.

    References
    ----------
    .. [1] Z. Zhong, L. Zheng, G. Kang, S. Li and Y. Yang, "Random erasing data augmentation", AAAI 2020.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.augment import RandomErasing
    >>> erased = RandomErasing(p=1.0)(torch.ones(8, 3, 32, 32))
    >>> tuple(erased.shape), round((erased != 1).float().mean().item(), 1)  # a share of the pixels is erased
    ((8, 3, 32, 32), 0.2)
    """

    _parameter_constraints = {
        "p": [Interval(Real, 0, 1, closed="both")],
        "smallest": [Interval(Real, 0, 1, closed="neither")],
        "largest": [Interval(Real, 0, 1, closed="neither")],
        "elongation": [Interval(Real, 1, None, closed="left")],
        "fill": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        p: float = 0.5,
        smallest: float = 0.02,
        largest: float = 0.33,
        elongation: float = 3.0,
        fill: float = 0.0,
    ) -> None:
        self.p = p
        self.smallest = smallest
        self.largest = largest
        self.elongation = elongation
        self.fill = fill

    def _augment(self, images: torch.Tensor) -> torch.Tensor:
        height, width = images.shape[-2:]
        side = (uniform(images, self.smallest, self.largest) * height * width).sqrt()
        stretch = (uniform(images, -1, 1) * math.log(self.elongation) / 2).exp()
        inside = (
            _within(images, height, side * stretch)[..., :, None]
            & _within(images, width, side / stretch)[..., None, :]
        )  # (n, 1, H, W)
        hit = uniform(images, 0, 1) < self.p
        return images.masked_fill(inside & hit, self.fill)


def _within(images: torch.Tensor, size, length):
    """Which places along a side of `size` pixels lie in a stretch of `length`, (n, 1, size)."""
    length = length[..., 0].round().clamp(1, size)  # (n, 1, 1)
    first = (uniform(images, 0, 1)[..., 0] * (size - length + 1)).floor()
    places = torch.arange(size, device=images.device, dtype=images.dtype)
    return (places >= first) & (places < first + length)
