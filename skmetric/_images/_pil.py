"""One image of Pillow's: opened with care, its shape from the header, its pixels upright and opaque.

Nothing is decoded inside an object of the caller: what is not decoded yet is opened once more.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skmetric._optional import import_optional

from ._memory import room_for
from ._sixteen_bits import in_eight_bits, is_of_sixteen_bits

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["colour_of", "header", "is_pil", "opened", "pil_header", "pil_pixels", "pixels_of", "reason_of"]

# Formats of photographs and of exact pixels. Others are not tried: one of them starts Ghostscript.
# HEIF and JXL are read where a package that registers them with Pillow was imported.
FORMATS = ("JPEG", "PNG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000")
_BY_PLUGIN = ("HEIF", "JXL")
_ORIENTATION = 0x0112  # Exif tag; from 5 on, height and width trade places
_TURNED = range(5, 9)
_GREY = ("1", "L", "LA", "La")
_NOTES = (b"eXIf", b"iTXt", b"tEXt", b"zTXt")  # PNG chunks that may tell the orientation
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_LOCKS = [threading.Lock() for _ in range(64)]  # dealt out by the address of an object
_closing: set[int] = set()  # files that are closed with the image of the caller


def _unlock() -> None:
    """Free the locks in a forked process, which has none of the threads that may have held them."""
    _LOCKS[:] = [threading.Lock() for _ in _LOCKS]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def is_pil(row: object) -> bool:
    """Whether `row` is an image of Pillow's; does not import it."""
    pil = sys.modules.get("PIL.Image")  # nobody holds a PIL image who has not imported it
    return pil is not None and isinstance(row, pil.Image)


def colour_of(background: Any) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of the parameter `background`: a name, "#rrggbb", or the three."""
    try:
        if isinstance(background, str):
            colours = import_optional("PIL.ImageColor", extra="vision", purpose="Reading image files")
            red, green, blue = colours.getrgb(background)[:3]
        else:
            red, green, blue = (int(value) for value in background)
        if all(0 <= value <= 255 for value in (red, green, blue)):
            return red, green, blue
    except (ValueError, TypeError):
        pass
    raise ValueError(
        f"background={background!r} is no colour: pass a name such as 'white', '#rrggbb', or red, green and "
        "blue from 0 to 255"
    )


@contextmanager
def opened(file: Any) -> Iterator[Image]:
    """Open a path or a stream of bytes as an image of one of the formats that are read."""
    pil = _pil()
    pil.init()  # the formats that its first import leaves out
    if isinstance(file, str | os.PathLike):
        kind = stat.S_IFMT(os.stat(file).st_mode)
        if kind != stat.S_IFREG:  # opening a pipe would wait for whoever writes to it
            raise ValueError(f"{_KINDS.get(kind, 'not a regular file')}, not an image file")
    with pil.open(file, formats=[name for name in FORMATS + _BY_PLUGIN if name in pil.OPEN]) as image:
        _check_number_of_pixels(image)
        yield image


def header(image: Image, background: tuple[int, int, int]) -> tuple[int, int, int]:
    """(H, W, C) that the pixels of an opened image will have; decodes where a PNG tells more behind them."""
    if image.mode in ("I", "F") and not is_of_sixteen_bits(image):
        raise ValueError(
            f"a PIL image of mode {image.mode!r} has no fixed range: pass it as a float array from 0 to 1"
        )
    width, height = image.size
    turned = _orientation(image) in _TURNED
    return (*((width, height) if turned else (height, width)), _n_channels(image, background))


def pil_header(image: Image, background: tuple[int, int, int]) -> tuple[int, int, int]:
    """(H, W, C) that :func:`pil_pixels` will give of an image of the caller, which stays as it is."""
    with _own(image) as own:
        return header(own, background)


def pil_pixels(image: Image, background: Any = "white") -> NDArray[np.uint8]:
    """Pixels (H, W, 1) or (H, W, 3) of an image of the caller, which stays as it is; upright, opaque."""
    with _own(image) as own:
        return pixels_of(own, colour_of(background))


def pixels_of(image: Image, background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pixels (H, W, 1) or (H, W, 3) of an image that may be changed; upright, on the background if clear."""
    with room_for(image.size[0] * image.size[1]):
        operations = import_optional("PIL.ImageOps", extra="vision", purpose="Reading images")
        operations.exif_transpose(image, in_place=True)
        if is_of_sixteen_bits(image):
            image = in_eight_bits(image)
        n_channels = _n_channels(image, background)
        if image.has_transparency_data:
            image = _composited(image, background)
        mode = "L" if n_channels == 1 else "RGB"
        array = np.asarray(image if image.mode == mode else image.convert(mode))
        return array[..., None] if n_channels == 1 else array


def reason_of(error: Exception) -> str:
    """What is the matter with an image, of the error that opening or decoding it raised."""
    name = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if name == "UnidentifiedImageError":
        return f"not an image of a format that is read ({', '.join(FORMATS)}), or a damaged one"
    if name.startswith("DecompressionBomb"):
        return f"{error}; if you trust the file, set PIL.Image.MAX_IMAGE_PIXELS to more"
    return str(error) or name


def _pil() -> Any:
    return import_optional("PIL.Image", extra="vision", purpose="Reading image files")


def _check_number_of_pixels(image: Image) -> None:
    """Refuse what a header declares beyond Pillow's limit, of which Pillow itself only warns."""
    limit, (width, height) = _pil().MAX_IMAGE_PIXELS, image.size
    if limit is not None and width * height > limit:
        raise ValueError(
            f"its header declares {width}x{height} = {width * height:,} pixels, more than the limit of "
            f"{limit:,}; if you trust the file, set PIL.Image.MAX_IMAGE_PIXELS to more"
        )


def _orientation(image: Image) -> int | None:
    if image.format == "TIFF":
        return None  # Pillow turns these itself, their size in the header included
    if image.format != "PNG":
        return image.getexif().get(_ORIENTATION)
    if _is_lazy(image) and _tells_after_pixels(image.fp):  # type: ignore[attr-defined]
        image.load()
    return _pil().Image.getexif(image).get(_ORIENTATION)  # that of PNG files decodes always, to look behind


def _tells_after_pixels(file: Any) -> bool:
    """Whether a PNG has chunks behind its pixels that may tell the orientation."""
    start, passed = file.tell(), False
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            passed = passed or name == b"IDAT"
            if name == b"IEND" or (passed and name in _NOTES):
                return name != b"IEND"
            file.seek(length + 4, os.SEEK_CUR)
        return False
    finally:
        file.seek(start)


@contextmanager
def _own(image: Image) -> Iterator[Image]:
    """Yield an image of our own with the same pixels, so that threads and rows may share the caller's."""
    with _LOCKS[id(image) // 64 % len(_LOCKS)]:
        if not _is_lazy(image):
            own, file = image.copy(), None
            own.format = image.format
            if image.format != "TIFF":  # those are upright once they are decoded
                own.getexif()[_ORIENTATION] = image.getexif().get(
                    _ORIENTATION, 1
                )  # as the caller may have set it
        else:
            file = _source(image)
    if file is None:
        yield own
        return
    with opened(file) as own:
        frame = image.tell()
        if frame:
            own.seek(frame)
        if (own.size, own.mode) != (image.size, image.mode):  # a draft was asked for
            own.draft(image.mode, image.size)  # type: ignore[arg-type]
        yield own


def _is_lazy(image: Image) -> bool:
    """Whether the pixels are not decoded yet; Pillow has no public word for it."""
    return bool(getattr(image, "tile", None)) or getattr(image, "_im", image) is None


def _source(image: Any) -> Any:
    """What the image was opened from, to open it once more: its path, or a copy of its bytes."""
    file = getattr(image, "fp", None)
    name = getattr(image, "filename", "")
    if file is None or getattr(file, "closed", False):
        raise ValueError(
            "its file was closed before its pixels were read: pass the path, or call its load() before the "
            "file is closed"
        )
    if getattr(image, "_exclusive_fp", False) and id(file) not in _closing:
        _closing.add(
            id(file)
        )  # Pillow opened it and closes it once it decodes the image, which does not happen
        weakref.finalize(image, _close, file)
    try:  # each handle has its own position, in another process too
        if name and os.path.samestat(os.fstat(file.fileno()), os.stat(name)):
            return os.path.abspath(name)
    except (OSError, ValueError):  # no file on disk, or no longer under that name
        pass
    position = file.tell()
    file.seek(0)
    content = BytesIO(file.read())
    file.seek(position)
    return content


def _close(file: Any) -> None:
    _closing.discard(id(file))
    file.close()


def _n_channels(image: Image, background: tuple[int, int, int]) -> int:
    coloured = image.has_transparency_data and len(set(background)) > 1
    return 1 if (image.mode in _GREY or is_of_sixteen_bits(image)) and not coloured else 3


def _composited(image: Image, background: tuple[int, int, int]) -> Image:
    """The image over a background: what lies under transparent places does not count."""
    if image.mode == "La":
        image = image.convert("LA")
    above = image.convert("RGBA")
    below = _pil().new("RGBA", image.size, (*background, 255))
    below.alpha_composite(above)
    return below
