"""From batches to steps of the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from skmetric._torch import autocast
from skmetric.deep.losses._table_rows import read_by

from ._grad_cache import in_parts
from ._optim import trainable
from ._row_steps import dense_parts

if TYPE_CHECKING:
    from skmetric.deep._recipe._thawing import Thawing

    from ._loop import Plan, Training


class Descent:
    """Gradients of batches, added up, and steps along them.

    Parameters
    ----------
    training : Training
        Its weights change.
    plan : Plan
        Settings.
    n_batches : int
        Of the epoch: the last one ends a step.
    n_taken : int, default=0
        Batches of the epoch whose steps are done.
    """

    def __init__(self, training: Training, plan: Plan, n_batches: int, n_taken: int = 0) -> None:
        self.training, self.plan, self.n_batches = training, plan, n_batches
        self.n_taken, self.n_added, self.has_gradient = n_taken, 0, False

    def ends_every(self, n_steps: int) -> bool:
        """Whether the last batch ended a step, the epoch goes on, and `n_steps` divides the steps done."""
        n_done, between = divmod(self.n_taken, self.plan.accumulate)
        return between == 0 and self.n_taken < self.n_batches and n_done % n_steps == 0

    def take(
        self, samples: torch.Tensor, labels: torch.Tensor, n_rows: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take a batch in, and a step if it was the last of `accumulate`.

        Parameters
        ----------
        samples, labels : Tensor of n_share rows
            What this process embeds of the batch; samples may be nested.
        n_rows : int
            Rows of the batch in all processes, before augmentation.

        Returns
        -------
        value, embeddings, labels : Tensor
            Loss, embeddings (n_batch, n_components) and labels of the whole batch.
        """
        if self.n_added == 0:
            self.training.optimizer.zero_grad(set_to_none=True)
        self.n_taken += 1
        self.n_added += 1
        ends = self.n_added == self.plan.accumulate or self.n_taken == self.n_batches
        value, embeddings, labels = self._gradient(samples, labels, n_rows)
        if ends:
            self._step()
        return value.detach(), embeddings.detach(), labels

    def _gradient(
        self, samples: torch.Tensor, labels: torch.Tensor, n_rows: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Add the gradients of a batch."""
        gather, size = self.plan.group.gather, self.plan.grad_cache
        if size is None or len(labels) <= size:
            embeddings = check_rows(self._embed(samples), labels)
            embeddings, labels = gather(embeddings, labels, n_rows)
            return self._backward(embeddings, labels), embeddings, labels
        cached = in_parts(self.training.module, self._embed, samples, size)
        check_rows(cached.embeddings, labels)
        embeddings, labels = gather(cached.embeddings, labels, n_rows)
        value = self._backward(embeddings, labels)
        cached.backward()
        return value, embeddings, labels

    def _embed(self, samples: torch.Tensor) -> torch.Tensor:
        with autocast(self.plan.device, self.plan.precision):
            embeddings = self.training.run(samples)
        return embeddings.float()

    def _backward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        training, accumulate = self.training, self.plan.accumulate
        with read_by(training.rows):
            value = check_scalar(training.loss(embeddings, labels), training.loss)
        if value.requires_grad:
            training.scaler.scale(value if accumulate == 1 else value / accumulate).backward()
            self.has_gradient = True
        return value

    def _step(self) -> None:
        """One step; none where the loss depends on no weight, as in a batch without pairs."""
        training = self.training
        if self.has_gradient:
            weights = [*training.module.parameters(), *trainable(training.loss)]
            self.plan.group.average_gradients(weights)
            if self.plan.clip_norm is not None:
                training.scaler.unscale_(training.optimizer)
                nn.utils.clip_grad_norm_(dense_parts(weights), self.plan.clip_norm)
            training.scaler.step(training.optimizer)
            training.scaler.update()
            if training.average is not None:
                training.average.update()
        training.schedule.step()
        self.n_added, self.has_gradient = 0, False


def check_rows(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Refuse another number of embeddings than of samples."""
    if len(embeddings) != len(labels):
        raise ValueError(
            f"the network gave {len(embeddings)} embeddings for a batch of {len(labels)} samples: it must "
            "give one row for each, in their order; so must collate_fn and augment keep their number"
        )
    return embeddings


def check_scalar(value: Any, loss: Callable) -> torch.Tensor:
    """Refuse what cannot be minimised."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        return value.reshape(())
    shape = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
    raise ValueError(
        f"loss must return one number for a batch; {loss!r} returned {shape}: reduce it, as by its mean"
    )


@contextmanager
def held_still(thawing: Thawing | None, epoch: int) -> Iterator[None]:
    """Hold the parts still that do not train yet in this epoch, and let go of them at its end."""
    if thawing is not None:
        thawing.begin(epoch)
    try:
        yield
    finally:
        if thawing is not None:
            thawing.end()
