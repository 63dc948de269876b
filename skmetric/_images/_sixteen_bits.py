"""Images of 16 bits a pixel, as microscopes and scanners write them, in 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skmetric._optional import import_optional

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["in_eight_bits", "is_of_sixteen_bits"]

_WHITE, _WHITE_OF_12 = 65535, 4095
_MAX_SAMPLE_VALUE = 281  # TIFF tag


def is_of_sixteen_bits(image: Image) -> bool:
    """Whether an image has whole numbers up to 65,535; of mode "I", those of PGM files have."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")


def in_eight_bits(image: Any) -> Image:
    """Scale an image of 16 bits so that its white is 255; with an alpha channel where it had a clear value.

    White is the largest value that the file declares: of a PGM (Pillow has scaled it to 65,535 then) or of a
    TIFF. Without one it is 65,535, or 4,095 where no pixel exceeds that: 12 bits kept in 16, as cameras do.
    """
    values = np.asarray(image).astype(np.int64)  # (H, W)
    declared = getattr(image, "tag_v2", {}).get(_MAX_SAMPLE_VALUE)
    white = np.ravel(declared)[0] if declared else _WHITE
    if not declared and image.format != "PPM" and values.max() <= _WHITE_OF_12:
        white = _WHITE_OF_12
    pil: Any = import_optional("PIL.Image", extra="vision", purpose="Reading images")
    scaled = pil.fromarray(((values * 255 + white // 2) // white).clip(0, 255).astype(np.uint8))
    if isinstance(clear := image.info.get("transparency"), int):
        scaled.putalpha(pil.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return scaled
