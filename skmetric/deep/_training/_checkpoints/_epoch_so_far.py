"""The part of an epoch that is done: what its row of the history is computed from, and where it goes on."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from skmetric._chance import generators, set_generators

_RECENT = 8  # batches at the end of an epoch whose embeddings make its statistics


class EpochSoFar:
    """Sums over the batches of an epoch.

    Parameters
    ----------
    device : torch.device
        Where losses and embeddings are.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.n_batches = device, 0
        self.total = torch.zeros((), device=device, dtype=torch.float32)  # of losses
        self.active: list[Any] = []  # shares of active tuples, of losses that tell them
        self.recent: deque[tuple[torch.Tensor, torch.Tensor]] = deque(maxlen=_RECENT)

    def add(
        self, value: torch.Tensor, embeddings: torch.Tensor, labels: torch.Tensor, active_share: Any
    ) -> None:
        """Add a batch: its loss, embeddings (n_batch, n_components), labels, and share of active tuples."""
        self.total, self.n_batches = self.total + value, self.n_batches + 1
        self.recent.append((embeddings, labels))
        if active_share is not None:
            self.active.append(active_share)

    @property
    def is_finite(self) -> bool:
        """Whether the losses so far are numbers; a GPU is waited for."""
        return bool(torch.isfinite(self.total))

    @property
    def active_share(self) -> float:
        """Mean share of active tuples; NaN if the loss does not tell."""
        shares = self._shares()
        return math.fsum(shares) / len(shares) if shares else math.nan

    def _shares(self) -> list[float]:
        """All shares as numbers: one wait for a GPU, not one for each batch."""
        tensors = [share for share in self.active if isinstance(share, torch.Tensor)]
        numbers = [float(share) for share in self.active if not isinstance(share, torch.Tensor)]
        return numbers + (torch.stack(tensors).double().tolist() if tensors else [])

    def state(self, *modules: nn.Module) -> dict[str, Any]:
        """State in this process: sums, random generators, and the buffers of modules, on the CPU."""
        return {
            "n_batches": self.n_batches,
            "total": self.total.cpu(),
            "active": torch.tensor(self._shares(), dtype=torch.float64),
            "recent": [(embeddings.cpu(), labels.cpu()) for embeddings, labels in self.recent],
            "generators": generators(),
            "buffers": [[buffer.detach().cpu() for buffer in module.buffers()] for module in modules],
        }

    def restore(self, state: Mapping[str, Any], *modules: nn.Module) -> None:
        """Go on after the batches of a state, with its random numbers."""
        self.n_batches, self.total = state["n_batches"], state["total"].to(self.device)
        self.active = state["active"].tolist()
        self.recent.extend((rows.to(self.device), labels.to(self.device)) for rows, labels in state["recent"])
        with torch.no_grad():
            for module, buffers in zip(modules, state["buffers"], strict=True):
                for buffer, value in zip(module.buffers(), buffers, strict=True):
                    buffer.copy_(value)
        now = generators()
        same_devices = [
            then if _alike(then, here) else here for then, here in zip(state["generators"], now, strict=True)
        ]
        set_generators(same_devices)  # those of a device that was not in use then keep the seed of the epoch


def _alike(then: Any, now: Any) -> bool:
    """Whether two states are of the same kind of generator, and of as many."""
    if isinstance(then, list) and isinstance(now, list):
        return len(then) == len(now)
    return isinstance(then, torch.Tensor) and isinstance(now, torch.Tensor)
