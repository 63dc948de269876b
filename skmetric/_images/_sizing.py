"""From images of any size to the batches of a network: read and sized in threads ahead of it."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import interpolate

from skmetric._torch import to_tensor

__all__ = ["InputConfig", "height_and_width", "normalised", "read_batches", "sized", "sized_batches"]

_AHEAD = 2  # batches held ready, beside the one that the network has
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's convert("L")


class InputConfig(NamedTuple):
    """What a network is fed."""

    n_channels: int
    image_size: tuple  # (H, W)
    resize: bool  # whether images of another size are brought to `image_size`
    crop_pct: float  # share of the resized image that the crop keeps, per side
    squash: bool  # whether resizing may change the aspect
    interpolation: str  # "bicubic" or "bilinear"
    mean: tuple  # one for each channel, of brightness in [0, 1]
    std: tuple
    limits: tuple | None = (0, 1)  # what floats are cut off to: bicubic resizing overshoots


def height_and_width(size):
    """The parameter `image_size`, a number of pixels or a pair, as (H, W)."""
    sides = np.atleast_1d(size).tolist()
    if len(sides) > 2 or any(side != int(side) or side < 1 for side in sides):
        raise ValueError(f"image_size={size!r} is neither a number of pixels nor (height, width)")
    return int(sides[0]), int(sides[-1])


def sized(pixels, config):
    """Resize, crop the centre, and match the channels.

    Short side to ``image_size / crop_pct``, antialiased, then a centre crop: timm's evaluation transform,
    with its sizes and offsets for a square input. uint8 stays uint8, so a file and the array of its pixels
    give the same input.

    Parameters
    ----------
    pixels : ndarray of shape (n, H, W, C)
        uint8, or float32 (in [0, 1] where `config` has such limits).
    config : InputConfig
        What the network wants.

    Returns
    -------
    Tensor of shape (n, n_channels, *image_size)
        Of the dtype of `pixels`.
    """
    batch = _with_channels(to_tensor(pixels).permute(0, 3, 1, 2), config.n_channels)  # (n, n_channels, H, W)
    if config.resize:
        batch = _centre_crop(_resized(batch, config), config.image_size)
    return batch.contiguous()


def normalised(batch, config):
    """Brightness as the network was trained on: uint8 or float in [0, 1] to ``(value - mean) / std``."""
    white = 1.0 if batch.is_floating_point() else 255.0
    mean, std = (
        torch.tensor(v, device=batch.device).view(-1, 1, 1) * white for v in (config.mean, config.std)
    )
    return (batch.float() - mean) / std


def sized_batches(images, config, *, batch_size, n_threads):
    """Read and size all images in their order; see :func:`read_batches`.

    Parameters
    ----------
    images : Images
        From :func:`skmetric._images._opening.open_images`.
    config : InputConfig
        What the network wants.
    batch_size : int
        Images in a batch.
    n_threads : int
        Threads.

    Yields
    ------
    batch : Tensor of shape (n_batch, n_channels, *image_size)
        In order.
    """
    n = len(images.rows)
    batches = (range(start, min(start + batch_size, n)) for start in range(0, n, batch_size))
    yield from read_batches(images, config, batches, n_threads=n_threads)


def read_batches(images, config, batches, *, n_threads):
    """Read and size images in threads, ahead of whoever takes the batches.

    Parameters
    ----------
    images : Images
        From :func:`skmetric._images._opening.open_images`.
    config : InputConfig
        What the network wants.
    batches : iterable of range, list or ndarray
        Row numbers of each batch.
    n_threads : int
        Threads. Images of a list are dealt out one by one, rows of an array by the batch.

    Yields
    ------
    batch : Tensor of shape (n_batch, n_channels, *image_size)
        In order. A few batches are held ready at most, whatever the number of images.
    """

    def load(rows):
        return sized(images.pixels(rows), config)

    pending = deque()
    pool = ThreadPoolExecutor(n_threads)
    try:
        for rows in batches:
            tasks = [rows] if images.read is None else ([row] for row in rows)
            pending.append([pool.submit(load, task) for task in tasks])
            if len(pending) > _AHEAD:
                yield _gathered(pending.popleft())
        while pending:
            yield _gathered(pending.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _gathered(futures):
    return torch.cat([future.result() for future in futures])


def _with_channels(batch, n_channels):
    """Grey repeated for a colour network; luminance of colour for a grey one."""
    if batch.shape[1] == n_channels:
        return batch
    if batch.shape[1] == 1:
        return batch.expand(-1, n_channels, -1, -1)
    weights = torch.tensor(_LUMINANCE).view(3, 1, 1)
    grey = (batch * weights).sum(1, keepdim=True)  # (n, 1, H, W)
    return grey if batch.is_floating_point() else grey.round().to(torch.uint8)


def _resized(batch, config):
    height, width = batch.shape[-2:]
    target = tall, wide = tuple(int(side / config.crop_pct) for side in config.image_size)
    if not config.squash:  # the side that falls short decides
        too_flat = tall * width >= wide * height
        target = (tall, tall * width // height) if too_flat else (wide * height // width, wide)
    if target == (height, width):
        return batch
    resized = interpolate(batch, size=target, mode=config.interpolation, antialias=True)
    return resized.clamp_(*config.limits) if resized.is_floating_point() and config.limits else resized


def _centre_crop(batch, size):
    top, left = (round((have - want) / 2) for have, want in zip(batch.shape[-2:], size, strict=True))
    return batch[..., top : top + size[0], left : left + size[1]]
