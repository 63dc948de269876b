"""What each place of an image gives to its embedding."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from skmetric._backbone._places import follow_affine, numbers, picture, through
from skmetric._torch import evaluating, resolve_device

from ._ball import ball_of
from ._data._input import to_float
from ._data._labelled import read_samples
from ._data._source import in_blocks

if TYPE_CHECKING:
    from ._estimator import NetworkMixin


def rows_of_places(
    estimator: NetworkMixin, image: Any
) -> tuple[NDArray[Any], NDArray[np.float64], tuple[int, int]]:
    """Picture, (H, W) or (H, W, 3), that the network sees, rows (n_places + 1, n), and the grid of places."""
    if estimator._input_spec is not None:
        raise ValueError(f"{type(estimator).__name__} was fitted on collated samples, which have no places")
    if len(estimator.input_shape_) != 3:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on rows of {estimator.input_shape_[0]} features, which "
            "have no places; for a linear learner distance_contributions gives the share of each feature"
        )
    if ball_of(estimator.module_) is not None:
        raise ValueError(
            f"{type(estimator).__name__} has distance='poincare': an inner product of its points says "
            "nothing of their distance on the ball, so there is nothing to take apart"
        )
    device = resolve_device(estimator.device)
    seen = next(iter(in_blocks(read_samples(estimator, [image]), 1)))
    module, batch = estimator.module_.to(device), to_float(seen).to(device)
    with evaluating(module), torch.no_grad():
        rows, grid = through(module, partial(module, batch))
    return picture(seen), numbers(rows), grid


def rows_after(estimator: NetworkMixin, rows: NDArray[Any]) -> NDArray[np.float64]:
    """Rows (n_places + 1, n_components) that a network on features makes of such rows, if it is affine."""
    device = resolve_device(estimator.device)
    module = estimator.module_.to(device)
    with evaluating(module), torch.no_grad():
        return numbers(follow_affine(module, torch.from_numpy(rows).float().to(device)))
