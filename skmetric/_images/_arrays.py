"""Images as arrays: where their channels are, and whether their values are images at all."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._images import Images, as_pixels

__all__ = ["check_channels", "checked_image", "from_arrays", "from_block", "to_array"]

_SHOWN = 5  # how many bad rows a message lists
_ROUNDING = 1e-5  # how far float images may leave [0, 1]


def to_array(X: Any) -> NDArray:
    """An array of numpy; of a tensor of torch too that has gradients, is on a GPU, or is of bfloat16."""
    torch: Any = sys.modules.get("torch")  # nobody holds a tensor who has not imported it
    if torch is None or not isinstance(X, torch.Tensor):
        return np.asarray(X)
    X = X.detach().cpu()
    known = X.dtype in (torch.float16, torch.float32, torch.float64) or not X.is_floating_point()
    return (X if known else X.float()).numpy()


def from_block(X: NDArray, channel_axis: str, n_channels: int | None, any_range: bool) -> Images:
    """Images of one array (n, H, W), (n, H, W, C) or (n, C, H, W); views, so no pixel is copied."""
    if X.ndim not in (3, 4):
        raise ValueError(
            f"X has shape {X.shape}: images are (n, H, W), (n, H, W, C) or (n, C, H, W). "
            "Rows of pixels become images by X.reshape(-1, H, W); one image becomes a batch by X[None]"
        )
    if X.ndim == 3 and X.shape[-1] == 3 and channel_axis == "auto":
        raise ValueError(
            f"X of shape {X.shape} reads as {X.shape[0]} grey images of {X.shape[1]}x3 or as one colour "
            "image: pass X[..., None] for the first, X[None] for the second"
        )
    if 0 in X.shape:
        raise ValueError(f"X has shape {X.shape}: images without pixels")
    rows = _channels_last(X, channel_axis, n_channels, "X")
    check_channels(rows.shape[-1], n_channels, "X")
    _check_values(rows, 0, any_range)
    return Images(rows, None, [rows.shape[1:]])


def from_arrays(rows: Sequence[Any], channel_axis: str, n_channels: int | None, any_range: bool) -> Images:
    """Images of a list of arrays of any sizes."""
    arrays = [
        checked_image(to_array(row), i, channel_axis, n_channels, any_range) for i, row in enumerate(rows)
    ]
    for i, array in enumerate(arrays):
        if (array.dtype.kind == "f") != (arrays[0].dtype.kind == "f"):
            raise ValueError(
                f"X mixes images of different types: {arrays[0].dtype} in row 0, {array.dtype} in row {i}"
            )
    return Images(arrays, as_pixels, [array.shape for array in arrays])


def checked_image(
    array: NDArray, i: int, channel_axis: str, n_channels: int | None, any_range: bool = False
) -> NDArray:
    """Row number `i` as an image (H, W, C), a view, or an error that names the row."""
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"row {i} has shape {array.shape}: an image is (H, W), (H, W, C) or (C, H, W)")
    image = _channels_last(array[None], channel_axis, n_channels, f"row {i}")
    check_channels(image.shape[-1], n_channels, f"row {i}")
    _check_values(image, i, any_range)
    return image[0]


def check_channels(count: int, n_channels: int | None, where: str = "X") -> None:
    """Refuse a number of channels that the network (None: it takes any) cannot be given."""
    if n_channels is not None and count != n_channels and not {count, n_channels} <= {1, 3}:
        raise ValueError(f"{where} has {count} channels; the network takes {n_channels}")


def _channels_last(X: NDArray, channel_axis: str, n_channels: int | None, where: str) -> NDArray:
    """(n, H, W), (n, H, W, C) or (n, C, H, W) as (n, H, W, C), a view."""
    if X.ndim == 3:
        return X[..., None]
    if channel_axis == "auto":
        channel_axis = _guess_channel_axis(X.shape[1:], {1, 3, n_channels}, where)
    return np.moveaxis(X, 1, -1) if channel_axis == "first" else X


def _guess_channel_axis(shape: tuple[int, ...], counts: set[int | None], where: str) -> str:
    first, last = shape[0] in counts, shape[2] in counts
    if first and last:
        raise ValueError(
            f"{where} has images of shape {shape}, which reads as (C, H, W) with {shape[0]} channels and as "
            f"(H, W, C) with {shape[2]}: pass channel_axis='first' or channel_axis='last'"
        )
    if not first and not last:
        known = " or ".join(str(count) for count in sorted(c for c in counts if c is not None))
        raise ValueError(
            f"{where} has images of shape {shape}: neither the first axis nor the last holds {known} "
            "channels: pass channel_axis='first' or channel_axis='last'. Images with an alpha channel are "
            "passed as PIL images, Image.fromarray(x): transparent places then get a background, while "
            "X[..., :3] shows what is hidden there"
        )
    return "first" if first else "last"


def _check_values(rows: NDArray, offset: int, any_range: bool) -> None:
    """Refuse values that are no brightness; the first of `rows`, (n, H, W, C), is row number `offset`."""
    if rows.dtype in (np.uint8, np.bool_):
        return
    if rows.dtype.kind != "f":
        raise ValueError(
            f"row {offset} has dtype {rows.dtype}: images are uint8 (0 to 255), bool, or float"
            f"{'' if any_range else ' (0 to 1)'}. Whole numbers from 0 to 255 become images by "
            "X.astype(np.uint8), those of 16 bits by X / 65535, or X / 4095 where a camera gave 12"
        )
    with np.errstate(invalid="ignore"):
        low, high = rows.min(axis=(1, 2, 3)), rows.max(axis=(1, 2, 3))  # (n,), NaN where a pixel is
    broken = np.flatnonzero(~np.isfinite(low) | ~np.isfinite(high))
    if len(broken):
        raise ValueError(f"NaN or infinity in {_listed(broken + offset)}")
    largest = np.finfo(np.float32).max
    black, white = (-largest, largest) if any_range else (-_ROUNDING, 1 + _ROUNDING)
    outside = np.flatnonzero((low < black) | (high > white))
    if len(outside):
        i = outside[0]
        remedy = (
            "these are too large for float32, in which networks compute"
            if any_range
            else "divide by the largest value possible (255 for 8 bits), or pass uint8"
        )
        span = "are finite in float32" if any_range else "go from 0 to 1"
        raise ValueError(
            f"float images {span}, row {i + offset} from {low[i]:.4g} to {high[i]:.4g}: {remedy}"
        )


def _listed(numbers: NDArray[np.intp]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"
