"""Many readers or one writer: a gallery that threads look up in while one enrols."""

from contextlib import contextmanager
from functools import wraps
from threading import Condition, local
from typing import final


@final
class SharedLock:
    """Readers share it, a writer has it alone; who waits to write goes before new readers.

    A thread that reads or writes already may read once more. A copy or a pickle is a lock of its own, which
    nobody holds.
    """

    def __init__(self):
        self._changed, self._readers, self._waiting, self._written = Condition(), 0, 0, False
        self._own = local()  # .depth: how often this thread has it

    def __reduce__(self):
        return SharedLock, ()

    @contextmanager
    def reading(self):
        """Hold the lock beside other readers."""
        if not self._depth():
            with self._changed:
                self._changed.wait_for(lambda: not (self._written or self._waiting))
                self._readers += 1
        self._own.depth = self._depth() + 1
        try:
            yield
        finally:
            self._own.depth -= 1
            if not self._own.depth:
                with self._changed:
                    self._readers -= 1
                    self._changed.notify_all()

    @contextmanager
    def writing(self):
        """Hold the lock alone; not while the same thread reads."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not (self._written or self._readers))
            finally:
                self._waiting -= 1
            self._written, self._own.depth = True, 1
        try:
            yield
        finally:
            with self._changed:
                self._written, self._own.depth = False, 0
                self._changed.notify_all()

    def _depth(self):
        return getattr(self._own, "depth", 0)


def reads(method):
    """Let a method of an object with a `lock` read."""

    @wraps(method)
    def locked(self, *args, **options):
        with self.lock.reading():
            return method(self, *args, **options)

    return locked


def writes(method):
    """Let a method of an object with a `lock` write."""

    @wraps(method)
    def locked(self, *args, **options):
        with self.lock.writing():
            return method(self, *args, **options)

    return locked
