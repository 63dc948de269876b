"""What the training loop asks of the processes that train together; one process alone answers the same.

Everything here that talks to other processes is called by all of them, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn

from skmetric._torch import resolve_device

from ._gathering import gathered

_BUCKET = 25 << 20  # bytes of a message, as DistributedDataParallel sends them


class Alone:
    """One process: it has everything."""

    rank, size = 0, 1

    def device(self, asked: str | torch.device) -> torch.device:
        """Device of this process, of the kind that the parameter `device` names."""
        return resolve_device(asked)

    def share(self, rows: list[int]) -> list[int]:
        """Rows of a batch that this process embeds."""
        return rows

    def gather(
        self, embeddings: torch.Tensor, labels: torch.Tensor, n_rows: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings, with gradient, and labels of the whole batch of `n_rows` samples."""
        return embeddings, labels

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Set each tensor to its mean over the processes."""

    def average_gradients(self, weights: Sequence[torch.Tensor]) -> None:
        """Set the gradients of weights to their means; a weight that no process used keeps none."""

    def begin(self, *modules: nn.Module) -> None:
        """Set weights and buffers to those of the first process."""

    def even_out(self, module: nn.Module) -> None:
        """Set the buffers of a network, such as running statistics, to their means."""

    def all(self, flag: bool) -> bool:
        """Whether `flag` is true in all processes."""
        return bool(flag)

    def on_first(self, function: Callable, *args: Any) -> Any:
        """Call a function in the first process; its result, or its error, in all."""
        return function(*args)

    def by_rank(self, value: Any) -> list[Any]:
        """The values of all processes, by rank."""
        return [value]

    def embed(self, embed: Callable, module: nn.Module, samples: Any) -> NDArray[np.float32]:
        """Embeddings of all samples, each computed by one process."""
        return embed(module, samples)


class Ranks(Alone):
    """One of several processes of the process group of ``torch.distributed``."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        self._used: list[bool] = []  # whether this process used each weight in the last step
        self._used_anywhere: list[bool] = []  # whether any process did, when it was last asked

    def device(self, asked: str | torch.device) -> torch.device:
        """The CPU, or the CUDA device that the launcher chose for this process."""
        device = resolve_device(asked)
        return device if device.type == "cpu" else torch.device("cuda", torch.cuda.current_device())

    def share(self, rows: list[int]) -> list[int]:
        """A stretch of the batch: stretches in the order of ranks are the batch."""
        if len(rows) < self.size:
            raise ValueError(
                f"distributed trains by {self.size} processes, and a batch has {len(rows)} samples: use more "
                "classes_per_batch or samples_per_class, or fewer devices"
            )
        start, end = self._bounds(len(rows))[self.rank]
        return rows[start:end]

    def gather(
        self, embeddings: torch.Tensor, labels: torch.Tensor, n_rows: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gather in the order of the batch; if augmentation gives views, all first views, then the second."""
        sizes = [end - start for start, end in self._bounds(n_rows)]
        n_views = len(embeddings) // sizes[self.rank]
        sizes = [n_views * size for size in sizes]
        embeddings, labels = gathered(embeddings, labels, sizes)
        if n_views == 1:
            return embeddings, labels
        return by_view(embeddings, sizes, n_views), by_view(labels, sizes, n_views)

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Average in buckets: a message for each tensor would be slow, one for all would copy them all."""
        for bucket in in_buckets(tensors):
            self._spread(self._sum(bucket), bucket)

    def average_gradients(self, weights: Sequence[torch.Tensor]) -> None:
        """Average those of the weights that any process used.

        Which ones these are is asked in the first step, and again when a process uses other weights than
        before: a batch may take another way in another process. A flag beside the gradients says so.
        """
        if not weights:
            return
        used = [weight.grad is not None for weight in weights]
        before, self._used = self._used, used
        if len(before) == len(used) and self._averaged(weights, is_changed=used != before):
            return
        flags = torch.tensor(used, dtype=torch.uint8, device=weights[0].device)
        distributed.all_reduce(flags, op=distributed.ReduceOp.MAX)
        self._used_anywhere = flags.tolist()
        self._averaged(weights, is_changed=False)

    def _averaged(self, weights: Sequence[torch.Tensor], *, is_changed: bool) -> bool:
        """Average gradients, unless a process says that it uses other weights; whether they were."""
        trained = [weight for weight, flag in zip(weights, self._used_anywhere, strict=True) if flag]
        gradients = [_gradient_of(weight) for weight in trained]
        values = [gradient._values() if gradient.is_sparse else gradient for gradient in gradients]
        flag = torch.full(
            (1,),
            float(is_changed),
            dtype=values[0].dtype if values else torch.float32,
            device=weights[0].device,
        )
        buckets = sorted(in_buckets([flag, *values]), key=lambda bucket: bucket[0] is not flag)
        for bucket in buckets:
            total = self._sum(bucket)
            if bucket[0] is flag and total[0] > 0:  # before any gradient is changed
                return False
            self._spread(total, bucket)
        for weight, gradient in zip(trained, gradients, strict=True):
            weight.grad = gradient
        return True

    def _sum(self, bucket: list[torch.Tensor]) -> torch.Tensor:
        """Sum over the processes of all elements of a bucket."""
        flat = torch.cat([tensor.flatten() for tensor in bucket])
        distributed.all_reduce(flat)
        return flat

    def _spread(self, total: torch.Tensor, bucket: list[torch.Tensor]) -> None:
        """Set tensors to their share of a sum."""
        parts = (total / self.size).split([tensor.numel() for tensor in bucket])
        for tensor, part in zip(bucket, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def begin(self, *modules: nn.Module) -> None:
        """Send them: another build of a library may have drawn other numbers from the same seed."""
        with torch.no_grad():
            for module in modules:
                for tensor in (*module.parameters(), *module.buffers()):
                    distributed.broadcast(tensor, src=0)

    def even_out(self, module: nn.Module) -> None:
        """Average those of floats; counts are those of the first process."""
        with torch.no_grad():
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    self.average([buffer])
                else:
                    distributed.broadcast(buffer, src=0)

    def all(self, flag: bool) -> bool:
        """Ask all."""
        return all(self.by_rank(bool(flag)))

    def on_first(self, function: Callable, *args: Any) -> Any:
        """Send what the first process found."""
        found: list[Any] = [None, None]  # result, error
        if self.rank == 0:
            try:
                found[0] = function(*args)
            except Exception as error:
                found[1] = error
        distributed.broadcast_object_list(found, src=0)
        if found[1] is not None:
            raise found[1]
        return found[0]

    def by_rank(self, value: Any) -> list[Any]:
        """Gather values that pickle."""
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value)
        return values

    def embed(self, embed: Callable, module: nn.Module, samples: Any) -> NDArray[np.float32]:
        """Embed a stretch, and gather."""
        start, end = self._bounds(len(samples))[self.rank]
        part = embed(module, samples[start:end]) if end > start else None
        return np.concatenate([part for part in self.by_rank(part) if part is not None])

    def _bounds(self, n: int) -> list[tuple[int, int]]:
        """Start and end of the stretch of each rank; lengths differ by one at most."""
        few, more = divmod(n, self.size)
        bounds = np.cumsum([0] + [few + (rank < more) for rank in range(self.size)]).tolist()
        return list(pairwise(bounds))


ALONE = Alone()


def _gradient_of(weight: torch.Tensor) -> torch.Tensor:
    """The gradient, zeros if there is none; a sparse one has the same rows in all processes.

    Each process computes the loss of the same batch, for which the loss draws the same classes.
    """
    if weight.grad is None:
        return torch.zeros_like(weight)
    return weight.grad.coalesce() if weight.grad.is_sparse else weight.grad


def by_view(rows: torch.Tensor, sizes: list[int], n_views: int) -> torch.Tensor:
    """Rows that lie process by process, each with its views one after the other, as views of the whole."""
    parts = [part.unflatten(0, (n_views, -1)) for part in rows.split(sizes)]  # (n_views, n_share, ...)
    return torch.cat(parts, dim=1).flatten(0, 1)


def in_buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Tensors of one dtype in lists of about 25 MB."""
    by_dtype: dict[torch.dtype, list[torch.Tensor]] = {}
    for tensor in tensors:
        bucket = by_dtype.setdefault(tensor.dtype, [])
        bucket.append(tensor)
        if sum(part.numel() * part.element_size() for part in bucket) >= _BUCKET:
            yield by_dtype.pop(tensor.dtype)
    yield from by_dtype.values()
