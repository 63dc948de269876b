"""What `X` may be: one array of images, or a list of paths, PIL images or arrays; checked before use."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from skmetric._optional import import_optional

__all__ = ["Images", "check_one_size", "open_images"]

_ORIENTATION = 0x0112  # Exif tag; from 5 on, height and width trade places
_TURNED = range(5, 9)
_SHOWN = 5  # how many bad rows a message lists
_ROUNDING = 1e-5  # how far float images may leave [0, 1]


class Images(NamedTuple):
    """Images that passed the checks."""

    rows: list | np.ndarray  # paths, PIL images or arrays (H, W, C); or one array (n, H, W, C)
    read: Callable | None  # from a row to an array (H, W, C); None where `rows` is one array
    shapes: list  # (H, W) of every row, or one for all where `rows` is one array

    def block(self, start, stop):
        """Pixels (n_block, H, W, C) of some rows, which must be of one size: uint8, or float in [0, 1]."""
        if self.read is None:
            return _as_pixels(self.rows[start:stop])
        return np.stack([self.read(row) for row in self.rows[start:stop]])


def open_images(X, *, channel_axis="auto", n_channels=None, n_threads=1):
    """Find out what `X` holds and refuse what cannot be read as images.

    Parameters
    ----------
    X : array of shape (n, H, W), (n, H, W, C) or (n, C, H, W), or sequence of n images
        A sequence holds paths, or PIL images, or arrays of shape (H, W), (H, W, C) or (C, H, W).
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where arrays have their channels.
    n_channels : int, default=None
        What the network takes; "auto" then knows this number, beside 1 and 3, for channels.
    n_threads : int, default=1
        Threads that read the headers of files.

    Returns
    -------
    images : Images
        Pixels are read when a block is asked for.

    Raises
    ------
    ValueError
        With the row and what to do about it.
    FileNotFoundError
        If a path leads nowhere.
    """
    rows = _rows(X)
    if len(rows) == 0:
        raise ValueError("X is empty: at least one image is needed")
    if isinstance(rows, np.ndarray):
        return _from_block(rows, channel_axis, n_channels)
    kind = _common_kind(rows)
    if kind in ("path", "PIL image"):
        _check_channels(3, n_channels)
    if kind == "path":
        return _from_paths([os.fspath(row) for row in rows], n_threads)
    if kind == "PIL image":
        return _from_pil(rows)
    return _from_arrays(rows, channel_axis, n_channels)


def check_one_size(images, size):
    """Refuse images that are not of the one size (H, W) that the network is given."""
    for i, shape in enumerate(images.shapes):
        if tuple(shape) != tuple(size):
            raise ValueError(
                f"row {i} is {shape[0]}x{shape[1]}, the images in `fit` began with {size[0]}x{size[1]}: "
                "pass image_size= to bring all to one size"
            )


# What kind of thing X is


def _rows(X):
    """X as one numeric array, or as a list with an image in each place."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"X is one path, {os.fspath(X)!r}: pass a list of paths, or the `data` of "
            "skmetric.datasets.load_image_folder for a folder"
        )
    if isinstance(X, list | tuple) and X and _kind(X[0]) != "number":
        return list(X)
    array = np.asarray(X)
    if array.dtype.kind not in "OUT":
        return array
    if array.ndim != 1:
        raise ValueError(
            f"X has dtype {array.dtype} and shape {array.shape}: images are listed in one dimension"
        )
    return array.tolist() if array.dtype.kind != "O" else list(array)


def _kind(row):
    if isinstance(row, str | os.PathLike):
        return "path"
    pil = sys.modules.get("PIL.Image")  # nobody holds a PIL image who has not imported it
    if pil is not None and isinstance(row, pil.Image):
        return "PIL image"
    return "array" if hasattr(row, "__array__") and np.ndim(row) else "number"


def _common_kind(rows):
    kinds = [_kind(row) for row in rows]
    for i, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ValueError(
                f"X mixes images of different types: {kinds[0]} ({type(rows[0]).__name__}) in row 0, "
                f"{kind} ({type(rows[i]).__name__}) in row {i}"
            )
    if kinds[0] == "number":
        raise ValueError(f"X holds {type(rows[0]).__name__}: images are paths, PIL images or arrays")
    return kinds[0]


# Arrays


def _from_block(X, channel_axis, n_channels):
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
    _check_channels(rows.shape[-1], n_channels, "X")
    _check_values(rows, 0)
    return Images(rows, None, [rows.shape[1:3]])


def _from_arrays(rows, channel_axis, n_channels):
    arrays = []
    for i, row in enumerate(map(np.asarray, rows)):
        if row.ndim not in (2, 3) or 0 in row.shape:
            raise ValueError(f"row {i} has shape {row.shape}: an image is (H, W), (H, W, C) or (C, H, W)")
        arrays.append(_channels_last(row[None], channel_axis, n_channels, f"row {i}")[0])
        _check_channels(arrays[-1].shape[-1], n_channels, f"row {i}")
        _check_values(arrays[-1][None], i)
    return Images(arrays, lambda array: _as_pixels(array), [array.shape[:2] for array in arrays])


def _channels_last(X, channel_axis, n_channels, where):
    """(n, H, W), (n, H, W, C) or (n, C, H, W) as (n, H, W, C), a view."""
    if X.ndim == 3:
        return X[..., None]
    if channel_axis == "auto":
        channel_axis = _guess_channel_axis(X.shape[1:], {1, 3, n_channels}, where)
    return np.moveaxis(X, 1, -1) if channel_axis == "first" else X


def _guess_channel_axis(shape, counts, where):
    first, last = shape[0] in counts, shape[2] in counts
    if first and last:
        raise ValueError(
            f"{where} has images of shape {shape}, which reads as (C, H, W) with {shape[0]} channels and as "
            f"(H, W, C) with {shape[2]}: pass channel_axis='first' or channel_axis='last'"
        )
    if not first and not last:
        known = " or ".join(map(str, sorted(counts - {None})))
        raise ValueError(
            f"{where} has images of shape {shape}: neither the first axis nor the last holds {known} "
            "channels. An alpha channel is dropped by X[..., :3]"
        )
    return "first" if first else "last"


def _check_channels(count, n_channels, where="X"):
    """Refuse a number of channels that the network (None: it takes any) cannot be given."""
    if n_channels is not None and count != n_channels and not {count, n_channels} <= {1, 3}:
        raise ValueError(f"{where} has {count} channels; the network takes {n_channels}")


def _check_values(rows, offset):
    """Refuse values that are no brightness; the first of `rows`, (n, H, W, C), is row number `offset`."""
    if rows.dtype in (np.uint8, np.bool_):
        return
    if rows.dtype.kind != "f":
        raise ValueError(
            f"row {offset} has dtype {rows.dtype}: images are uint8 (0 to 255), bool, or float (0 to 1). "
            "Whole numbers from 0 to 255 become images by X.astype(np.uint8)"
        )
    with np.errstate(invalid="ignore"):
        low, high = rows.min(axis=(1, 2, 3)), rows.max(axis=(1, 2, 3))  # (n,), NaN where a pixel is
    broken = np.flatnonzero(~np.isfinite(low) | ~np.isfinite(high))
    if len(broken):
        raise ValueError(f"NaN or infinity in {_listed(broken + offset)}")
    outside = np.flatnonzero((low < -_ROUNDING) | (high > 1 + _ROUNDING))
    if len(outside):
        i = outside[0]
        raise ValueError(
            f"float images go from 0 to 1, row {i + offset} from {low[i]:.4g} to {high[i]:.4g}: divide by "
            "the largest value possible (255 for 8 bits), or pass uint8"
        )


def _as_pixels(array):
    """uint8 as it is, bool as black and white, float as float32."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array * np.uint8(255)
    return array.astype(np.float32, copy=False)


def _listed(numbers):
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"


# Files and PIL images


def _from_paths(paths, n_threads):
    _pil("Reading image files")
    with ThreadPoolExecutor(n_threads) as pool:
        headers = list(pool.map(_header, paths))
    _refuse_unreadable(paths, headers)
    return Images(paths, _read_path, headers)


def _from_pil(rows):
    return Images(rows, _pil_pixels, [_checked_shape(row) for row in rows])


def _pil(purpose):
    return import_optional("PIL.Image", extra="vision", purpose=purpose)


def _header(path):
    """(H, W) of the upright image, or the error that its header gives."""
    try:
        with _pil("Reading image files").open(path) as image:
            return _checked_shape(image)
    except Exception as error:  # Pillow's readers raise whatever a damaged header leads them to
        return error


def _refuse_unreadable(paths, headers):
    bad = [i for i, header in enumerate(headers) if isinstance(header, Exception)]
    if not bad:
        return
    reasons = "; ".join(f"{paths[i]!r} (row {i}): {_reason(headers[i])}" for i in bad[:_SHOWN])
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    missing = all(isinstance(headers[i], FileNotFoundError) for i in bad)
    error = FileNotFoundError if missing else ValueError
    raise error(f"{len(bad)} of {len(paths)} images cannot be read: {reasons}{more}")


def _reason(error):
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if type(error).__name__ == "UnidentifiedImageError":
        return "not an image, or a damaged one"
    return str(error)


def _checked_shape(image):
    if image.mode in ("I", "F"):
        raise ValueError(
            f"a PIL image of mode {image.mode!r} has no fixed range: pass it as a float array from 0 to 1"
        )
    width, height = image.size
    # Pillow turns TIFF itself; PNG keeps its Exif behind the pixels, which asking for it would decode
    upright = image.format in ("PNG", "TIFF") or image.getexif().get(_ORIENTATION) not in _TURNED
    return (height, width) if upright else (width, height)


def _read_path(path):
    try:
        with _pil("Reading image files").open(path) as image:
            return _pil_pixels(image)
    except Exception as error:  # as in _header
        raise ValueError(f"cannot decode {path!r}: {error}") from error


def _pil_pixels(image):
    """Pixels (H, W, 1) or (H, W, 3), uint8, upright."""
    image = import_optional("PIL.ImageOps", extra="vision", purpose="Reading images").exif_transpose(image)
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8).astype(np.uint8)[..., None]
    if image.mode in ("1", "L", "LA", "La"):
        return np.asarray(image.convert("L"))[..., None]
    if "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns where a palette with transparency goes to RGB at once
    return np.asarray(image.convert("RGB"))
