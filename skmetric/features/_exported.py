"""FrozenFeatures as one module of torch, for programs without this package."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skmetric._pixels._sizing import cropped, normalised, resized_size

from ._network import extract, pooled

if TYPE_CHECKING:
    from ._frozen import FrozenFeatures


class _Features(nn.Module):
    """From resized images to features: crop, brightness, network, pooling, length."""

    def __init__(self, estimator: FrozenFeatures) -> None:
        super().__init__()
        self.network = copy.deepcopy(estimator.module_).cpu().float()
        self.config, self.layer, self.pooling = estimator.input_config_, estimator.layer, estimator.pooling
        self.normalize = estimator.normalize

    def forward(self, images: Tensor) -> Tensor:
        """Features (n, n_features_out_) of images (n, H, W, C) uint8."""
        batch = images.permute(0, 3, 1, 2)
        batch = cropped(batch, self.config) if self.config.resize else batch
        batch = normalised(batch.contiguous(), self.config)
        features = self._pooled(batch)
        if not self.normalize:
            return features
        lengths = torch.linalg.vector_norm(features, dim=1, keepdim=True)
        return features / torch.where(lengths == 0, 1.0, lengths)

    def _pooled(self, batch: Tensor) -> Tensor:
        """As `extract`, but for a layer the whole network runs: a tracer does not bear what cuts it short."""
        if self.layer is None:
            return extract(self.network, batch, pooling=self.pooling)
        outputs: list[Tensor] = []

        def keep(part: nn.Module, inputs: Any, output: Tensor) -> None:
            outputs.append(output.clone())  # which the next layer may change in place

        hook = self.network.get_submodule(self.layer).register_forward_hook(keep)
        try:
            self.network(batch)
        finally:
            hook.remove()
        return pooled(self.network, outputs[0], self.pooling)


def as_module(estimator: FrozenFeatures) -> tuple[nn.Module, tuple[int, ...], torch.dtype]:
    """The network in evaluation mode; shape (H, W, C) and dtype of the images that it takes."""
    config = estimator.input_config_
    return _Features(estimator).eval(), (*resized_size(config), config.n_channels), torch.uint8
