"""Where batches come from: a tensor in memory, or items that are read whenever they are needed.

The training loop asks for ``len``, ``to``, ``rows``, ``served`` and ``close``; it does not know which it has.
"""

import multiprocessing

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from skmetric._torch import end_workers, seeded, to_tensor

from ._gathered import Gathered, GatheredSource
from ._nested import shapes_of

_RESIDENT = 4 << 30  # bytes of training data that are kept on a GPU as a whole
_IN_MEMORY = 2 << 30  # bytes of images, as they are after decoding and resizing, that are read once and kept
_BLOCK = 256  # samples read at once, where all are read in order


class Resident:
    """Samples in memory, on the device if they fit there.

    Parameters
    ----------
    samples : Tensor of shape (n, C, H, W) or (n, n_features)
        uint8 or float32.
    """

    def __init__(self, samples):
        self._samples = samples

    def __len__(self):
        return len(self._samples)

    def to(self, device):
        """Go to the device once and for all, if that takes no more than 4 GiB of it."""
        fits = self._samples.numel() * self._samples.element_size() <= _RESIDENT
        return Resident(self._samples.to(device)) if fits else self

    def rows(self, rows):
        """Samples with these numbers, a Tensor (n_rows, ...)."""
        return self._samples[torch.as_tensor(rows, device=self._samples.device)]

    def served(self, batches, seed, first=0):
        """Yield row numbers and samples of each batch; `seed` and `first` are for sources that draw."""
        batches = [torch.as_tensor(rows) for rows in batches]
        if not batches:
            return
        there = torch.cat(batches).to(self._samples.device)  # once an epoch: a copy makes the host wait
        for rows, at in zip(batches, there.split([len(rows) for rows in batches]), strict=True):
            yield rows, self._samples[at]

    def close(self):
        """Nothing to give back."""


class Streamed:
    """Samples that are read when they are needed: a source for the loop, and a lazy array elsewhere.

    Parameters
    ----------
    reader : Reader
        Of all items.
    index : ndarray of int, default=None
        Numbers of the items that are samples here; None: all.
    """

    def __init__(self, reader, index=None):
        self._reader = reader
        self._index = np.arange(len(reader.items)) if index is None else index

    def __len__(self):
        return len(self._index)

    def __getitem__(self, rows):
        return Streamed(self._reader, self._index[rows])

    @property
    def shape(self):
        """Of the array that all samples would make."""
        return (len(self), *self._reader.items.shape)

    @property
    def sample_shape(self):
        """Of one sample; of collated ones the structure, with the shape of each array of the first."""
        spec = self.spec
        return tuple(self._reader.items.shape) if spec is None else shapes_of(spec)

    @property
    def spec(self):
        """Structure of the batches of a collate function; None of other samples."""
        return getattr(self._reader.items, "spec", None)

    @property
    def example(self):
        """The first samples, collated, and how many they are."""
        return self._reader.items.example, min(2, len(self._reader.items))

    @property
    def nbytes(self):
        """Of the same."""
        return int(np.prod(self.shape)) * self._reader.items.dtype.itemsize

    @property
    def is_fixed(self):
        """Whether each sample is the same in each reading."""
        return self._reader.items.is_fixed

    @property
    def dtype(self):
        """Of the same."""
        return self._reader.items.dtype

    def told(self, rows):
        """What these samples are known by, in a list for a collate function; of others nothing."""
        items = self._reader.items
        return items.told(self._index[rows]) if hasattr(items, "told") else []

    def peaks(self, n):
        """Largest absolute values of at most `n` samples, where reading is dear, (n_read,)."""
        return self._reader.items.peaks(self._index, n)

    def check_scale(self, fitted):
        """Refuse samples on another scale than those fitted on: now, or as they are read."""
        self._reader.items.check_scale(self._index, fitted)

    def to(self, device):
        """Stay: batches go there one by one."""
        return self

    def rows(self, rows):
        """Samples with these numbers, a Tensor (n_rows, ...)."""
        with seeded(0):
            return self._reader.items.read(self._index[np.asarray(rows)])

    def served(self, batches, seed, first=0):
        """Yield row numbers and samples of batches numbered from `first`, read with chance from `seed`."""
        batches = [np.asarray(rows) for rows in batches]
        samples = self._reader.batches([self._index[rows] for rows in batches], seed, first)
        for rows, batch in zip(batches, samples, strict=True):
            yield torch.as_tensor(rows), batch

    def blocks(self, size):
        """Yield all samples in order, Tensors (size, ...); the same in each call.

        Workers that run already, for training, go on running; others end with the last block.
        """
        parts = [self._index[start : start + size] for start in range(0, len(self), size)]
        training = self._reader.is_running
        try:
            yield from self._reader.batches(parts, seed=0)
        finally:
            if not training:
                self.close()

    def read(self):
        """Read all samples into one array, without workers."""
        items, start = self._reader.items, 0
        array = np.empty(self.shape, items.dtype)
        parts = [self._index[i : i + _BLOCK] for i in range(0, len(self), _BLOCK)]
        for block in items.batches([(0, rows) for rows in parts]):
            array[start : start + len(block)] = block.numpy()
            start += len(block)
        return array

    def close(self):
        """End worker processes; another read would start them again."""
        self._reader.close()


class Reader:
    """Reads batches of items, in this process or in workers that live until `close`.

    Parameters
    ----------
    items : ImageItems or DatasetItems
        With ``len``, ``shape`` and ``dtype`` of one, ``is_fixed``, ``read(rows) -> Tensor`` and
        ``batches(keys)``.
    n_workers : int
        Worker processes; 0 reads here.
    """

    def __init__(self, items, n_workers):
        self.items, self._n_workers = items, n_workers
        self._keys, self._loader = [], None

    def batches(self, batches, seed, first=0):
        """Yield the items of each batch of row numbers, a Tensor (n_batch, ...).

        Chance comes from `seed` and the number of the batch, which is `first` for the first one.
        """
        keys = [(seed_of(seed, number), rows) for number, rows in enumerate(batches, first)]
        if not self._n_workers or len(keys) == 1:
            yield from self.items.batches(keys)
            return
        self._keys[:] = keys
        if self._loader is None:
            self._loader = DataLoader(
                _Batches(self.items),
                batch_size=None,
                sampler=self._keys,
                num_workers=self._n_workers,
                collate_fn=_as_is,
                persistent_workers=True,
                multiprocessing_context=_start_method(),
                generator=torch.Generator(),  # or it would draw from the global one
            )
        yield from self._loader

    @property
    def is_running(self):
        """Whether there are workers."""
        return self._loader is not None

    def close(self):
        """End the workers now: the next ones would inherit what is left of them, and wait for it in vain."""
        if self._loader is not None:
            end_workers(self._loader)
        self._loader = None


class _Batches(Dataset):
    """What a worker process has: items, asked for by the batch."""

    def __init__(self, items):
        self._items = items

    def __getitem__(self, key):
        seed, rows = key
        with seeded(seed):
            return self._items.read(rows)


def _start_method():
    """How processes start: as the user said, or the platform does, where joblib has its own way.

    Inside the processes of a search with ``n_jobs`` that is "loky", in which torch's workers do not start.
    """
    known = multiprocessing.get_all_start_methods()  # the platform's own first
    chosen = multiprocessing.get_start_method(allow_none=True)
    return chosen if chosen is None or chosen in known else known[0]


def _as_is(batch):
    return batch


def as_source(samples):
    """What the loop takes, of checked samples: an array becomes resident."""
    if isinstance(samples, Gathered):
        return GatheredSource(as_source(samples.table), samples.index)
    return Resident(to_tensor(samples)) if isinstance(samples, np.ndarray) else samples


def sample_shape(samples):
    """Shape of one sample."""
    table = samples.table if isinstance(samples, Gathered) else samples
    return tuple(table.shape[1:]) if isinstance(table, np.ndarray) else table.sample_shape


def spec_of_samples(samples):
    """Structure of batches that a collate function makes; None of other samples."""
    table = samples.table if isinstance(samples, Gathered) else samples
    return None if isinstance(table, np.ndarray) else table.spec


def example_of(samples):
    """Batch of the first collated samples, and how many they are."""
    table = samples.table if isinstance(samples, Gathered) else samples
    if isinstance(table, np.ndarray):
        raise TypeError("only collated samples have an example")
    return table.example


def in_blocks(samples, size):
    """All samples in order, Tensors (size, ...)."""
    if isinstance(samples, Streamed):
        return samples.blocks(size)
    return to_tensor(samples).split(size)


def read_if_small(*parts):
    """Read streamed samples into arrays, if all parts together take no more than 2 GiB; else leave them."""
    if all(isinstance(part, Gathered) for part in parts):  # picked from rows that the parts have in common
        table = read_if_small(parts[0].table)[0]
        return [part.with_table(table) for part in parts]
    small = all(isinstance(part, Streamed) and part.is_fixed for part in parts)
    small = small and sum(part.nbytes for part in parts) <= _IN_MEMORY
    return [part.read() for part in parts] if small else list(parts)


def seed_of(*entropy):
    """One seed from several numbers, such as a seed and the number of an epoch."""
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))
