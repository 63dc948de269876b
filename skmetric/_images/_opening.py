"""What `X` may be: one array of images, or a list of paths, PIL images or arrays; checked before use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np

from skmetric._checks import check_map

from ._arrays import check_channels, from_arrays, from_block, to_array
from ._files import from_paths, from_pil
from ._images import Images
from ._pil import is_pil

__all__ = ["holds_images", "open_images"]


def open_images(
    X: Any,
    *,
    channel_axis: str = "auto",
    n_channels: int | None = None,
    n_threads: int = 1,
    any_range: bool = False,
    background: Any = "white",
) -> Images:
    """Find out what `X` holds and refuse what cannot be read as images.

    Parameters
    ----------
    X : array of shape (n, H, W), (n, H, W, C) or (n, C, H, W), or sequence of n images
        A sequence holds paths, or PIL images, or arrays of shape (H, W), (H, W, C) or (C, H, W). It may be a
        column of a Hugging Face data set; arrays may be tensors of torch of any float type.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where arrays have their channels.
    n_channels : int, default=None
        What the network takes; "auto" then knows this number, beside 1 and 3, for channels.
    n_threads : int, default=1
        Threads that read the headers of files.
    any_range : bool, default=False
        Whether floats may leave [0, 1], as pixels that were standardised do.
    background : str or (int, int, int), default="white"
        Colour under the transparent places of files and PIL images.

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
        return from_paths([str(os.fspath(row)) for row in rows], n_threads, background)
    if kind == "PIL image":
        return from_pil(rows, background)
    return from_arrays(rows, channel_axis, n_channels, any_range)


def holds_images(X: Any) -> bool:
    """Whether `X` is for :func:`open_images`, and so no table of features."""
    if isinstance(X, str | os.PathLike) or _no_images(X) is not None:
        return True  # open_images says what to pass instead
    if not hasattr(X, "shape") and hasattr(X, "__array__") and not isinstance(X, list | tuple):
        X = np.asarray(X)  # a column of pyarrow
    n_axes = len(getattr(X, "shape", (0,) if _is_sequence(X) else (0, 0)))  # unknown: as a table
    if n_axes != 1 or len(X) == 0:
        return n_axes > 2
    first = X[0] if _is_column(X) else next(iter(X))
    undecoded = isinstance(first, bytes | bytearray) or hasattr(first, "read")  # which open_images refuses
    return undecoded or _kind(first) in ("path", "PIL image") or len(getattr(first, "shape", ())) >= 2


def _rows(X: Any) -> Any:
    """X as one numeric array, or as a list with an image in each place."""
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"X is one path, {os.fspath(X)!r}: pass a list of paths, or the `data` of "
            "skmetric.datasets.load_image_folder for a folder"
        )
    if (found := _no_images(X)) is not None:
        raise ValueError(f"X is {found}")
    if X is None or isinstance(X, bool | int | float):
        raise ValueError(f"X is {X!r}: pass a list of paths or of PIL images, or an array (n, H, W, C)")
    if _is_column(X):
        X = list(X)
    if isinstance(X, list | tuple) and X and (_kind(X[0]) != "number" or isinstance(X[0], bytes)):
        return list(X)
    if isinstance(X, np.ndarray):
        check_map(X)
    array = to_array(X)
    if array.dtype.kind not in "OUT":
        return array
    if array.ndim != 1:
        raise ValueError(
            f"X has dtype {array.dtype} and shape {array.shape}: images are listed in one dimension"
        )
    return array.tolist() if array.dtype.kind != "O" else list(array)


def _no_images(X: Any) -> str | None:
    """What `X` is and what to pass instead, where it holds images in a way that is not read."""
    name = type(X).__name__
    if is_pil(X):
        return "one PIL image: pass a list, [X]"
    if isinstance(X, bytes | bytearray):
        return f"{name}: pass a list of paths, or of PIL images, as from Image.open(BytesIO(X))"
    if (
        hasattr(X, "column_names") and hasattr(X, "features") and not isinstance(X, Mapping)
    ):  # of Hugging Face
        columns = list(X.column_names or ())
        return (
            f"a whole {name} with the columns {columns}: pass the one that holds the images, as in X['image']"
        )
    if hasattr(X, "batch_size") and hasattr(X, "dataset"):  # of torch
        return (
            f"a {name}, which gives batches: pass the images of its dataset, "
            "[item[0] for item in X.dataset], or their paths; batch_size= is a parameter here"
        )
    if hasattr(X, "__getitem__") and _has_base(X, "torch.utils.data"):
        return f"a {name}, a Dataset of torch: pass its images, [item[0] for item in X], or their paths"
    if isinstance(X, Mapping):
        return (
            f"a {name} with the keys {list(X)[:10]}: pass the list of images that it holds, as in "
            "X['train']['image'] of Hugging Face's splits"
        )
    if isinstance(X, Iterator | Set) or (hasattr(X, "__iter__") and not hasattr(X, "__len__")):
        return f"a {name}, which has no order or can be read once only: pass a list, as list(X)"
    return None


def _has_base(X: Any, module: str) -> bool:
    return any(base.__module__.startswith(module) for base in type(X).__mro__)


def _is_sequence(X: Any) -> bool:
    return isinstance(X, list | tuple) or _is_column(X)


def _is_column(X: Any) -> bool:
    """Whether `X` is a sequence that is neither a list nor an array, as a column of Hugging Face's is."""
    known = isinstance(X, list | tuple | np.ndarray) or hasattr(X, "__array__") or hasattr(X, "shape")
    return not known and hasattr(X, "__getitem__") and hasattr(X, "__len__") and not isinstance(X, Mapping)


def _kind(row: Any) -> str:
    if isinstance(row, str | os.PathLike):
        return "path"
    if is_pil(row):
        return "PIL image"
    return "array" if hasattr(row, "__array__") and np.ndim(row) else "number"


def _common_kind(rows: list[Any]) -> str:
    kinds = [_kind(row) for row in rows]
    for i, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ValueError(
                f"X mixes images of different types: {kinds[0]} ({type(rows[0]).__name__}) in row 0, "
                f"{kind} ({type(rows[i]).__name__}) in row {i}"
            )
    if kinds[0] == "number":
        encoded = isinstance(rows[0], bytes | bytearray | dict)
        remedy = ". Encoded images are opened by Image.open(BytesIO(row))" if encoded else ""
        raise ValueError(f"X holds {type(rows[0]).__name__}: images are paths, PIL images or arrays{remedy}")
    return kinds[0]
