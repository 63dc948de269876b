"""A module that counts, also on the host."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class Tally(nn.Module):
    """A module with a counter: a buffer, which is saved, and the same number on the host.

    To read the buffer would make the host wait for a GPU: that happens once, after a state was loaded.
    A subclass names the buffer in `_counter` and calls ``_start()``.
    """

    _counter: str
    _on_host: int | None = None  # None: not read yet

    def _start(self) -> None:
        self.register_buffer(self._counter, torch.zeros((), dtype=torch.int64))
        self._on_host = 0

    @property
    def count(self) -> int:
        """The number."""
        if self._on_host is None:
            self._on_host = int(getattr(self, self._counter))
        return self._on_host

    def _add(self, n: int) -> None:
        self._set(self.count + n)

    def _set(self, n: int) -> None:
        getattr(self, self._counter).fill_(n)
        self._on_host = n

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._on_host = None
