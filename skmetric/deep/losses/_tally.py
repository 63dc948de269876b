"""A module that counts, also on the host."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Tally(nn.Module):
    """A module with a counter: a buffer, which is saved, and the same number on the host.

    To read the buffer would make the host wait for a GPU: that happens only after somebody else wrote it, as
    when a state is loaded. A subclass names the buffer in `_counter` and calls ``_start()``.
    """

    _counter: str
    _on_host: int = 0
    _read_at: int | None = -1  # version of the buffer when both were equal; None: it has none

    def _start(self) -> None:
        self.register_buffer(self._counter, torch.zeros((), dtype=torch.int64))
        self._set(0)

    @property
    def count(self) -> int:
        """The number."""
        buffer = getattr(self, self._counter)
        version = _version_of(buffer)
        if version is None or self._read_at != version:
            self._on_host, self._read_at = int(buffer), version
        return self._on_host

    def _add(self, n: int) -> None:
        self._set(self.count + n)

    def _set(self, n: int) -> None:
        buffer = getattr(self, self._counter)
        buffer.fill_(n)
        self._on_host, self._read_at = n, _version_of(buffer)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._read_at = -1


def _version_of(buffer: torch.Tensor) -> int | None:
    """How often a tensor was written; None for one made in `torch.inference_mode`, which does not count."""
    return None if buffer.is_inference() else buffer._version
