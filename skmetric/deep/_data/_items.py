"""Samples one by one: images that are read and sized, and what a torch Dataset gives."""

import numpy as np
import torch
from joblib import effective_n_jobs

from skmetric._images._arrays import checked_image, to_array
from skmetric._images._files import refuse_damaged
from skmetric._images._images import UnreadableImage, as_pixels, check_one_size, check_size
from skmetric._images._pil import is_pil, pil_pixels
from skmetric._pixels._sizing import InputConfig, height_and_width, read_batches, sized
from skmetric._torch import seeded

from ._scale import check_peaks, peaks_of


class ImageItems:
    """Images of a list or an array, all brought to one size and number of channels.

    Parameters
    ----------
    images : Images
        Checked.
    image_size : int or (int, int), default=None
        Size to bring them to; None: they must all have that of `shape`, or of the first.
    shape : tuple of (int, int, int), default=None
        Channels, height and width fitted on.

    Raises
    ------
    ValueError
        If an image has another size, or channels that do not go with the others.
    """

    is_fixed = True

    def __init__(self, images, image_size=None, shape=None):
        counts = [shape[2] for shape in images.shapes]
        decoded = images.kind != "array"
        n_channels = shape[0] if shape else max(counts) if decoded else counts[0]
        for i, n_own in enumerate(counts):
            check_channels(i, n_own, n_channels, decoded, fitted=shape is not None)
        size = target_size(image_size, shape, images.shapes[0][:2])
        if image_size is None:
            check_one_size(images, size)
        self.shape = (n_channels, *size)
        self.dtype = np.dtype(np.float32 if images.kind == "array" and _is_float(images) else np.uint8)
        self._images, self._config = images, _input_config(self.shape, resize=image_size is not None)

    def __len__(self):
        return len(self._images.rows)

    def peaks(self, rows, n):
        """Largest absolute value of each of these images; all of them, for floats are in memory."""
        return np.concatenate([peaks_of(self._images.pixels([row])) for row in rows])

    def check_scale(self, rows, fitted):
        """Refuse images on another scale than those fitted on."""
        check_peaks(self.peaks(rows, None), fitted, "row {}")

    def read(self, rows):
        """Items with these numbers, a Tensor (n_rows, C, H, W)."""
        try:
            return torch.cat([sized(self._images.pixels([row]), self._config) for row in rows])
        except UnreadableImage:
            refuse_damaged(self._images)
            raise

    def batches(self, keys):
        """Yield the items of each key, a seed and row numbers; read in threads, ahead of who takes them."""
        batches = (rows for _, rows in keys)
        yield from read_batches(self._images, self._config, batches, n_threads=effective_n_jobs(-1))


class DatasetItems:
    """Samples of a map-style torch Dataset; chance in it comes from torch, and so from the seed of a batch.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Items are samples, or begin with one: an image (tensor, array or PIL image) or a row of features.
    channel_axis : {"auto", "first", "last"}
        Where arrays and tensors have their channels.
    image_size : int or (int, int), default=None
        Size to bring images to; None: they must all have that of `shape`, or of the first.
    shape : tuple of int, default=None
        Of a sample fitted on; None: that of the first.
    any_range : bool, default=True
        Whether floats may leave [0, 1].
    background : str or (int, int, int), default="white"
        Colour under the transparent places of PIL images.

    Raises
    ------
    ValueError
        If the first item is no sample; a later one raises when it is read.
    """

    is_fixed = False  # it may augment

    def __init__(
        self, dataset, channel_axis, image_size=None, shape=None, *, any_range=True, background="white"
    ):
        self._dataset, self._channel_axis = dataset, channel_axis
        self._any_range, self._background, self._scale = any_range, background, None
        self._resizes, self._fitted = image_size is not None, shape is not None
        self.shape = shape
        with seeded(0):
            first, decoded = self._sample(0)
        if shape is None:
            n_channels, size = first.shape[-1], target_size(image_size, None, first.shape[:2])
            self.shape = (n_channels, *size) if first.ndim == 3 else first.shape
        if first.ndim == 1 and self._resizes:
            raise ValueError("image_size is for images, and items of X are rows of features: leave it None")
        self.dtype = first.dtype
        self._sized(0, first, decoded)  # that it goes with what was fitted

    def __len__(self):
        return len(self._dataset)

    def __getitem__(self, i):
        return self._sized(i, *self._sample(i))

    def read(self, rows):
        """Items with these numbers, a Tensor (n_rows, *shape)."""
        return torch.stack([self[int(row)] for row in rows])

    def batches(self, keys):
        """Yield the items of each key, a seed and row numbers."""
        for seed, rows in keys:
            with seeded(seed):
                batch = self.read(rows)
            yield batch

    def peaks(self, rows, n):
        """Largest absolute values of some of these items, evenly spaced."""
        some = rows[np.unique(np.linspace(0, len(rows) - 1, n).astype(int))]
        with seeded(0):
            return peaks_of(self.read(some).numpy())

    def check_scale(self, rows, fitted):
        """Refuse items on another scale than those fitted on, each when it is read."""
        self._scale = fitted

    def _sample(self, i):
        """Item `i` as an image (H, W, C) or a row (n_features,), and whether it was a PIL image."""
        sample, _ = split_item(self._dataset[i], i)
        if is_pil(sample):
            return pil_pixels(sample, self._background), True
        array = to_array(sample)
        if array.ndim == 1 and array.dtype.kind in "fiub":
            return _finite_row(array, i), False
        if array.ndim not in (2, 3):
            raise ValueError(
                f"item {i} of X is a {type(sample).__name__} of shape {array.shape}: a sample is an image "
                "(tensor, array or PIL image) or a row of features"
            )
        known = self.shape[0] if self.shape else None
        image = as_pixels(checked_image(array, i, self._channel_axis, known, any_range=self._any_range))
        if self._scale is not None and image.dtype != np.uint8:
            check_peaks(peaks_of(image[None]), self._scale, f"item {i}")
        return image, False

    def _sized(self, i, sample, decoded):
        """That sample as a Tensor of `shape`, if it goes with the others."""
        wanted = f"`fit` saw {self.shape}" if self._fitted else f"item 0 has {self.shape}"
        if sample.ndim != len(self.shape) or (sample.ndim == 1 and sample.shape != self.shape):
            raise ValueError(f"item {i} of X has shape {sample.shape}; {wanted}")
        if sample.dtype != self.dtype:
            raise ValueError(f"item {i} of X is {sample.dtype}, item 0 is {self.dtype}: give all one dtype")
        if sample.ndim == 1:
            return torch.from_numpy(sample)
        check_channels(i, sample.shape[2], self.shape[0], decoded, fitted=self._fitted)
        if not self._resizes:
            check_size(i, sample.shape, self.shape[1:])
        return sized(sample[None], _input_config(self.shape, resize=self._resizes))[0]


def check_channels(i, count, wanted, decoded, *, fitted):
    """Refuse row `i` with other channels than `wanted`; grey files among colour ones pass."""
    if count != wanted and not (decoded and count == 1):
        seen = f"`fit` saw {wanted}" if fitted else f"row 0 has {wanted}"
        raise ValueError(
            f"row {i} has {count} channel{'s' if count > 1 else ''}, {seen}: bring all images to one number "
            "of channels, as by PIL's convert('RGB') or convert('L')"
        )


def target_size(image_size, shape, first):
    """(H, W) of all images: as fitted, as asked for, or as the first image has."""
    if shape is not None:
        return tuple(shape[1:])
    return tuple(first) if image_size is None else height_and_width(image_size)


def split_item(item, i):
    """Sample and label of a dataset's item; the label is None where it has none."""
    if not isinstance(item, tuple | list):
        return item, None
    if len(item) not in (1, 2):
        raise ValueError(f"item {i} of X has {len(item)} parts: a Dataset gives sample or (sample, label)")
    return item[0], item[1] if len(item) == 2 else None


def _input_config(shape, *, resize):
    """Bilinear, antialiased, short side first, then a centre crop: never beyond the range of the pixels."""
    return InputConfig(shape[0], tuple(shape[1:]), resize, 1.0, False, "bilinear", (), (), limits=None)


def _is_float(images):
    return (images.rows if images.read is None else images.rows[0]).dtype.kind == "f"


def _finite_row(array, i):
    with np.errstate(over="ignore"):
        row = array.astype(np.float32)
    if not np.isfinite(row).all():
        raise ValueError(f"item {i} of X has NaN or infinity, or values too large for float32")
    return row
