"""make_glyphs: characters of many scripts, drawn in the fonts that matplotlib installs."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch, check_random_state

from skmetric._optional import import_optional
from skmetric._params import Interval, validate_params

from ._characters import FACES, PURPOSE, distinct_characters, face, glyph

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

__all__ = ["make_glyphs"]

_FINE = 2  # characters are drawn so many times larger, then reduced
_LENGTH = 0.68  # of the image's side: longer side of a character
_TURN, _SHEAR, _SCALE, _SHIFT = np.radians(12), 0.2, 0.1, 0.08  # largest changes, the shift of the side

_DESCR = """\
Characters of several scripts
-----------------------------
{n_samples} grey images of {n_classes} characters, {side} by {side} pixels, drawn in the {n_faces} faces of
DejaVu that matplotlib installs: Sans, Sans Mono and Serif, upright and slanted, normal and bold. Each image
is turned, sheared, scaled and shifted a little at random. Characters with accents are left out. Of characters
that look alike, as the Latin A, the Greek Alpha and the Cyrillic A do, only the first by code point is drawn.
"""


@validate_params(
    {
        "n_classes": [Interval(Integral, 1, None, closed="left")],
        "samples_per_class": [Interval(Integral, 1, None, closed="left")],
        "image_size": [Interval(Integral, 8, 256, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_glyphs(
    n_classes: int = 200,
    samples_per_class: int = 12,
    *,
    image_size: int = 32,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Draw characters of several scripts in many fonts: hundreds of classes without a download.

    Letters (Latin, Greek, Cyrillic, Armenian, Georgian), digits and symbols are drawn in the twelve DejaVu
    faces that matplotlib installs, then turned, sheared, scaled and shifted a little. Learn a metric on some
    of the characters and score it on the others. Pixels compare characters badly: one character in two faces
    often differs more than two characters in one face.

    Parameters
    ----------
    n_classes : int, default=200
        Number of characters, chosen at random among those that look different: about 800.
    samples_per_class : int, default=12
        Number of images of each character. The first twelve are of different faces, in random order; more
        images repeat the faces, with other turns and shifts.
    image_size : int, default=32
        Height and width of the images in pixels, 8 to 256.
    random_state : int, RandomState instance or None, default=None
        Source of the random numbers. With the same int, a smaller set is part of a larger set: the first
        classes are the same, and so are the first images of each class.

    Returns
    -------
    Bunch
        ``images`` : ndarray of shape (n_classes * samples_per_class, image_size, image_size), uint8
            Images, class after class: 0 is the background, 255 is ink.
        ``target`` : ndarray of shape (n_classes * samples_per_class,), int
            Class of each image, a place in ``target_names``.
        ``target_names`` : ndarray of shape (n_classes,), str
            The characters.
        ``scripts`` : ndarray of shape (n_classes,), str
            Script of each character: "Armenian", "Cyrillic", "Georgian", "Greek", "Latin", or "Digit" or
            "Symbol". ``scripts[target]`` has the script of each image.
        ``DESCR`` : str
            Description of the data.

    Raises
    ------
    ImportError
        If matplotlib or Pillow is not installed: the extra ``plot`` brings both.
    FileNotFoundError
        If matplotlib was installed without its fonts.
    ValueError
        If there are fewer than `n_classes` characters.

    See Also
    --------
    load_image_folder : Lists your own images.
    skmetric.model_selection.class_disjoint_split : Splits the images so that no character is in both parts.

    Notes
    -----
    The first call in a process compares about 1,000 characters to find the look-alikes, which takes about a
    second. Other versions of Pillow may draw some pixels differently.

    Examples
    --------
    >>> from skmetric.datasets import make_glyphs
    >>> glyphs = make_glyphs(n_classes=5, samples_per_class=3, random_state=0)
    >>> glyphs.images.shape, glyphs.target.tolist()
    ((15, 32, 32), [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4])
    """
    characters = distinct_characters()
    if n_classes > len(characters.names):
        raise ValueError(
            f"n_classes={n_classes}, but only {len(characters.names)} characters look different in all "
            f"{len(FACES)} faces: lower n_classes, or raise samples_per_class for more images"
        )
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    chosen = np.random.default_rng(seed).permutation(len(characters.names))[:n_classes]
    names = characters.names[chosen]
    fonts = [face(name, _FINE * image_size) for name in FACES]
    images = [_images_of(name, fonts, samples_per_class, image_size, seed) for name in names]
    return Bunch(
        images=np.concatenate(images),
        target=np.repeat(np.arange(n_classes), samples_per_class),
        target_names=names,
        scripts=characters.scripts[chosen],
        DESCR=_DESCR.format(
            n_samples=n_classes * samples_per_class, n_classes=n_classes, side=image_size, n_faces=len(FACES)
        ),
    )


def _images_of(
    character: str, fonts: list[FreeTypeFont], n_samples: int, side: int, seed: int
) -> NDArray[np.uint8]:
    """Images of one character, (n_samples, side, side): image i is the same in a larger set."""
    rng = np.random.default_rng([seed, ord(character)])
    order = rng.permutation(len(fonts))
    changes = rng.uniform(-1, 1, size=(n_samples, 5))
    inks = [glyph(fonts[i], character) for i in order[:n_samples]]
    return np.stack([_drawn(inks[i % len(inks)], change, side) for i, change in enumerate(changes)])


def _drawn(ink: Image, change: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    """Turn, shear, scale and shift one character; (side, side)."""
    images = import_optional("PIL.Image", extra="plot", purpose=PURPOSE)
    fine = _FINE * side
    turn, shear, scale = _TURN * change[0], _SHEAR * change[1], np.exp(_SCALE * change[2])
    shift = fine * _SHIFT * change[3:]
    length = _LENGTH * fine * scale / max(ink.size)
    cos, sin = np.cos(turn), np.sin(turn)
    forth = length * np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]])
    back = np.linalg.inv(forth)  # Pillow asks where each pixel comes from
    corner = np.array(ink.size) / 2 - back @ (fine / 2 + shift)
    coefficients = (*back[0], corner[0], *back[1], corner[1])
    drawn = ink.transform(
        (fine, fine), images.Transform.AFFINE, coefficients, resample=images.Resampling.BICUBIC
    )
    return np.asarray(drawn.reduce(_FINE))
