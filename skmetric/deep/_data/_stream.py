"""Samples of an IterableDataset: batches of items as they come, and an epoch of a declared length."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from skmetric._checks import read_labels
from skmetric._torch import seeded

from ._collated import CollatedItems, is_nested, split_sample
from ._items import DatasetItems, split_item
from ._labelled import normalises, set_n_features
from ._nested import shapes_of

_SEED = 2**63  # seeds are below it
_PROBED = 8  # items that are looked at before training


def is_stream(X: Any) -> bool:
    """Whether samples come one after the other, in an order that is not ours."""
    return isinstance(X, IterableDataset)


class AsServed:
    """Codes of a stream: they come with its batches, in the place of row numbers."""

    def __getitem__(self, codes: torch.Tensor) -> torch.Tensor:
        return codes

    def to(self, device: torch.device) -> AsServed:
        """Stay."""
        return self


class Labels:
    """Codes of labels: in the order in which they are met, or of all that will come.

    Parameters
    ----------
    known : ndarray, default=None
        Labels by code.
    is_open : bool, default=True
        Whether other labels get the next codes; else they are refused.
    """

    def __init__(self, known: NDArray[Any] | None = None, *, is_open: bool = True) -> None:
        self.is_open = is_open
        self.place_of: dict[Any, int] = {} if known is None else {k: i for i, k in enumerate(known.tolist())}

    def codes(self, labels: list[Any]) -> torch.Tensor:
        """Code of each label, (n,)."""
        if not self.is_open and (strange := [label for label in labels if label not in self.place_of]):
            raise ValueError(
                f"the loss has no proxies for the labels {strange[:5]}: pass all labels that will come as "
                "classes= in the first partial_fit, or use a loss of pairs"
            )
        return torch.tensor([self.place_of.setdefault(label, len(self.place_of)) for label in labels])

    @property
    def by_code(self) -> NDArray[Any]:
        """Labels met, or known, by code."""
        return read_labels(list(self.place_of)) if self.place_of else np.zeros(0, dtype=int)


class Stream:
    """What the training loop asks for batches: consecutive items of a stream.

    An epoch goes on where the last one ended; a stream that ends begins anew.

    Parameters
    ----------
    dataset : IterableDataset
        Items are pairs (sample, label), or samples where training does without labels.
    labels : Labels or None
        Gives the codes; None numbers the samples of the stream.
    batch_size : int
        Items in a batch.
    make_items : callable
        From a window on the stream to what makes batches of its items.
    split : callable
        From an item and its number to sample and label.
    """

    is_fixed = False

    def __init__(
        self,
        dataset: IterableDataset,
        labels: Labels | None,
        batch_size: int,
        make_items: Callable[[Window], Any],
        split: Callable[[Any, int], tuple[Any, Any]],
    ) -> None:
        self.dataset, self.labels, self.batch_size, self.split = dataset, labels, batch_size, split
        with seeded(0):
            self._items_of_stream = self._endless()
            self.window = Window(list(itertools.islice(self._items_of_stream, min(batch_size, _PROBED))))
        self.items = make_items(self.window)
        self._n_probed = len(self.window)
        self._probe = self.items.read(range(self._n_probed))
        self.window.fill([], 0)
        self._items_of_stream = self._endless()  # from the beginning

    def __len__(self) -> int:
        return self._n_probed

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the batch that was looked at."""
        return (self._n_probed, *self.items.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of samples."""
        return self.items.dtype

    @property
    def spec(self) -> Any:
        """Structure of the batches of a collate function; None of other samples."""
        return getattr(self.items, "spec", None)

    @property
    def sample_shape(self) -> Any:
        """Of one sample, or of each array of one."""
        return tuple(self.items.shape) if self.spec is None else shapes_of(self.spec)

    @property
    def example(self) -> tuple[Any, int]:
        """Batch of the first collated samples, and how many they are."""
        return self._probe, self._n_probed

    def to(self, device: torch.device) -> Stream:
        """Stay: batches go there one by one."""
        return self

    def rows(self, rows: Any) -> Any:
        """Some samples, which were read first: to look at the network, whichever rows are asked for."""
        return self._probe

    def served(self, batches: Any, seed: int, first: int = 0) -> Iterator[tuple[torch.Tensor, Any]]:
        """Yield codes and samples of each batch; of `batches` the sizes count."""
        for number, size in enumerate(map(len, batches), first):
            with seeded((seed + number) % _SEED):
                start = self.window.start + len(self.window)
                self.window.fill(list(itertools.islice(self._items_of_stream, size)), start)
                samples = self.items.read(range(start, start + size))
            yield self._codes(start), samples

    def _codes(self, start: int) -> torch.Tensor:
        if self.labels is None:
            return torch.arange(start, start + len(self.window))
        found = []
        for i, item in enumerate(self.window.items):
            label = self.split(item, start + i)[1]
            if label is None:
                raise ValueError(f"item {start + i} of X has no label: a stream gives pairs (sample, label)")
            found.append(label.item() if getattr(label, "ndim", None) == 0 else label)
        return self.labels.codes(found)

    def _endless(self) -> Iterator[Any]:
        while True:
            n_items = 0
            for item in self.dataset:
                n_items += 1
                yield item
            if n_items == 0:
                raise ValueError(f"X is {type(self.dataset).__name__}, a stream that gives no item")

    def close(self) -> None:
        """Nothing to give back."""


class Window:
    """The items of a stream that are looked at, by their numbers in it."""

    def __init__(self, items: list[Any]) -> None:
        self.items, self.start = items, 0

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i - self.start]

    def fill(self, items: list[Any], start: int) -> None:
        """Go on to these items."""
        self.items, self.start = items, start


class StreamBatches:
    """Batches of an epoch: as many places as each has items.

    Parameters
    ----------
    n_items, batch_size : int
        Items of an epoch, and of each batch but the last. A last batch of one item, of which a batch norm has
        no statistics and a loss no pair, joins the batch before it.
    """

    def __init__(self, n_items: int, batch_size: int) -> None:
        self.n_items, self.batch_size = n_items, batch_size

    def set_epoch(self, epoch: int) -> None:
        """Nothing: a stream goes on."""

    def __len__(self) -> int:
        return max(1, math.ceil((self.n_items - 1) / self.batch_size))

    def __iter__(self) -> Iterator[range]:
        for _ in range(1, len(self)):
            yield range(self.batch_size)
        yield range(self.n_items - (len(self) - 1) * self.batch_size)


class StreamData(NamedTuple):
    """A stream to train on; nothing is held out of it."""

    samples: Stream
    labels: Labels | None
    held_out: NDArray[Any]
    held_out_labels: NDArray[Any]

    @property
    def codes(self) -> AsServed:
        """They come with the batches."""
        return AsServed()

    @property
    def trained(self) -> NDArray[Any]:
        """Labels by code, as far as they were met."""
        return np.zeros(0, dtype=int) if self.labels is None else self.labels.by_code

    @property
    def classes(self) -> NDArray[Any]:
        """The same, sorted."""
        return np.unique(self.trained)


def length_of_epoch(X: IterableDataset, steps_per_epoch: int | None, batch_size: int) -> int:
    """Number of items in an epoch: the stream's ``len``, or that of `steps_per_epoch` batches."""
    if steps_per_epoch is not None:
        return steps_per_epoch * batch_size
    try:
        n_items = len(X)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(
            f"X is {type(X).__name__}, a stream without a length: say in steps_per_epoch how many batches an "
            "epoch has, or give the stream a __len__"
        ) from None
    if n_items < 1:
        raise ValueError(
            f"X is {type(X).__name__}, a stream of length {n_items}: at least one item is needed"
        )
    return n_items


def read_stream(
    estimator: Any, X: IterableDataset, labels: Labels | None, size: int, *, reset: bool
) -> Stream:
    """A stream whose items are checked as they come, against what was fitted on."""
    if estimator.num_workers:
        raise ValueError(
            f"num_workers={estimator.num_workers}, but X is a stream, which each worker would read as a "
            "whole: use num_workers=0, and let the stream itself read by a DataLoader whose workers each "
            "take a part (torch.utils.data.get_worker_info)"
        )
    spec = None if reset else estimator._input_spec
    shape = None if reset or spec is not None else estimator.input_shape_
    collates = estimator.collate_fn is not None or spec is not None

    def make_items(window: Window) -> Any:
        if collates or is_nested(split_item(window[0], 0)[0]):
            return CollatedItems(window, estimator.collate_fn, spec)
        return DatasetItems(
            window,
            estimator.channel_axis,
            estimator.image_size,
            shape,
            any_range=not normalises(estimator, fitted=not reset),
            background=estimator.background,
        )

    split = (lambda item, i: split_sample(item)) if estimator.collate_fn is not None else split_item
    stream = Stream(X, labels, size, make_items, split)
    if reset:
        estimator._scale = None  # of an earlier fit
        set_n_features(estimator, () if stream.spec is not None else stream.sample_shape)
    return stream
