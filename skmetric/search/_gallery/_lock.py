"""Many readers or one writer: a gallery that threads look up in while one enrols."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import wraps
from threading import get_ident
from types import FrameType
from typing import Concatenate, ParamSpec, Protocol, TypeVar, final

_PAUSES = 5e-5, 2e-3  # seconds between two looks at the queue: at first, and at most
_PATIENCE = 0.05  # seconds of waiting after which the turns of others are examined


@final
class SharedLock:
    """A queue: readers that follow each other share the lock, a writer has it alone.

    A thread that reads or writes already may read once more. A copy or a pickle is a new lock, which
    nobody holds.

    A turn ends with the function that took it, whatever cuts that function short: an exception may come
    between any two lines (Ctrl-C, a time limit), also between those that give the turn back. The turns of
    functions that run no longer are dropped by whoever waits for them. So are, in a process that was forked,
    the turns of threads that the child does not have.
    """

    def __init__(self) -> None:
        self._queue: list[_Turn] = []  # changed by single calls alone, each of which is done or not done

    def __reduce__(self) -> tuple[type[SharedLock], tuple[()]]:
        return SharedLock, ()

    def reading(self) -> AbstractContextManager[None]:
        """Hold the lock beside other readers."""
        return _Turn(self._queue, writes=False)

    def writing(self) -> AbstractContextManager[None]:
        """Hold the lock alone; not while the same thread reads."""
        return _Turn(self._queue, writes=True)

    @property
    def _waiting(self) -> int:
        """Number of writers that wait."""
        return sum(turn.writes and not turn.has_begun for turn in list(self._queue))


@final
class _Turn(AbstractContextManager[None]):
    """A place in the queue of a lock."""

    def __init__(self, queue: list[_Turn], writes: bool) -> None:
        self.queue, self.writes, self.thread = queue, writes, get_ident()
        self.frame: FrameType | None = None  # of the function that holds the lock
        self.has_begun, self.seems_over = False, False

    def __enter__(self) -> None:
        self.frame = sys._getframe(1)
        own = self._own_turns()
        if own:
            if self.writes and not any(turn.writes for turn in own):
                raise RuntimeError("a thread that reads a gallery cannot change it: end the reading first")
            return
        self.queue.append(self)
        self._wait()
        self.has_begun = True

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):  # of a thread that had the lock already
            self.queue.remove(self)
        self.frame = None

    def _own_turns(self) -> list[_Turn]:
        """Turns that this thread has begun; those that were cut short are dropped."""
        own = [turn for turn in list(self.queue) if turn.thread == self.thread]
        if own:
            running = _stack(sys._getframe())
            for turn in own:
                if turn.frame not in running:
                    self._drop(turn)
            own = [turn for turn in own if turn.frame in running and turn.has_begun]
        return own

    def _wait(self) -> None:
        """Return when nobody ahead keeps this turn from its beginning."""
        pause, waited = _PAUSES[0], 0.0
        while self._is_blocked():
            time.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, _PAUSES[1])
            if waited > _PATIENCE:
                self._drop_those_over()
                waited = 0.0

    def _is_blocked(self) -> bool:
        queue = list(self.queue)
        ahead = queue[: queue.index(self)]
        return any(turn.thread != self.thread and (turn.writes or self.writes) for turn in ahead)

    def _drop_those_over(self) -> None:
        """Drop turns of functions that were seen twice not to run: a stack may change while one looks."""
        tops = sys._current_frames()
        for turn in list(self.queue):
            if turn.frame in _stack(tops.get(turn.thread)):
                turn.seems_over = False
            elif turn.seems_over:
                self._drop(turn)
            else:
                turn.seems_over = True

    def _drop(self, turn: _Turn) -> None:
        with suppress(ValueError):  # another thread was faster
            self.queue.remove(turn)


def _stack(frame: FrameType | None) -> list[FrameType]:
    """The frames of the functions that run, from the inmost on."""
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


class _Locked(Protocol):
    lock: SharedLock


_T = TypeVar("_T", bound=_Locked)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def reads(method: Callable[Concatenate[_T, _P], _R]) -> Callable[Concatenate[_T, _P], _R]:
    """Let a method of an object with a `lock` read."""

    @wraps(method)
    def locked(self: _T, *args: _P.args, **options: _P.kwargs) -> _R:
        with self.lock.reading():
            return method(self, *args, **options)

    return locked


def writes(method: Callable[Concatenate[_T, _P], _R]) -> Callable[Concatenate[_T, _P], _R]:
    """Let a method of an object with a `lock` write."""

    @wraps(method)
    def locked(self: _T, *args: _P.args, **options: _P.kwargs) -> _R:
        with self.lock.writing():
            return method(self, *args, **options)

    return locked
