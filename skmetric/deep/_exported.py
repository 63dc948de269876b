"""A learner's network as one module of torch, for programs without this package."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from ._data._scale import check_scale

if TYPE_CHECKING:
    from ._estimator import NetworkMixin


class _OfImages(nn.Module):
    """From images (n, H, W, C) to embeddings: uint8 become floats from 0 to 1, as in training."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, n_components_) of images, uint8 or float32."""
        batch = images.permute(0, 3, 1, 2).contiguous()
        return self.network(batch.float() / 255 if batch.dtype == torch.uint8 else batch)


def as_module(learner: NetworkMixin) -> tuple[nn.Module, tuple[int, ...], torch.dtype]:
    """The network, copied, as one module, in evaluation mode; shape and dtype of the samples that it takes.

    Images are (H, W, C) and uint8; float32 where the network was trained on another scale than that of
    uint8. Rows are (n_features,) and float32.
    """
    network = copy.deepcopy(learner.module_).cpu().float()
    shape = tuple(learner.input_shape_)
    if len(shape) == 1:
        return network.eval(), shape, torch.float32
    if len(shape) != 3:
        raise TypeError(
            f"{type(learner).__name__} was fitted on samples of shape {shape}: only learners of rows and of "
            "images can be exported"
        )
    return _OfImages(network).eval(), (*shape[1:], shape[0]), _dtype_of_images(learner, shape)


def _dtype_of_images(learner: NetworkMixin, shape: tuple[int, ...]) -> torch.dtype:
    try:
        check_scale(np.full((1, *shape), 255, np.uint8), learner._scale)
    except ValueError:
        return torch.float32
    return torch.uint8
