"""Augmentations of whole batches, on the device they are on: ``augmentation(images) -> images``."""

from skmetric._modules import publish

from ._affine import RandomAffine
from ._color import ColorJitter
from ._erasing import RandomErasing
from ._flip import RandomFlip
from ._shift import RandomShift
from ._two_views import TwoViews

__all__ = ["ColorJitter", "RandomAffine", "RandomErasing", "RandomFlip", "RandomShift", "TwoViews"]

publish(__name__)
