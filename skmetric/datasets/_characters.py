"""Which characters `make_glyphs` draws: those that all twelve faces have and that look unlike each other."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._optional import import_optional

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

__all__ = ["FACES", "PURPOSE", "SCRIPTS", "Characters", "distinct_characters", "face", "glyph"]

# DejaVu without its two Display faces, in which many characters are missing
FACES = tuple(
    f"DejaVu{family}{style}.ttf"
    for family, styles in {
        "Sans": ("", "-Bold", "-BoldOblique", "-Oblique"),
        "SansMono": ("", "-Bold", "-BoldOblique", "-Oblique"),
        "Serif": ("", "-Bold", "-BoldItalic", "-Italic"),
    }.items()
    for style in styles
)
SCRIPTS = ("Armenian", "Cyrillic", "Digit", "Georgian", "Greek", "Latin", "Symbol")
PURPOSE = "make_glyphs"

_LETTERS, _SYMBOLS = frozenset(["Lu", "Ll", "Lo"]), frozenset(["Sc", "Sm", "So"])
_FRAMES = range(0x2500, 0x25A0)  # box drawing and block elements: pieces of frames
_EM, _SIDE = 24, 16  # pixels: of the font and of the pictures that are compared
_SMALLEST = 0.4  # of the em: dots and commas have no shape that shows
_COMPARED = ("DejaVuSans.ttf", "DejaVuSansMono.ttf", "DejaVuSerif.ttf", "DejaVuSerif-Italic.ttf")
_ALIKE = 0.9  # mean cosine of two pictures from which characters count as look-alikes


class Characters(NamedTuple):
    """Characters that can be told apart, by code point."""

    names: NDArray[np.str_]  # (n_characters,), of one character each
    scripts: NDArray[np.str_]  # (n_characters,), of SCRIPTS


def face(name: str, pixels: int) -> FreeTypeFont:
    """One of the faces that matplotlib installs; `pixels` is its em."""
    fonts = import_optional("PIL.ImageFont", extra="plot", purpose=PURPOSE)
    # Layout.BASIC is in each build of Pillow, so that all draw the same
    return fonts.truetype(str(_file(name)), pixels, layout_engine=fonts.Layout.BASIC)


def glyph(font: FreeTypeFont, character: str) -> Image:
    """The ink of one character, cut to its box; of size (0, 0) where there is none."""
    images = import_optional("PIL.Image", extra="plot", purpose=PURPOSE)
    mask: Any = font.getmask(character, mode="L")
    picture = images.frombytes("L", mask.size, bytes(mask))
    return picture.crop(picture.getbbox() or (0, 0, 0, 0))


@lru_cache(maxsize=1)
def distinct_characters() -> Characters:
    """Characters of all faces that do not look alike: of two that do, the first by code point stays.

    All are drawn in the four faces that differ most, about half a CPU second, and compared with all others.
    """
    candidates = _candidates()
    pictures, sizes = _pictures(candidates)  # (4, n, side²), (4, n)
    shown = sizes.min(axis=0) >= _SMALLEST * _EM
    pictures = pictures[:, shown]
    candidates = [character for character, is_shown in zip(candidates, shown, strict=True) if is_shown]
    kept = _unlike(np.mean([unit @ unit.T for unit in pictures], axis=0))
    names = [candidates[i] for i in kept]
    return Characters(np.array(names), np.array([_script(name) for name in names]))


def _candidates() -> list[str]:
    """Letters, digits and symbols without accents that all faces have, by code point."""
    fonts = import_optional("matplotlib.ft2font", extra="plot", purpose=PURPOSE)
    common = set.intersection(*(set(fonts.FT2Font(str(_file(name))).get_charmap()) for name in FACES))
    return [chr(code) for code in sorted(common) if _is_wanted(chr(code))]


def _is_wanted(character: str) -> bool:
    category = unicodedata.category(character)
    if unicodedata.decomposition(character) or ord(character) in _FRAMES:
        return False
    return category in _LETTERS or category == "Nd" or category in _SYMBOLS


def _script(character: str) -> str:
    if unicodedata.category(character) == "Nd":
        return "Digit"
    first = unicodedata.name(character).split()[0].capitalize()
    return first if first in SCRIPTS else "Symbol"


def _pictures(characters: list[str]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Each character in each face, enlarged to one size, as a unit vector; and the longer side of its box."""
    pictures = np.zeros((len(_COMPARED), len(characters), _SIDE, _SIDE), dtype=np.float32)
    sizes = np.zeros(pictures.shape[:2], dtype=np.intp)
    for i, name in enumerate(_COMPARED):
        font = face(name, _EM)
        for j, character in enumerate(characters):
            ink = glyph(font, character)
            sizes[i, j] = longest = max(ink.size)
            if not longest:
                continue
            width, height = (max(1, round(length * _SIDE / longest)) for length in ink.size)
            left, top = (_SIDE - width) // 2, (_SIDE - height) // 2
            pictures[i, j, top : top + height, left : left + width] = np.asarray(ink.resize((width, height)))
    rows = pictures.reshape(*sizes.shape, -1)  # (4, n, side²)
    return rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1), sizes


def _unlike(similarity: NDArray[np.float32]) -> list[int]:
    """Go through the rows in order; keep each that is not alike one that was kept."""
    kept: list[int] = []
    for i, row in enumerate(similarity):
        if not kept or row[kept].max() < _ALIKE:
            kept.append(i)
    return kept


def _file(name: str) -> Path:
    matplotlib = import_optional("matplotlib", extra="plot", purpose=PURPOSE)
    file = Path(matplotlib.get_data_path(), "fonts", "ttf", name)
    if not file.exists():
        raise FileNotFoundError(
            f"make_glyphs draws the DejaVu fonts that matplotlib installs, and {str(file)!r} is missing: "
            "install matplotlib anew, with pip install --force-reinstall --no-deps matplotlib"
        )
    return file
