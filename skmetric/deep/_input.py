"""What a network may be fed: rows of features, or images in one array; checked, then cast batch by batch."""

import numpy as np
import torch

from skmetric._checks import check_finite_rows

_WHITE = 255  # of uint8; such images stay uint8 in memory and become floats from 0 to 1 in the batch


def has_images(X):
    """Whether `X` is one array of images, and so no matter for scikit-learn's validation."""
    ndim = getattr(X, "ndim", None)
    if ndim is None and isinstance(X, list | tuple) and len(X) and getattr(X[0], "ndim", 0) >= 2:
        ndim = 1 + X[0].ndim
    return ndim is not None and ndim >= 3


def as_float32(X):
    """Finite rows as float32, or an error that names the rows that are not, or would not be."""
    check_finite_rows(X)
    if X.dtype == np.float32:
        return X
    with np.errstate(over="ignore"):
        cast = X.astype(np.float32)
    if not np.isfinite(cast).all():
        raise ValueError(
            f"Input X has values too large for float32, in which networks compute (the largest is "
            f"{np.abs(X).max():.3g}): scale the features, as with StandardScaler"
        )
    return cast


def read_images(X, channel_axis="auto", shape=None):
    """Find the channels of images and check their values.

    Parameters
    ----------
    X : array of shape (n, H, W), (n, H, W, C) or (n, C, H, W), or sequence of n equal images
        uint8, bool or float.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where the channels are; "auto" looks for an axis of 1 or 3, or of the channels of `shape`.
    shape : tuple of (int, int, int), default=None
        Channels, height and width of the images fitted on; None in `fit`.

    Returns
    -------
    images : ndarray of shape (n, C, H, W)
        A view where that is possible: uint8, or float32.

    Raises
    ------
    ValueError
        On an ambiguous axis, a shape other than fitted, values that are no brightness, NaN or infinity.
    """
    X = _one_array(X)
    if X.ndim not in (3, 4) or 0 in X.shape:
        raise ValueError(
            f"X has shape {X.shape}: samples are rows of features (n, n_features), or images (n, H, W), "
            "(n, H, W, C) or (n, C, H, W)"
        )
    if X.dtype.kind not in "f" and X.dtype not in (np.uint8, np.bool_):
        raise ValueError(
            f"X has dtype {X.dtype}: images are uint8 (0 to 255), bool or float. Whole numbers from 0 to 255 "
            "become images by X.astype(np.uint8)"
        )
    images = _channels_first(X, channel_axis, shape)  # (n, C, H, W)
    if shape is not None and images.shape[1:] != tuple(shape):
        raise ValueError(f"X has images of {_described(images.shape[1:])}; fit saw {_described(shape)}")
    return images if images.dtype == np.uint8 else as_float32(images.astype(_float_dtype(images), copy=False))


def to_float(batch):
    """A batch as the network takes it: float32, uint8 images from 0 to 1."""
    return batch.float() / _WHITE if batch.dtype == torch.uint8 else batch


def _one_array(X):
    try:
        return np.asarray(X)
    except ValueError:
        shapes = sorted({np.shape(image) for image in X})
        raise ValueError(
            f"X holds images of several shapes, {shapes[0]} and {shapes[1]}: bring them to one size"
        ) from None


def _float_dtype(images):
    return np.float64 if images.dtype == np.float64 else np.float32


def _channels_first(X, channel_axis, shape):
    if X.ndim == 3:
        return X[:, None]
    if channel_axis == "auto":
        channel_axis = _guess_channel_axis(X.shape[1:], shape)
    return np.moveaxis(X, -1, 1) if channel_axis == "last" else X


def _guess_channel_axis(image, shape):
    """Where an image of three axes has its channels: where `fit` found them, else an axis of 1 or 3."""
    if shape is not None:
        first, last = image == tuple(shape), (image[2], *image[:2]) == tuple(shape)
        if first != last:
            return "first" if first else "last"
    counts = (1, 3) if shape is None else (1, 3, shape[0])
    first, last = image[0] in counts, image[2] in counts
    if first and last:
        raise ValueError(
            f"X has images of shape {image}, which reads as (C, H, W) with {image[0]} channels and as "
            f"(H, W, C) with {image[2]}: pass channel_axis='first' or channel_axis='last'"
        )
    if not first and not last:
        raise ValueError(
            f"X has images of shape {image}: neither the first axis nor the last holds 1 or 3 channels. "
            "Pass channel_axis='first' or channel_axis='last'"
        )
    return "first" if first else "last"


def _described(shape):
    """Say the shape (C, H, W) in words."""
    channels, height, width = shape
    return f"{channels} channel{'s' if channels > 1 else ''}, {height}x{width}"
