"""Images as files and as Pillow's objects: headers first, pixels when they are asked for."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skmetric._optional import import_optional

from ._images import Images

__all__ = ["from_paths", "from_pil", "is_pil", "pil_pixels"]

_ORIENTATION = 0x0112  # Exif tag; from 5 on, height and width trade places
_TURNED = range(5, 9)
_SHOWN = 5  # how many bad files a message lists


def from_paths(paths, n_threads):
    """Images of files whose headers are sound."""
    _pil("Reading image files")
    with ThreadPoolExecutor(n_threads) as pool:
        headers = list(pool.map(_header, paths))
    _refuse_unreadable(paths, headers)
    return Images(paths, _read_path, headers, "path")


def from_pil(rows):
    """Images of a list of Pillow's."""
    return Images(rows, pil_pixels, [_checked_shape(row) for row in rows], "PIL image")


def is_pil(row):
    """Whether `row` is an image of Pillow's; does not import it."""
    pil = sys.modules.get("PIL.Image")  # nobody holds a PIL image who has not imported it
    return pil is not None and isinstance(row, pil.Image)


def pil_pixels(image):
    """Pixels (H, W, 1) or (H, W, 3), uint8, upright."""
    image = import_optional("PIL.ImageOps", extra="vision", purpose="Reading images").exif_transpose(image)
    if image.mode.startswith("I;16"):
        return (np.asarray(image) >> 8).astype(np.uint8)[..., None]
    if _n_channels(image) == 1:
        return np.asarray(image.convert("L"))[..., None]
    if "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns where a palette with transparency goes to RGB at once
    return np.asarray(image.convert("RGB"))


def _pil(purpose):
    return import_optional("PIL.Image", extra="vision", purpose=purpose)


def _header(path):
    """(H, W, C) of the upright image, or the error that its header gives."""
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
    return (*((height, width) if upright else (width, height)), _n_channels(image))


def _n_channels(image):
    return 1 if image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I;16") else 3


def _read_path(path):
    try:
        with _pil("Reading image files").open(path) as image:
            return pil_pixels(image)
    except Exception as error:  # as in _header
        raise ValueError(f"cannot decode {path!r}: {error}") from error
