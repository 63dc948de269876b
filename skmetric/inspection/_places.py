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

from contextlib import contextmanager
from functools import partial
from math import isqrt
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from skmetric._backbone._pooling import places
from skmetric._pixels._sizing import normalised, sized_batches
from skmetric._torch import evaluating, resolve_device
from skmetric.deep._ball import ball_of
from skmetric.deep._data._input import to_float
from skmetric.deep._data._labelled import read_samples
from skmetric.deep._data._source import in_blocks
from skmetric.deep._network._trunk import Pool
from skmetric.deep.modules import L2Normalize
from skmetric.features._network import unpooled

__all__ = ["rows_of_features", "rows_of_frozen", "rows_of_trained"]

_SLACK = 1e-4  # of the largest value: far above what float32 rounds, far below what one would see


class Pooling(NamedTuple):
    """A layer that pools, and what went in."""

    name: str
    layer: nn.Module
    maps: torch.Tensor  # (1, C, H, W), or tokens (1, n_tokens, C)


def rows_of_frozen(estimator, image):
    """Picture, (H, W) or (H, W, 3), that frozen features see, rows (n_places + 1, n), and the grid."""
    if estimator.pooling == "cls":
        raise ValueError(_class_token("FrozenFeatures"))
    config, device = estimator.input_config_, resolve_device(estimator.device)
    images = estimator._open([image], config.n_channels)
    estimator._check_size(images)
    seen = next(sized_batches(images, config, batch_size=1, n_threads=1))
    module, batch = estimator.module_.to(device), normalised(seen.to(device), config)
    run = partial(unpooled, module, batch, layer=estimator.layer, pooling=estimator.pooling)
    with evaluating(module), torch.no_grad():
        output = run()
        if output.ndim == 2:
            rows, grid = _through(module, run)
        else:
            layer = Pool.after(module, "avg" if estimator.pooling == "auto" else estimator.pooling)
            rows, grid = _spread(Pooling("pooling", layer, output))
    rows = _numbers(rows)
    return _picture(seen), rows / np.linalg.norm(rows[-1]) if estimator.normalize else rows, grid


def rows_of_trained(estimator, image):
    """As :func:`rows_of_frozen`, of a learner that trained its network on images."""
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
        rows, grid = _through(module, partial(module, batch))
    return _picture(seen), _numbers(rows), grid


def rows_of_features(estimator, rows):
    """Rows (n_places + 1, n_components) that a network on features makes of such rows, if it is affine."""
    device = resolve_device(estimator.device)
    module = estimator.module_.to(device)
    batch = torch.from_numpy(rows).float().to(device)
    with evaluating(module), torch.no_grad(), _followed(module, started=True):
        return _numbers(module(batch))


def _through(module, run):
    """Rows that leave a network, and the grid of places, from a run of it on one image."""
    poolings, output = _watch(module, run)
    if not poolings:
        raise ValueError(
            f"{type(module).__name__} has no layer that pools maps over their places, such as "
            "nn.AdaptiveAvgPool2d or skmetric.deep.modules.GeM, so nothing tells what a place gave"
        )
    pooling = poolings[-1]
    rows, grid = _spread(pooling)
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
    if isinstance(layer, Pool):
        return True
    if maps.ndim != 4 or maps[0, 0].numel() == 1 or len(maps) != 1:
        return False
    flattens = isinstance(layer, nn.Flatten) and output.ndim == 2
    return flattens or output.numel() == maps.shape[1] or output.numel() == maps.shape[3]


def _leaves(module):
    """Names and layers that have no layers inside; pooling of ours counts as one layer."""
    inside = {id(part) for pool in module.modules() if isinstance(pool, Pool) for part in pool.children()}
    for name, layer in module.named_modules():
        if id(layer) not in inside and (isinstance(layer, Pool) or not any(True for _ in layer.children())):
            yield name, layer


# Pooling


def _spread(pooling):
    """Rows (n_places + 1, ...) as a layer that pools gives them, and the grid (n_rows, n_columns)."""
    name, layer, maps = pooling
    if isinstance(layer, Pool) and layer.pooling == "cls":
        raise ValueError(_class_token(f"{name!r}"))
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
    if isinstance(layer, Pool):
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
    if isinstance(layer, L2Normalize):
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


def _numbers(rows):
    return rows.double().cpu().numpy()


def _picture(batch):
    """Pixels of a batch of one: (H, W), or (H, W, 3)."""
    pixels = batch[0].movedim(0, -1).cpu().numpy()
    return pixels if pixels.shape[2] == 3 else pixels.mean(axis=2)


def _not_affine(what):
    return (
        f"{what} is not affine: what it gives for the whole image is not what it gives for the places "
        "together, so the distance does not divide among them. A map needs pooling, then linear layers, "
        "batch norms, and skmetric.deep.modules.L2Normalize for unit length"
    )


def _class_token(whose):
    return (
        f"the pooling of {whose} takes the class token, which has looked at all places: what each gave "
        "cannot be told; take 'avg', 'max' or 'gem'"
    )
