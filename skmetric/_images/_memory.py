"""How many pixels threads decode at the same time: large images one after the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

__all__ = ["room_for"]

_ROOM = 50_000_000  # pixels that are being decoded, in this process: 10 bytes each while it lasts
_changed = Condition()
_in_use: list[int] = []


def _start_anew() -> None:
    """Forget the threads that a fork has left behind."""
    global _changed
    _changed = Condition()
    _in_use.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)


@contextmanager
def room_for(n_pixels: int) -> Iterator[None]:
    """Wait until an image of so many pixels may be decoded; one that needs all the room is alone."""
    with _changed:
        _changed.wait_for(lambda: not _in_use or sum(_in_use) + n_pixels <= _ROOM)
        _in_use.append(n_pixels)
    try:
        yield
    finally:
        with _changed:
            _in_use.remove(n_pixels)
            _changed.notify_all()
