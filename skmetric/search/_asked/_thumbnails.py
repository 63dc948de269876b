"""Small pictures of image files, to stand in a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from io import BytesIO

from skmetric._images._opening import open_images
from skmetric._optional import import_optional

__all__ = ["thumbnails"]

_SIDE = 64  # pixels


def thumbnails(paths: Sequence[str]) -> list[str]:
    """Data URLs of image files; an empty text for each that is not here or cannot be read."""
    return [_thumbnail(path) for path in paths]


def _thumbnail(path: str) -> str:
    try:
        image_module = import_optional("PIL.Image", extra="vision", purpose="Thumbnails")
        pixels = open_images([path]).block(0, 1)[0]  # (H, W, C), uint8
    except (ImportError, OSError, ValueError, TypeError):  # a table is shown without pictures too
        return ""
    picture = image_module.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    picture.thumbnail((_SIDE, _SIDE))
    file = BytesIO()
    picture.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
