"""What each place of an image gives to its features."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skmetric._backbone._build import n_prefix_tokens
from skmetric._backbone._places import Pooling, class_token, numbers, picture, spread, through
from skmetric._backbone._pooling import pool
from skmetric._pixels._sizing import normalised, sized_batches
from skmetric._torch import evaluating, resolve_device

from ._network import unpooled

if TYPE_CHECKING:
    from ._frozen import FrozenFeatures


class _Pool(nn.Module):
    """The pooling of an estimator as a layer."""

    def __init__(self, module: nn.Module, pooling: str) -> None:
        super().__init__()
        self.pooling, self.n_prefix = pooling, n_prefix_tokens(module)
        self.channels_last = getattr(module, "output_fmt", None) == "NHWC"

    def forward(self, output: torch.Tensor) -> torch.Tensor:
        return pool(output, self.pooling, n_prefix=self.n_prefix, channels_last=self.channels_last)


def rows_of_places(
    estimator: FrozenFeatures, image: Any
) -> tuple[NDArray[Any], NDArray[np.float64], tuple[int, int]]:
    """Picture, (H, W) or (H, W, 3), that the network sees, rows (n_places + 1, n), and the grid of places."""
    if estimator.pooling == "cls":
        raise ValueError(class_token("FrozenFeatures"))
    config, device = estimator.input_config_, resolve_device(estimator.device)
    images = estimator._open([image], config.n_channels)
    estimator._check_size(images)
    seen = next(sized_batches(images, config, batch_size=1, n_threads=1))
    module, batch = estimator.module_.to(device), normalised(seen.to(device), config)
    run = partial(unpooled, module, batch, layer=estimator.layer, pooling=estimator.pooling)
    with evaluating(module), torch.no_grad():
        output = run()
        if output.ndim == 2:
            outputs, grid = through(module, run)
        else:
            layer = _Pool(module, "avg" if estimator.pooling == "auto" else estimator.pooling)
            outputs, grid = spread(Pooling("pooling", layer, output))
    rows = numbers(outputs)
    return picture(seen), rows / np.linalg.norm(rows[-1]) if estimator.normalize else rows, grid
