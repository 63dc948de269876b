"""What `X` may be: one array of images, or a list of paths, PIL images or arrays; checked before use."""

import os

import numpy as np

from ._arrays import check_channels, from_arrays, from_block
from ._files import from_paths, from_pil, is_pil

__all__ = ["holds_images", "open_images"]


def open_images(X, *, channel_axis="auto", n_channels=None, n_threads=1, any_range=False):
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
    any_range : bool, default=False
        Whether floats may leave [0, 1], as pixels that were standardised do.

    Returns
    -------
    Images
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
        return from_block(rows, channel_axis, n_channels, any_range)
    kind = _common_kind(rows)
    if kind in ("path", "PIL image"):
        check_channels(3, n_channels)
    if kind == "path":
        return from_paths([os.fspath(row) for row in rows], n_threads)
    if kind == "PIL image":
        return from_pil(rows)
    return from_arrays(rows, channel_axis, n_channels, any_range)


def holds_images(X):
    """Whether `X` is for :func:`open_images`, and so no table of features."""
    if isinstance(X, str | os.PathLike):
        return True  # of one image: open_images says what to pass instead
    n_axes = 1 if isinstance(X, list | tuple) else len(getattr(X, "shape", (0, 0)))  # unknown: as a table
    if n_axes != 1 or len(X) == 0:
        return n_axes > 2
    first = next(iter(X))
    return _kind(first) in ("path", "PIL image") or len(getattr(first, "shape", ())) >= 2


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
    if is_pil(row):
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
