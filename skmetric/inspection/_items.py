"""What a sample looks like: pixels of arrays, paths and PIL images, or wrapped text."""

import os
import re
from collections.abc import Hashable

import numpy as np

from skmetric._checks import is_missing, read_labels
from skmetric._images._files import refuse_damaged
from skmetric._images._opening import open_images
from skmetric._images._pil import is_pil
from skmetric._optional import import_optional

_SIDE = 128  # pixels that a picture in a grid is shrunk to
_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_NO_LABEL = "no label"


def are_pictures(items):
    """Whether samples are pictures: arrays of pixels, PIL images or paths of image files; else text."""
    first = items[0]
    if isinstance(first, str | os.PathLike):
        return isinstance(first, os.PathLike) or str(first).lower().endswith(_SUFFIXES)
    return True


def as_items(items):
    """Samples by position: those of a column, or of the rows of a table, as a list."""
    if hasattr(items, "columns"):  # a DataFrame: a row is shown as text
        names = [str(name) for name in items.columns]
        rows = np.asarray(items, dtype=object)
        return [", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True)) for row in rows]
    return list(items) if hasattr(items, "to_numpy") else items


def check_items(items, n_items, name):
    """Samples to show as a sequence with one for each of `n_items`."""
    if len(items) != n_items:
        raise ValueError(f"{name} must be one for each of the {n_items} samples; got {len(items)}")
    return items


def as_column(values):
    """Labels as an array of one dimension, of a DataFrame with one column too; some may be missing."""
    try:
        return read_labels(values, "labels")
    except ValueError:  # to draw them, they need be neither there nor of one type
        column = np.asarray(values, dtype=object)
        return column[:, 0] if column.ndim == 2 and column.shape[1] == 1 else column


def coded(labels):
    """Classes to draw, sorted, and the code of each sample; samples without a label are the last class."""
    if labels.dtype != object:
        unique, of_rows = np.unique(labels, return_inverse=True)
        return list(unique), of_rows
    values = [None if is_missing(label) else label for label in labels.tolist()]
    named = [value if isinstance(value, Hashable) else str(value) for value in values]
    classes: list = [name for name in dict.fromkeys(named) if name is not None]
    try:
        classes.sort()
    except TypeError:  # of several types
        classes.sort(key=lambda name: (type(name).__name__, str(name)))
    code_of = {name: code for code, name in enumerate(classes)} | {None: len(classes)}
    codes = np.array([code_of[name] for name in named], dtype=np.intp)
    return classes + [_NO_LABEL] * (None in named), codes


def pixels(item, side=_SIDE):
    """Pixels (H, W) or (H, W, 3) of a picture, shrunk to at most `side` if it is a file or PIL image."""
    if isinstance(item, str | os.PathLike) or is_pil(item):
        return _shrunk(open_images([item]).block(0, 1)[0], side)
    array = np.asarray(item)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3):
        raise ValueError(
            f"a picture is (H, W), (H, W, 3) or (3, H, W); got shape {array.shape}. Rows of pixels become "
            "pictures by X.reshape(-1, H, W)"
        )
    return array


def refuse_unreadable(items):
    """Raise one error that names each file or PIL image that cannot be read; nothing if all can be."""
    rows = list(items)
    if all(isinstance(row, str | os.PathLike) for row in rows) or all(map(is_pil, rows)):
        refuse_damaged(open_images(rows))


def to_rgb(item, side=_SIDE):
    """Pixels (H, W, 3) as uint8; other arrays are stretched from their smallest to their largest value."""
    array = pixels(item, side)
    if array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        if array.dtype.kind == "f" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
        array = ((array.astype(float) - low) / ((high - low) or 1) * 255).round().astype(np.uint8)
    return np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else array


def wrapped(text, width=24, lines=4):
    """Text in a few short lines, broken at spaces, hyphens, slashes and underscores, else anywhere."""
    rows = [""]
    for piece in re.findall(r"[^\s_/-]*[\s_/-]+|[^\s_/-]+", str(text).strip()):
        word, end = piece.rstrip(), piece[len(piece.rstrip()) :]
        for part in [word[start : start + width] for start in range(0, len(word), width)]:
            if len(rows[-1] + part) > width:
                rows.append("")
            rows[-1] += part
        rows[-1] += end[:1]
    rows = [row.rstrip() for row in rows]
    if len(rows) > lines:
        rows = [*rows[: lines - 1], rows[lines - 1][: width - 2] + " …"]
    return "\n".join(rows)


def _shrunk(array, side):
    """Colours (H, W, 3) of decoded pixels (H, W, C), at most `side` high and wide."""
    image_module = import_optional("PIL.Image", extra="vision", purpose="Showing images")
    image = image_module.fromarray(array[..., 0] if array.shape[2] == 1 else array).convert("RGB")
    image.thumbnail((side, side))
    return np.asarray(image)
