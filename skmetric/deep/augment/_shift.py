"""Random shift: a crop of the padded image."""

from numbers import Integral, Real

import torch

from skmetric._params import Interval

from ._base import Augmentation


class RandomShift(Augmentation):
    """Move images by whole pixels along both sides: the random crop of the padded image.

    What comes in from outside has one value.

    Parameters
    ----------
    pixels : int, default=4
        Largest shift, either way; 4 is usual for images of 32 pixels.
    fill : float, default=0.0
        Value of what comes in from outside: the background.

    See Also
    --------
    RandomAffine : Turns and scales images too.
    RandomFlip : Mirrors.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR 2016,
       section 4.2.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.augment import RandomShift
    >>> RandomShift(pixels=2)(torch.rand(8, 3, 32, 32)).shape
    torch.Size([8, 3, 32, 32])
    """

    _parameter_constraints = {
        "pixels": [Interval(Integral, 0, None, closed="left")],
        "fill": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, pixels: int = 4, fill: float = 0.0) -> None:
        self.pixels = pixels
        self.fill = fill

    def _augment(self, images: torch.Tensor) -> torch.Tensor:
        n, channels, height, width = images.shape
        padded = torch.nn.functional.pad(images, (self.pixels,) * 4, value=self.fill)
        rows, columns = self._window(images, height), self._window(images, width)
        rows = rows[:, None, :, None].expand(n, channels, height, padded.shape[-1])
        columns = columns[:, None, None, :].expand(n, channels, height, width)
        return padded.gather(2, rows).gather(3, columns)

    def _window(self, images: torch.Tensor, size):
        """Places along one side of the padded images that are kept, (n, size)."""
        first = torch.randint(2 * self.pixels + 1, (len(images), 1), device=images.device)
        return first + torch.arange(size, device=images.device)
