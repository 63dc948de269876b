"""An epoch of a training loop that never waits for the device: what losses ask of it.

On a GPU the host queues work and goes on. To read a number (``bool(tensor)``, ``nonzero``) it waits until
everything queued so far is done. Inside :func:`without_waiting` losses keep these numbers on the
device until the epoch ends, and take from the host how often the labels of the batch occur. Outside of it, in
a loop of the user, they read them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch


class Counts(NamedTuple):
    """How often the labels of a batch occur."""

    n_rows: int
    most: int  # rows of the most frequent label
    n_pairs: int  # disjoint pairs of rows that share a label
    n_labels: int


class Epoch:
    """What is known of an epoch so far."""

    counts: Counts | None = None  # of the batch that is trained on; None: not known on the host

    def __init__(self) -> None:
        self._asked: dict[tuple, torch.Tensor] = {}

    def begin_batch(self, labels: torch.Tensor | None) -> None:
        """Count the labels (n_batch,) of the next batch, a tensor on the CPU; None: they are not there."""
        self.counts = None if labels is None else counts_of(labels)

    def keep(self, key: tuple, values: torch.Tensor) -> None:
        """Keep the largest of the values so far."""
        before = self._asked.get(key)
        self._asked[key] = values if before is None else torch.maximum(before, values)

    def tell(self) -> None:
        """Read the values, once in the epoch, and call what waits for them."""
        for (function, *args), values in self._asked.items():
            function(values.tolist(), *args)


_EPOCH: ContextVar[Epoch | None] = ContextVar("epoch", default=None)


@contextmanager
def without_waiting() -> Iterator[Epoch]:
    """Let losses in the block keep on the device what they ask; at its end they are told."""
    epoch = Epoch()
    token = _EPOCH.set(epoch)
    try:
        yield epoch
    finally:
        _EPOCH.reset(token)
    epoch.tell()


def when_known(tell: Callable[..., None], values: torch.Tensor, *args: Any) -> None:
    """Call ``tell(values, *args)`` with the values (n,) as a list: now, or at the end of the epoch.

    At the end of an epoch they are the largest of its batches. The arguments can be hashed.
    """
    values, epoch = values.detach(), _EPOCH.get()
    if epoch is None:
        tell(values.tolist(), *args)
    else:
        epoch.keep((tell, *args), values)


def counts_of(labels: torch.Tensor) -> Counts:
    """How often labels (n_batch,) on the CPU occur."""
    counts = labels.unique(return_counts=True)[1]
    return Counts(len(labels), int(counts.max()), int((counts // 2).sum()), len(counts))


def labels_of(codes: Any, rows: torch.Tensor, n_rows: int) -> torch.Tensor | None:
    """Labels (n_rows,) of a batch with its views, of codes on the CPU; None if the rows are not there."""
    if rows.device.type != "cpu":
        return None
    labels = codes[rows]
    return labels.repeat(n_rows // len(labels))


def most_positives(positive: torch.Tensor) -> int:
    """At least as many columns as a row of the mask (n_anchors, n_others) marks.

    Without waiting only in an epoch, where the others are the batch.
    """
    counts = _known(positive)
    return max(1, int(positive.sum(1).max()) if counts is None else counts.most - 1)


def n_pairs_of(labels: torch.Tensor) -> int | None:
    """Disjoint pairs of rows of the batch that share a label, if the host knows."""
    counts = _known(labels)
    return None if counts is None else counts.n_pairs


def n_labels_of(labels: torch.Tensor) -> int:
    """Number of different labels (n,): without waiting if they are those of the batch of an epoch."""
    counts = _known(labels)
    return len(labels.unique()) if counts is None else counts.n_labels


def _known(rows: torch.Tensor) -> Counts | None:
    """The counts of the batch, if these are its rows and, of a matrix, its columns."""
    epoch = _EPOCH.get()
    counts = None if epoch is None else epoch.counts
    return counts if counts is not None and set(rows.shape) == {counts.n_rows} else None
