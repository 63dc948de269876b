"""Random rotation, scale, shear and shift."""

import math
from numbers import Real

import torch
from torch.nn import functional as F

from skmetric._params import Interval

from ._base import Augmentation, uniform


class RandomAffine(Augmentation):
    """Turn, scale, shear and shift each image; what comes in from outside is 0.

    Pixels are interpolated bilinearly, so put it before what should stay sharp. For handwritten characters,
    whose drawers differ in slant and size.

    Parameters
    ----------
    degrees : float, default=15.0
        Largest rotation, either way.
    scale : float, default=0.2
        Largest change of size: 0.2 draws each side's factor from 1/1.2 to 1.2, on a log scale.
    shear : float, default=0.0
        Largest slant, as the shift of a row over its height: 0.2 is about 11 degrees.
    shift : float, default=0.1
        Largest shift along each side, as a share of it.

    See Also
    --------
    RandomShift : Whole pixels, and cheaper.
    RandomFlip : Mirrors.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.augment import RandomAffine
    >>> RandomAffine(degrees=10)(torch.rand(8, 1, 28, 28)).shape
    torch.Size([8, 1, 28, 28])
    """

    _parameter_constraints = {
        "degrees": [Interval(Real, 0, 180, closed="both")],
        "scale": [Interval(Real, 0, None, closed="left")],
        "shear": [Interval(Real, 0, None, closed="left")],
        "shift": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self, degrees: float = 15.0, scale: float = 0.2, shear: float = 0.0, shift: float = 0.1
    ) -> None:
        self.degrees = degrees
        self.scale = scale
        self.shear = shear
        self.shift = shift

    def _augment(self, images: torch.Tensor) -> torch.Tensor:
        grid = F.affine_grid(self._maps(images), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)

    def _maps(self, images: torch.Tensor):
        """From places in the result to places in the image, (n, 2, 3), sides of length 2 around 0."""
        aspect = images.shape[-1] / images.shape[-2]  # width over height: a rotation turns squares
        angle = self._each(images, math.radians(self.degrees))
        log_scale = math.log1p(self.scale)
        width, height = (self._each(images, log_scale).exp() for _ in range(2))
        shear = self._each(images, self.shear)
        right, down = (self._each(images, 2 * self.shift) for _ in range(2))
        cos, sin = angle.cos(), angle.sin()
        rows = [
            [cos * width, (cos * shear - sin) * width / aspect, right],
            [sin * height * aspect, (sin * shear + cos) * height, down],
        ]
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=1)

    def _each(self, images: torch.Tensor, most):
        """A number from -`most` to `most` for each image, (n,)."""
        return uniform(images, -most, most).flatten()
