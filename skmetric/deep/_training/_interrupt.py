"""Ctrl-C while a network trains: the first ends that training, a second soon after goes through."""

from __future__ import annotations

import dis
import sys
import time
from typing import NamedTuple

from skmetric._warning import user_frame

_SECONDS = 10.0  # within which a second Ctrl-C stops whatever calls `fit`, such as a loop or a grid search
_RAISE = dis.opmap["RAISE_VARARGS"]


class _Interrupt(NamedTuple):
    time: float
    by_signal: bool
    caller: tuple[int, str]  # identity of the user's frame, and where it is


_last: _Interrupt | None = None


def goes_through(error: KeyboardInterrupt) -> bool:
    """Note an interrupt; whether it is the second of the same program within seconds.

    Two that a program raises itself belong together only if one and the same frame called both fits.
    """
    global _last
    frame = user_frame(sys._getframe(1))
    now = _Interrupt(time.monotonic(), _by_signal(error), (id(frame), frame.f_code.co_qualname))
    before, _last = _last, now
    if before is None or now.time - before.time > _SECONDS:
        return False
    return (now.by_signal and before.by_signal) or now.caller == before.caller


def _by_signal(error: KeyboardInterrupt) -> bool:
    """Whether no `raise` statement raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or trace.tb_frame.f_code.co_code[trace.tb_lasti] != _RAISE
