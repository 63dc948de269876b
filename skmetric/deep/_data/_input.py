"""What a network may be fed: rows of features, images in all their forms, or a torch Dataset."""

import numpy as np
import torch
from joblib import effective_n_jobs
from torch.utils.data import Dataset, IterableDataset, Subset

from skmetric._checks import check_finite_rows
from skmetric._images._images import as_pixels
from skmetric._images._opening import open_images
from skmetric._images._pil import is_pil
from skmetric._torch import seeded

from ._collated import CollatedItems, as_items, is_nested, labels_in
from ._items import DatasetItems, ImageItems, split_item
from ._nested import map_nested
from ._source import Reader, Streamed

_WHITE = 255  # of uint8; such images stay uint8 in memory and become floats from 0 to 1 in the batch


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


def read_images(
    X, channel_axis="auto", shape=None, *, image_size=None, num_workers=0, any_range=True, background="white"
):
    """Check images, and make of them an array, or what reads them when they are needed.

    Parameters
    ----------
    X : array of shape (n, H, W), (n, H, W, C) or (n, C, H, W), or sequence of n images
        See :func:`skmetric._images._opening.open_images`.
    channel_axis : {"auto", "first", "last"}, default="auto"
        Where arrays have their channels.
    shape : tuple of (int, int, int), default=None
        Channels, height and width fitted on; None in `fit`.
    image_size : int or (int, int), default=None
        Size to bring them to; None: all must have one.
    num_workers : int, default=0
        Processes that read.
    any_range : bool, default=True
        Whether floats may leave [0, 1].
    background : str or (int, int, int), default="white"
        Colour under the transparent places of files and PIL images.

    Returns
    -------
    ndarray or Streamed, of shape (n, C, H, W)
        uint8, or float32. A view of one array whose images have the right size.

    Raises
    ------
    FileNotFoundError, ValueError
        If images cannot be read, or do not go together or with those fitted on.
    """
    n_channels = None if shape is None else shape[0]
    images = open_images(
        X,
        channel_axis=channel_axis,
        n_channels=n_channels,
        n_threads=effective_n_jobs(-1),
        any_range=any_range,
        background=background,
    )
    items = ImageItems(images, image_size, shape)
    if images.read is None and images.shapes[0] == (*items.shape[1:], items.shape[0]):
        return np.moveaxis(as_pixels(images.rows), -1, 1)
    return Streamed(Reader(items, num_workers))


def to_float(batch):
    """A batch as the network takes it: float32, uint8 images from 0 to 1, other integers as they are.

    Layers compute channels-last batches to other bits, and one channel has strides that read as either.
    """
    return map_nested(_to_float, batch)


def _to_float(batch):
    if batch.ndim > 1 and batch.numel():
        batch = batch.contiguous().flatten(1).view(batch.shape)
    if batch.dtype == torch.uint8:
        return batch.float() / _WHITE
    return batch.float() if batch.is_floating_point() else batch


# Datasets of torch


def is_dataset(X):
    """Whether `X` is a Dataset of torch, or the list of its items that scikit-learn's splits make of one."""
    return isinstance(X, Dataset) or _lists_items(X)


def _lists_items(X):
    """Whether `X` lists tuples (sample,) or (sample, label); a tuple of numbers is a row of features."""
    if not (isinstance(X, list) and X and isinstance(X[0], tuple) and len(X[0]) in (1, 2)):
        return False
    sample = X[0][0]
    return is_pil(sample) or len(getattr(sample, "shape", ())) > 0 or is_nested(sample)


def read_dataset(
    X, channel_axis="auto", shape=None, *, image_size=None, num_workers=0, any_range=True, background="white"
):
    """Check a dataset and its first item; parameters as of :func:`read_images`. Always streamed."""
    _check_map_style(X)
    with seeded(0):
        sample, _ = split_item(X[0], 0)
    if is_nested(sample):
        return read_collated(X, num_workers=num_workers)
    items = DatasetItems(X, channel_axis, image_size, shape, any_range=any_range, background=background)
    return Streamed(Reader(items, num_workers))


def read_collated(X, collate_fn=None, spec=None, *, num_workers=0):
    """Check items of any structure by the first of them. Always streamed.

    Parameters
    ----------
    X : sequence or Dataset
        Items: samples, or pairs (sample, label).
    collate_fn : callable, default=None
        From a list of samples to a batch.
    spec : object, default=None
        Structure of the batches fitted on.
    num_workers : int, default=0
        Processes that read.

    Returns
    -------
    Streamed
    """
    if isinstance(X, Dataset):
        _check_map_style(X)
    return Streamed(Reader(CollatedItems(as_items(X), collate_fn, spec), num_workers))


def labels_of(X, *, collated=False):
    """Labels that a dataset carries, read once: its ``targets``, or the second parts of its items.

    Parameters
    ----------
    X : object
        As given to `fit`.
    collated : bool, default=False
        Whether items are for a collate function, and so of any structure.

    Returns
    -------
    array-like of shape (n,) or None
        None where `X` is no dataset, or an item has no label.
    """
    if not (is_dataset(X) or collated) or isinstance(X, IterableDataset):  # which tells labels as it goes
        return None
    if isinstance(X, Dataset):
        _check_map_style(X)
    targets = _targets(X)
    if targets is not None:
        return np.asarray(targets)
    if collated:
        return labels_in(X)
    labels = []
    with seeded(0):
        for i in range(len(X)):
            label = split_item(X[i], i)[1]
            if label is None:
                return None
            labels.append(label.item() if getattr(label, "ndim", None) == 0 else label)
    return labels


def _check_map_style(X):
    name = type(X).__name__
    if isinstance(X, IterableDataset):
        raise ValueError(
            f"X is {name}, an IterableDataset, which only fit and partial_fit of DeepMetricLearner take: "
            "pass a map-style Dataset, with __len__ and __getitem__"
        )
    if not hasattr(X, "__len__"):
        raise ValueError(f"X is {name}, a Dataset without __len__: how many samples it has must be known")
    if len(X) == 0:
        raise ValueError(f"X is {name}, an empty Dataset: at least one sample is needed")


def _targets(X):
    """`targets` as torchvision's datasets have, unless a transform makes other labels of them."""
    if isinstance(X, Subset):
        targets = _targets(X.dataset)
        return None if targets is None else np.asarray(targets)[list(X.indices)]
    if not isinstance(X, Dataset):
        return None
    return None if getattr(X, "target_transform", None) else getattr(X, "targets", None)
