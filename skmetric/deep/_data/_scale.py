"""The range of float images that a network was fitted on, and images of another, which it would misread."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_FACTOR = 4.0  # how far a scale may be off: between images of one source it differs less, 1 and 255 more
_ALONE = 32.0  # how much darker than all of them a few images may be, as one taken at night
_FEW = 4
_BLOCK = 1024  # images looked at together
_LOOKED_AT = 64  # items of a Dataset that tell its range


class Scale(NamedTuple):
    """Largest absolute values of single images, as the network gets them."""

    darkest: float  # 0 if images were uint8, whose range is known without them
    brightest: float

    def joined(self, other: Scale) -> Scale:
        """Of the images of both."""
        return Scale(min(self.darkest, other.darkest), max(self.brightest, other.brightest))


def scale_of(samples: Any) -> Scale | None:
    """Scale of samples; None for rows of features.

    Parameters
    ----------
    samples : ndarray or Streamed of shape (n, C, H, W) or (n, n_features)
        Of a Dataset, some of the items are read.

    Returns
    -------
    Scale or None
        Images without any light do not count.
    """
    if len(samples.shape) != 4:
        return None
    if samples.dtype == np.uint8:
        return Scale(0.0, 1.0)
    peaks = peaks_of(samples) if isinstance(samples, np.ndarray) else samples.peaks(_LOOKED_AT)
    peaks = peaks[peaks > 0]
    return Scale(float(peaks.min()), float(peaks.max())) if len(peaks) else None


def peaks_of(images: NDArray[Any]) -> NDArray[np.float64]:
    """Largest absolute value of each image, (n,)."""
    axes = tuple(range(1, images.ndim))
    blocks = [images[start : start + _BLOCK] for start in range(0, len(images), _BLOCK)]
    return np.concatenate([np.maximum(block.max(axes), -block.min(axes)) for block in blocks]).astype(float)


def check_scale(samples: Any, fitted: Scale | None) -> None:
    """Refuse float images on another scale than those fitted on; items of a Dataset are looked at when read.

    Parameters
    ----------
    samples : ndarray or Streamed
        Checked images.
    fitted : Scale or None
        None: nothing is known.
    """
    if fitted is None or len(samples.shape) != 4:
        return
    if samples.dtype == np.uint8:
        check_peaks(
            np.ones(_FEW), fitted, "row {}", "uint8 images, which the network gets as floats from 0 to 1,"
        )
    elif isinstance(samples, np.ndarray):
        check_peaks(peaks_of(samples), fitted, "row {}")
    else:
        samples.check_scale(fitted)


def check_peaks(peaks: NDArray[np.float64], fitted: Scale, where: str, kind: str = "float images") -> None:
    """Refuse images of which one is too bright, or of which even the brightest is too dark.

    Parameters
    ----------
    peaks : ndarray of shape (n,)
        Largest absolute value of each image.
    fitted : Scale
        Of `fit`.
    where : str
        Names an image, "{}" being its number.
    kind : str, default="float images"
        What they are.
    """
    row = int(peaks.argmax())
    largest = peaks[row]
    factor = _ALONE if len(peaks) < _FEW else _FACTOR
    if largest > _FACTOR * fitted.brightest or 0 < largest * factor < fitted.darkest:
        raise ValueError(
            f"X holds {kind} with values up to {largest:.4g} ({where.format(row)}), but `fit` saw values up "
            f"to {fitted.brightest:.4g}: bring images to the range of those fitted on. uint8 images from 0 "
            "to 255 are the same as floats from 0 to 1"
        )
