"""Random horizontal flip."""

from numbers import Real

import torch

from skmetric._params import Interval

from ._base import Augmentation, uniform


class RandomFlip(Augmentation):
    """Mirror images left to right.

    Not for what has a handedness, as characters and digits.

    Parameters
    ----------
    p : float, default=0.5
        Share of the images that is mirrored.

    See Also
    --------
    RandomShift : Moves images.
    RandomAffine : Turns and scales them too.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.augment import RandomFlip
    >>> RandomFlip(p=1.0)(torch.tensor([[[[0.0, 0.5, 1.0]]]]))
    tensor([[[[1.0000, 0.5000, 0.0000]]]])
    """

    _parameter_constraints = {"p": [Interval(Real, 0, 1, closed="both")]}

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def _augment(self, images: torch.Tensor) -> torch.Tensor:
        return torch.where(uniform(images, 0, 1) < self.p, images.flip(-1), images)
