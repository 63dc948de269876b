"""From images of any size to the batches of a network: read and sized in threads ahead of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from math import floor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate, pad

from skmetric._images._files import refuse_damaged
from skmetric._images._images import Images, UnreadableImage
from skmetric._optional import import_optional
from skmetric._torch import to_tensor

__all__ = [
    "INTERPOLATIONS",
    "InputConfig",
    "cropped",
    "height_and_width",
    "normalised",
    "read_batches",
    "resized_size",
    "sized",
    "sized_batches",
]

INTERPOLATIONS = ("bicubic", "bilinear", "nearest", "box", "hamming", "lanczos")
_BY_TORCH = ("bicubic", "bilinear")
_AHEAD = 2  # batches held ready, beside the one that the network has
_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's convert("L")


class InputConfig(NamedTuple):
    """What a network is fed."""

    n_channels: int
    image_size: tuple[int, ...]  # (H, W)
    resize: bool  # whether images of another size are brought to `image_size`
    crop_pct: float  # share of the resized image that the crop keeps, per side; above 1 a frame is added
    squash: bool  # whether resizing may change the aspect
    interpolation: str  # one of INTERPOLATIONS
    mean: tuple[float, ...]  # one for each channel, of brightness in [0, 1]
    std: tuple[float, ...]
    limits: tuple[float, float] | None = (0, 1)  # what floats are cut off to: bicubic resizing overshoots
    border: bool = False  # whether the whole image is kept, in a frame of brightness `mean`


def height_and_width(size: Any) -> tuple[int, int]:
    """The parameter `image_size`, a number of pixels or a pair, as (H, W)."""
    sides = np.atleast_1d(size).tolist()
    if len(sides) > 2 or any(side != int(side) or side < 1 for side in sides):
        raise ValueError(f"image_size={size!r} is neither a number of pixels nor (height, width)")
    return int(sides[0]), int(sides[-1])


def sized(pixels: NDArray, config: InputConfig) -> Tensor:
    """Resize, crop the centre, and match the channels.

    Short side to ``image_size / crop_pct``, antialiased, then a centre crop: timm's evaluation transform,
    with its sizes and offsets. Where the resized image is smaller than the crop it gets a frame: black, or of
    brightness `mean` with `border`, which brings the long side to the size. uint8 stays uint8, so a file and
    the array of its pixels give the same input.

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
        batch = cropped(_resized(batch, config), config)
    return batch.contiguous()


def resized_size(config: InputConfig) -> tuple[int, int]:
    """(H, W) of images that `sized` only crops: those that resizing gives of images of the same aspect."""
    if not config.resize:
        height, width = config.image_size
        return height, width
    return _target([floor(side / config.crop_pct) for side in config.image_size], config)


def cropped(batch: Tensor, config: InputConfig) -> Tensor:
    """Crop the centre of resized images (n, n_channels, H, W), in a frame where they are smaller."""
    return _centre_crop(_framed(batch, config), config.image_size)


def normalised(batch: Tensor, config: InputConfig) -> Tensor:
    """Brightness as the network was trained on: uint8 or float in [0, 1] to ``(value - mean) / std``."""
    white = 1.0 if batch.is_floating_point() else 255.0
    mean, std = (
        torch.tensor(v, device=batch.device).view(-1, 1, 1) * white for v in (config.mean, config.std)
    )
    return (batch.float() - mean) / std


def sized_batches(
    images: Images, config: InputConfig, *, batch_size: int, n_threads: int
) -> Iterator[Tensor]:
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


def read_batches(
    images: Images, config: InputConfig, batches: Iterable[Any], *, n_threads: int
) -> Iterator[Tensor]:
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

    Raises
    ------
    ValueError
        If an image cannot be decoded. All are tried then, and the message names each that cannot be.
    """

    def load(rows: Any) -> Tensor:
        return sized(images.pixels(rows), config)

    pending: deque[list[Future[Tensor]]] = deque()
    pool = ThreadPoolExecutor(n_threads)
    try:
        for rows in batches:
            tasks = [rows] if images.read is None else ([row] for row in rows)
            pending.append([pool.submit(load, task) for task in tasks])
            if len(pending) > _AHEAD:
                yield _gathered(pending.popleft())
        while pending:
            yield _gathered(pending.popleft())
    except UnreadableImage:
        pool.shutdown(cancel_futures=True)
        refuse_damaged(images, n_threads)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _gathered(futures: list[Future[Tensor]]) -> Tensor:
    return torch.cat([future.result() for future in futures])


def _with_channels(batch: Tensor, n_channels: int) -> Tensor:
    """Grey repeated for a colour network; luminance of colour for a grey one."""
    if batch.shape[1] == n_channels:
        return batch
    if batch.shape[1] == 1:
        return batch.expand(-1, n_channels, -1, -1)
    weights = torch.tensor(_LUMINANCE).view(3, 1, 1)
    grey = (batch * weights).sum(1, keepdim=True)  # (n, 1, H, W)
    return grey if batch.is_floating_point() else grey.round().to(torch.uint8)


def _resized(batch: Tensor, config: InputConfig) -> Tensor:
    target = _target(batch.shape[-2:], config)
    if target == tuple(batch.shape[-2:]):
        return batch
    if config.interpolation in _BY_TORCH:
        if _height_first(batch.shape[-2:], target):
            size = target[0], batch.shape[-1]
            batch = interpolate(batch, size=size, mode=config.interpolation, antialias=True)
        resized = interpolate(batch, size=target, mode=config.interpolation, antialias=True)
    else:
        resized = _resized_by_pillow(batch, target, config.interpolation)
    return resized.clamp_(*config.limits) if resized.is_floating_point() and config.limits else resized


def _height_first(shape: Iterable[int], target: tuple[int, int]) -> bool:
    """Whether Pillow 13 resizes the height before the width, as far as its results tell: the cheaper way.

    The order shows at edges alone, since bytes are cut off at black and white in between. Torch begins with
    the width.
    """
    (height, width), (tall, wide) = shape, target
    reach_down, reach_across = max(height / tall, 1), max(width / wide, 1) / 2
    width_first = height * wide * reach_across + tall * wide * reach_down
    return tall < height and tall * width * reach_down + tall * wide * reach_across < width_first


def _target(shape: Iterable[int], config: InputConfig) -> tuple[int, int]:
    """(H, W) after resizing, as timm and torchvision round them."""
    height, width = shape
    tall, wide = (floor(side / config.crop_pct) for side in config.image_size)
    if config.squash:
        return tall, wide
    ratios = height / tall, width / wide
    if config.border or tall != wide:
        ratio = max(ratios) if config.border else min(ratios)
        return round(height / ratio), round(width / ratio)
    short = min(height, width)
    return tall * height // short, tall * width // short


def _resized_by_pillow(batch: Tensor, target: tuple[int, int], interpolation: str) -> Tensor:
    """Resize with a filter that torch does not have, each channel by itself."""
    pil: Any = import_optional("PIL.Image", extra="vision", purpose=f"interpolation={interpolation!r}")
    planes = batch.flatten(0, 1).numpy()  # (n * n_channels, H, W)
    resample = pil.Resampling[interpolation.upper()]
    resized = [np.array(pil.fromarray(plane).resize(target[::-1], resample)) for plane in planes]
    return torch.from_numpy(np.stack(resized)).unflatten(0, tuple(batch.shape[:2]))


def _framed(batch: Tensor, config: InputConfig) -> Tensor:
    """Add what falls short of the crop on all sides, the odd pixel to the right and below."""
    short = [max(0, want - have) for want, have in zip(config.image_size, batch.shape[-2:], strict=True)]
    if not any(short):
        return batch
    (tall, wide), white = short, 1.0 if batch.is_floating_point() else 255
    sides = (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2)
    if not config.border:
        return pad(batch, sides)
    fills = [round(255 * mean) * white / 255 for mean in config.mean]
    planes = [pad(batch[:, i : i + 1], sides, value=fill) for i, fill in enumerate(fills)]
    return torch.cat(planes, dim=1)


def _centre_crop(batch: Tensor, size: tuple[int, ...]) -> Tensor:
    top, left = (round((have - want) / 2) for have, want in zip(batch.shape[-2:], size, strict=True))
    return batch[..., top : top + size[0], left : left + size[1]]
