"""Moving average of the weights of a network while it trains."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class WeightAverage:
    """Exponential moving average of weights; what is no weight, such as counts of batch norm, is copied.

    Parameters
    ----------
    module : nn.Module
        Being trained.
    decay : float
        Share of the average that is kept in each step. After n steps it is at most (n + 1) / (n + 10), so
        that the untrained weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.trained, self.decay, self.n_steps = module, decay, 0
        self.module = copy.deepcopy(module).eval()

    def update(self) -> None:
        """Take in the weights after a step."""
        self.n_steps += 1
        kept = min(self.decay, (self.n_steps + 1) / (self.n_steps + 10))
        with torch.no_grad():
            pairs = zip(self.module.parameters(), self.trained.parameters(), strict=True)
            for average, weight in pairs:
                average.lerp_(weight, 1 - kept)
            for kept_buffer, buffer in zip(self.module.buffers(), self.trained.buffers(), strict=True):
                kept_buffer.copy_(buffer)

    def state_dict(self) -> dict[str, Any]:
        """Average, and number of steps."""
        return {"n_steps": self.n_steps, "module": self.module.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.n_steps = state["n_steps"]
        self.module.load_state_dict(state["module"])
