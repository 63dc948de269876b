"""Every file below a folder: images, and what is left out, with the reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ._checking import LeftOut

__all__ = ["PICTURES", "SUFFIXES", "Found", "endings", "walk"]

SUFFIXES = frozenset(
    [
        ".apng",
        ".avif",
        ".avifs",
        ".bmp",
        ".dib",
        ".gif",
        ".j2k",
        ".jfif",
        ".jp2",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".jpx",
        ".pbm",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    ]
)
# pictures to their owner, of formats that are not read
PICTURES = frozenset(
    [
        ".ai",
        ".arw",
        ".cr2",
        ".cr3",
        ".dng",
        ".eps",
        ".exr",
        ".hdr",
        ".heic",
        ".heics",
        ".heif",
        ".ico",
        ".jxl",
        ".nef",
        ".orf",
        ".psd",
        ".raf",
        ".raw",
        ".rw2",
        ".svg",
        ".tga",
        ".xcf",
    ]
)
_SERVERS = frozenset(
    ["@eaDir", "@Recycle", "#recycle", "#snapshot", "__MACOSX", "$RECYCLE.BIN", "lost+found"]
)


class Found(NamedTuple):
    """What lies in a folder."""

    images: list[Path]  # below the folder
    folders: list[str]  # names of its folders, sorted
    left_out: list[LeftOut]


def endings() -> str:
    """The endings of images, for a message."""
    return ", ".join(sorted(SUFFIXES))


def walk(root: Path) -> Found:
    """Find all files below a folder, also behind links; no file is opened."""
    found = Found([], [], [])
    _walk(root, Path(), found, frozenset([_identity(root)]))
    found.folders.sort()
    return found


def _walk(root: Path, below: Path, found: Found, above: frozenset[tuple[int, int]]) -> None:
    """List one folder; `above` are the folders on the way to it, which a link may lead back to."""
    try:
        entries = sorted(os.scandir(root / below), key=lambda entry: entry.name)
    except OSError as error:
        found.left_out.append(LeftOut(str(root / below), f"cannot be listed: {error.strerror}"))
        return
    for entry in entries:
        file = below / entry.name
        reason = _why_left_out(entry)
        if reason is None and entry.is_dir():
            identity = _identity(root / file)
            if identity in above:
                reason = "a link that leads back to a folder above it"
            else:
                if not below.parts:
                    found.folders.append(entry.name)
                _walk(root, file, found, above | {identity})
                continue
        if reason is None:
            found.images.append(file)
        else:
            found.left_out.append(LeftOut(str(root / file), reason))


def _why_left_out(entry: os.DirEntry[str]) -> str | None:
    if entry.name.startswith("."):
        return "hidden"
    if entry.name in _SERVERS:
        return "made by a server or an operating system"
    if entry.is_dir():
        return None
    if not os.path.exists(entry.path):
        return "a link that leads nowhere"
    if not entry.is_file():
        return "not a regular file"
    suffix = Path(entry.name).suffix.lower()
    if suffix not in SUFFIXES:
        return f"not an image by its ending, {suffix}" if suffix else "not an image: its name has no ending"
    return None


def _identity(folder: Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino
