"""Images as files and as Pillow's objects: headers first, pixels when they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._images import Images, UnreadableImage
from ._pil import colour_of, header, is_pil, opened, pil_header, pil_pixels, pixels_of, reason_of

__all__ = ["from_paths", "from_pil", "is_pil", "pil_pixels", "reasons_of_paths", "refuse_damaged"]

_SHOWN = 100  # how many bad images a message lists

Colour = tuple[int, int, int]


def from_paths(paths: list[str], n_threads: int, background: Any = "white") -> Images:
    """Images of files whose headers are sound."""
    colour = colour_of(background)
    headers = _each(partial(_header, background=colour), paths, n_threads)
    _refuse(paths, "path", {i: found for i, found in enumerate(headers) if isinstance(found, Exception)})
    read = partial(_read_path, background=colour) if background != "white" else _read_path
    return Images(paths, read, headers, "path")


def from_pil(rows: list[Any], background: Any = "white") -> Images:
    """Images of a list of Pillow's; these stay as they are, decoded or not."""
    colour = colour_of(background)
    shapes = _each(partial(_pil_header, background=colour), rows, 1)
    _refuse(rows, "PIL image", {i: found for i, found in enumerate(shapes) if isinstance(found, Exception)})
    return Images(rows, partial(_read_pil, background=colour), shapes, "PIL image")


def refuse_damaged(images: Images, n_threads: int = 1) -> None:
    """Decode all images of a list, and raise one error that names each that cannot be.

    To call once an image has failed: whoever repairs the files then repairs all of them.
    """
    if images.read is not None and images.kind != "array":
        found = _each(partial(_failure, images.read), images.rows, n_threads)
        _refuse(images.rows, images.kind, {i: error for i, error in enumerate(found) if error is not None})


def reasons_of_paths(paths: Sequence[str], n_threads: int) -> dict[int, str]:
    """What is the matter with each file that is no image or whose pixels cannot be decoded, by row."""
    headers = _each(partial(_header, background=(255, 255, 255)), paths, n_threads)
    sound = [i for i, found in enumerate(headers) if not isinstance(found, Exception)]
    failures = _each(partial(_failure, _read_path), [paths[i] for i in sound], n_threads)
    found = {i: error for i, error in enumerate(headers) if isinstance(error, Exception)}
    found |= {i: error for i, error in zip(sound, failures, strict=True) if error is not None}
    return {i: _said("path", paths[i], found[i]) for i in sorted(found)}


def _each(function: Callable[[Any], Any], rows: Sequence[Any], n_threads: int) -> list[Any]:
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, rows))


def _header(path: str, background: Colour) -> Any:
    """(H, W, C) of the upright image, or the error that its header gives."""
    try:
        with opened(path) as image:
            return header(image, background)
    except ImportError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged header leads them to
        return error


def _pil_header(image: Any, background: Colour) -> Any:
    try:
        return pil_header(image, background)
    except Exception as error:  # as in _header
        return error


def _read_path(path: str, background: Colour = (255, 255, 255)) -> NDArray[np.uint8]:
    try:
        with opened(path) as image:
            return pixels_of(image, background)
    except ImportError:
        raise
    except Exception as error:  # as in _header
        raise UnreadableImage(f"cannot decode {path!r}: {reason_of(error)}") from error


def _read_pil(image: Any, background: Colour) -> NDArray[np.uint8]:
    try:
        return pil_pixels(image, background)
    except Exception as error:  # as in _header
        raise UnreadableImage(f"cannot decode {_name(image)}: {reason_of(error)}") from error


def _failure(read: Callable[[Any], NDArray], row: Any) -> UnreadableImage | None:
    try:
        read(row)
    except UnreadableImage as error:
        return error
    return None


def _refuse(rows: Sequence[Any], kind: str, bad: dict[int, Exception]) -> None:
    """Raise an error that names each bad row, by its number, with the reason."""
    if not bad:
        return
    shown = "; ".join(_said(kind, rows[i], bad[i], f" (row {i})") for i in list(bad)[:_SHOWN])
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    remedy = ". skmetric.datasets.check_images(paths) gives the rows that can be" if kind == "path" else ""
    missing = all(isinstance(error, FileNotFoundError) for error in bad.values())
    if missing and kind == "path" and len(bad) == len(rows) and not os.path.isabs(rows[next(iter(bad))]):
        remedy = f". None of them is there: paths are read from the working directory, {os.getcwd()!r}"
    error = FileNotFoundError if missing else ValueError
    raise error(f"{len(bad)} of {len(rows)} images cannot be read: {shown}{more}{remedy}")


def _said(kind: str, row: Any, error: Exception, where: str = "") -> str:
    """One bad row in words: what it is, which, and why."""
    name = repr(row) if kind == "path" else _name(row)
    if isinstance(error, UnreadableImage):  # its own text begins with the same name
        return f"cannot decode {name}{where}: {reason_of(error.__cause__)}"  # type: ignore[arg-type]
    return f"{name}{where}: {reason_of(error)}"


def _name(image: Any) -> str:
    name = getattr(image, "filename", "")
    return f"the PIL image of {name!r}" if name else "a PIL image"
