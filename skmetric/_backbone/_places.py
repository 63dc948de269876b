"""From an image to what each of its places gives to the output of a network that pools them.

Every pooling here is homogeneous of degree one in the activations a of a channel, so by Euler's theorem
``pooled == sum over places of a * d pooled / d a``: a place's part. Of an average that is the activation over
the number of places, of a maximum all of it where it was reached, of a generalised mean the share of the
power.

What follows must be affine. It is run on one row a place, the part times the number of places, and last on
the pooled row: an affine layer then gives rows whose mean is the last, and any other layer is found out.
Layers that scale a row by its own length (L2, layer norm) are made to scale all rows by that of the last: for
one image it is a number.
"""

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ._pooling import places

__all__ = ["Pooling", "class_token", "follow_affine", "numbers", "picture", "spread", "through"]

_SLACK = 1e-4  # of the largest value: far above what float32 rounds, far below what one would see


class Pooling(NamedTuple):
    """A layer that pools, and what went in."""

    name: str
    layer: nn.Module
    maps: torch.Tensor  # (1, C, H, W), or tokens (1, n_tokens, C)


def follow_affine(module: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Rows (n_places + 1, ...) through a module, whose layers are checked: means must stay means."""
    with _followed(module, started=True):
        return module(rows)


def _is_pool(layer: Any) -> bool:
    """Whether a layer tells how it pools maps and tokens: `pooling`, `n_prefix` and `channels_last`."""
    return all(hasattr(layer, name) for name in ("pooling", "n_prefix", "channels_last"))


def through(module: nn.Module, run: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, tuple[int, int]]:
    """Rows that leave a network, and the grid of places, from a run of it on one image."""
    poolings, output = _watch(module, run)
    if not poolings:
        raise ValueError(
            f"{type(module).__name__} has no layer that pools maps over their places, such as "
            "nn.AdaptiveAvgPool2d or skmetric.deep.modules.GeM, so nothing tells what a place gave"
        )
    pooling = poolings[-1]
    rows, grid = spread(pooling)
    try:
        with _followed(module, replaced=(pooling.layer, rows)):
            left = run()
    except RuntimeError as error:  # of torch: the network joins the pooled row with something else
        raise ValueError(_not_affine(f"the network after {pooling.name!r}") + f" ({error})") from error
    if left.shape != (len(rows), *output.shape[1:]) or not _equal(left[-1:], output) or not _add_up(left):
        raise ValueError(_not_affine(f"the network after {pooling.name!r}"))
    return left, grid


def _watch(module, run):
    """Layers that pooled in a run, in their order, and what the run gives."""
    seen = []

    def note(name, layer, inputs, output):
        if _pools(layer, inputs, output):
            seen.append(Pooling(name, layer, inputs[0].clone()))

    with _hooked((layer, partial(note, name)) for name, layer in _leaves(module)):
        output = run()
    return seen, output


def _pools(layer, inputs, output):
    """Whether a call of a layer brought several places to one: by pooling, or side by side."""
    maps = inputs[0] if inputs else None
    if not isinstance(maps, torch.Tensor) or not isinstance(output, torch.Tensor):
        return False
    if _is_pool(layer):
        return True
    if maps.ndim != 4 or maps[0, 0].numel() == 1 or len(maps) != 1:
        return False
    flattens = isinstance(layer, nn.Flatten) and output.ndim == 2
    return flattens or output.numel() == maps.shape[1] or output.numel() == maps.shape[3]


def _leaves(module):
    """Names and layers that have no layers inside; pooling of ours counts as one layer."""
    inside = {id(part) for pool in module.modules() if _is_pool(pool) for part in pool.children()}
    for name, layer in module.named_modules():
        if id(layer) not in inside and (_is_pool(layer) or not any(True for _ in layer.children())):
            yield name, layer


# Pooling


def spread(pooling: Pooling) -> tuple[torch.Tensor, tuple[int, int]]:
    """Rows (n_places + 1, ...) as a layer that pools gives them, and the grid (n_rows, n_columns)."""
    name, layer, maps = pooling
    if _is_pool(layer) and layer.pooling == "cls":
        raise ValueError(class_token(f"{name!r}"))
    if isinstance(layer, nn.Flatten):
        return _side_by_side(maps)
    with torch.enable_grad():
        maps = maps.detach().requires_grad_()
        pooled = layer(maps)
        by_place = (maps * torch.autograd.grad(pooled.sum(), maps)[0]).detach()  # as maps
    pooled = pooled.detach()
    for parts, grid in _readings(layer, by_place):
        if parts.shape[1] == pooled.numel() and _equal(parts.sum(0), pooled.flatten()):
            rows = torch.cat([len(parts) * parts, pooled.view(1, -1)])
            return rows.view(-1, *pooled.shape[1:]), grid
    raise ValueError(
        f"{type(layer).__name__} {name!r} is no pooling of each channel by average, maximum or generalised "
        "mean, so its output does not divide among places"
    )


def _readings(layer, by_place):
    """Parts (n_places, C) and the grid, for each axis of maps or tokens that may be the channels'."""
    if _is_pool(layer):
        grid = _grid_of_tokens(by_place.shape[1] - (layer.n_prefix or 0)) if by_place.ndim == 3 else None
        grid = grid or (by_place.shape[1:3] if layer.channels_last else by_place.shape[2:])
        yield places(by_place, layer.n_prefix, layer.channels_last)[0], tuple(grid)
        return
    for axis in (1, 3):
        moved = by_place.movedim(axis, -1)[0]
        yield moved.flatten(0, 1), tuple(moved.shape[:2])


def _grid_of_tokens(n_places):
    side = isqrt(n_places)
    if side * side != n_places:
        raise ValueError(
            f"the network gives {n_places} tokens, which are no square of places: pass square images"
        )
    return side, side


def _side_by_side(maps):
    """Rows of maps (1, C, H, W) that are flattened: each place alone, the others zero."""
    alone = torch.diag_embed(maps[0].flatten(1)).movedim(2, 0)  # (n_places, C, n_places)
    rows = torch.cat([len(alone) * alone.flatten(1), maps.flatten(1)])
    return rows, tuple(maps.shape[2:])


# What follows the pooling


@contextmanager
def _followed(module, *, replaced=None, started=False):
    """Let a run go on from the rows of `replaced`, a pair (layer, rows), and check each layer."""
    started = [started]

    def replace(layer, inputs, output):
        started[0] = True
        return replaced[1]

    def follow(name, layer, inputs, output):
        if not started[0]:
            return output
        output = _as_the_last(layer, inputs[0], output)
        if not _add_up(output):
            raise ValueError(_not_affine(f"{type(layer).__name__} {name!r}"))
        return output

    swapped = replaced[0] if replaced else None
    hooks = [
        (layer, replace if layer is swapped else partial(follow, name)) for name, layer in _leaves(module)
    ]
    with _hooked(hooks):
        yield


def _as_the_last(layer, rows, output):
    """Output of a layer that scales by a row's own length, all rows by the length of the last."""
    if hasattr(layer, "as_the_last"):  # a layer with a power or lengths inside
        return layer.as_the_last(rows)
    if getattr(layer, "gives_unit_length", False):
        return rows / rows[-1].norm().clamp(min=1e-12)
    if isinstance(layer, nn.LayerNorm) and rows[0].numel() == np.prod(layer.normalized_shape):
        rows = rows.flatten(1) - rows.flatten(1).mean(1, keepdim=True)
        rows = rows / (rows[-1].square().mean() + layer.eps).sqrt()
        rows = rows if layer.weight is None else rows * layer.weight.flatten()
        rows = rows if layer.bias is None else rows + layer.bias.flatten()
        return rows.view_as(output)
    return output


@contextmanager
def _hooked(hooks):
    """Forward hooks of pairs (layer, hook), while the block runs."""
    handles = [layer.register_forward_hook(hook) for layer, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


# Small things


def _add_up(rows):
    return _equal(rows[:-1].mean(0), rows[-1], scale=rows.abs().max())


def _equal(first, second, scale=None):
    scale = second.abs().max() if scale is None else scale
    return bool((first - second).abs().max() <= _SLACK * scale)


def numbers(rows: torch.Tensor) -> NDArray[np.float64]:
    """Rows as an array."""
    return rows.double().cpu().numpy()


def picture(batch: torch.Tensor) -> NDArray[Any]:
    """Pixels of a batch of one: (H, W), or (H, W, 3)."""
    pixels = batch[0].movedim(0, -1).cpu().numpy()
    return pixels if pixels.shape[2] == 3 else pixels.mean(axis=2)


def _not_affine(what):
    return (
        f"{what} is not affine: what it gives for the whole image is not what it gives for the places "
        "together, so the distance does not divide among them. A map needs pooling, then linear layers, "
        "batch norms, and skmetric.deep.modules.L2Normalize for unit length"
    )


def class_token(whose: str) -> str:
    """Message for a pooling that looks at all places."""
    return (
        f"the pooling of {whose} takes the class token, which has looked at all places: what each gave "
        "cannot be told; take 'avg', 'max' or 'gem'"
    )
