"""Random numbers of torch from a seed, while others draw theirs: such blocks in several threads take turns.

torch has one generator for each device. All threads share it, and dropout draws from nothing else. A block
that needs its own random numbers sets the generator and puts it back afterwards: no other may run in between.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["Turn", "generators", "seeded", "set_generators"]


class _Turns:
    """A lock that a thread may take several times, and that goes to who waits when it is given back."""

    def __init__(self) -> None:
        self._running, self._next = (
            threading.Lock(),
            threading.Lock(),
        )  # who waits for the first holds the second
        self._owner: int | None = None
        self.depth = 0  # of blocks inside one another

    def take(self) -> None:
        if self._owner != threading.get_ident():
            with self._next:
                self._running.acquire()
            self._owner = threading.get_ident()
        self.depth += 1

    def give_back(self) -> None:
        self.depth -= 1
        if self.depth == 0:
            self._owner = None
            self._running.release()

    @property
    def is_awaited(self) -> bool:
        return self._next.locked()

    def after_fork(self) -> None:
        """In a child process: threads that waited or ran are not there."""
        self._next = threading.Lock()
        if self._owner not in (None, threading.get_ident()):
            self._running, self._owner, self.depth = threading.Lock(), None, 0


_TURNS = _Turns()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_TURNS.after_fork)


class Turn:
    """What :func:`seeded` gives to its block."""

    def __init__(self, outside: list[Any]) -> None:
        self._outside = outside

    def pause(self) -> None:
        """Let another thread have its turn, if one waits; then go on with the same numbers."""
        if not _TURNS.is_awaited or _TURNS.depth > 1:
            return
        inside = generators()
        set_generators(self._outside)
        _TURNS.give_back()
        _TURNS.take()
        self._outside[:] = generators()
        set_generators(inside)


@contextmanager
def seeded(seed: int) -> Iterator[Turn]:
    """Draw torch's random numbers from `seed` inside the block; the generators outside do not notice.

    Parameters
    ----------
    seed : int
        Of all generators.

    Yields
    ------
    Turn
        A block that takes long lets others in by its `pause`.
    """
    _TURNS.take()
    try:
        outside = generators()
        try:
            _seed_all(seed)
            yield Turn(outside)
        finally:
            set_generators(outside)
    finally:
        _TURNS.give_back()


def _cuda_is_used() -> bool:
    return torch.cuda.is_initialized()  # else asking for its state would start it


def _seed_all(seed: int) -> None:
    torch.default_generator.manual_seed(seed)
    if _cuda_is_used():  # torch.manual_seed would also seed, for good, a CUDA that is not in use yet
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


def generators() -> list[Any]:
    """State of each generator of torch that is in use."""
    return [
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if _cuda_is_used() else None,
        torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    ]


def set_generators(states: list[Any]) -> None:
    """Put the generators back to a state that `generators` gave."""
    cpu, cuda, mps = states
    torch.set_rng_state(cpu)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
    if mps is not None:
        torch.mps.set_rng_state(mps)
