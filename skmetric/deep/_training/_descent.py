"""From losses of batches to steps of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn

from ._optim import trainable

if TYPE_CHECKING:
    from skmetric.deep._recipe._thawing import Thawing

    from ._loop import Training


class Descent:
    """Gradients of batches, added up, and steps along them.

    Parameters
    ----------
    training : Training
        Its weights change.
    clip_norm : float or None
        Longest gradient.
    accumulate : int
        Batches of a step.
    """

    def __init__(self, training: Training, clip_norm: float | None, accumulate: int) -> None:
        self.training, self.clip_norm, self.accumulate = training, clip_norm, accumulate
        self.n_added, self.has_gradient = 0, False

    def add(self, value: torch.Tensor) -> None:
        """Take the loss of a batch in, and a step if that was the last of `accumulate`."""
        if self.n_added == 0:
            self.training.optimizer.zero_grad(set_to_none=True)
        if value.requires_grad:
            value = value if self.accumulate == 1 else value / self.accumulate
            self.training.scaler.scale(value).backward()
            self.has_gradient = True
        self.n_added += 1
        if self.n_added == self.accumulate:
            self._step()

    def end(self) -> None:
        """Take a step with what is left at the end of an epoch."""
        if self.n_added:
            self._step()

    def _step(self) -> None:
        """One step; none where the loss depends on no weight, as in a batch without pairs."""
        training = self.training
        if self.has_gradient:
            if self.clip_norm is not None:
                training.scaler.unscale_(training.optimizer)
                weights = [*training.module.parameters(), *trainable(training.loss)]
                nn.utils.clip_grad_norm_(weights, self.clip_norm)
            training.scaler.step(training.optimizer)
            training.scaler.update()
            if training.average is not None:
                training.average.update()
        training.schedule.step()
        self.n_added, self.has_gradient = 0, False


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
