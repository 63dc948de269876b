"""The contract of an augmentation: ``augmentation(images) -> images``, new ones at each call.

Images are float tensors (n, C, H, W) from 0 to 1 on any device, and so is the result. Each image of the batch
draws by itself, all drawn from torch's global generator of that device; no loop runs over images.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from skmetric._documented import DocumentedMixin
from skmetric._params import check_params
from skmetric._sklearn import BaseEstimator


class Augmentation(DocumentedMixin, BaseEstimator, ABC):
    """A random change of images; a subclass writes ``_augment(images)``."""

    _parameter_constraints: dict = {}

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if images.ndim != 4 or not images.is_floating_point():
            raise ValueError(
                f"{type(self).__name__} takes float images (n, C, H, W), got {images.dtype} of shape "
                f"{tuple(images.shape)}"
            )
        return self._augment(images)

    def check(self, input_shape: Sequence[int]) -> None:
        """Refuse parameters out of range, and samples that it cannot change.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample: ``(C, H, W)``, or ``(n_features,)``.

        Raises
        ------
        ValueError
            On parameters out of range, or samples that are no images.
        """
        check_params(self)
        if len(input_shape) != 3:
            raise ValueError(
                f"augment: {type(self).__name__} is for images, and samples have shape {tuple(input_shape)}: "
                "pass a function of (n_batch, n_features) tensors, or augment=None"
            )

    @abstractmethod
    def _augment(self, images: torch.Tensor) -> torch.Tensor:
        """Changed images (n, C, H, W)."""


def uniform(images: torch.Tensor, low, high):
    """A number from `low` to `high` for each image, (n, 1, 1, 1)."""
    drawn = torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype)
    return low + (high - low) * drawn
