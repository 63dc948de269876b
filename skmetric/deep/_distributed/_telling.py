"""Callbacks of the process that called `fit`, told by the first of the processes that it started.

The first process sends what happens; a thread of the caller calls the callbacks, and answers whether one asks
to stop. What was learned so far is sent only if a callback wants to see it.
"""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, NamedTuple

from skmetric._params import FitTasks

_OF_CALLBACKS = ("_skl_callbacks", "_skl_callbacks_to_teardown", "_callback_fit_ctx", "_parent_callback_ctx")
_line: Connection | None = None  # of the first process that a caller has started, to that caller


class Address(NamedTuple):
    """Where the caller listens."""

    address: Any
    key: bytes


class Listening:
    """The caller's side: call callbacks in a thread, as long as the first process tells something."""

    def __init__(self, estimator: Any, X: Any, y: Any) -> None:
        self._given = estimator, X, y
        key = os.urandom(16)
        self._listener = Listener(authkey=key)
        self._is_told = self._is_over = False
        self.address = Address(self._listener.address, key)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait until all that was told is passed on; called when the processes have ended."""
        self._is_over = True
        if not self._is_told:  # the thread waits for a process that never came
            Client(self.address.address, authkey=self.address.key).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                line = self._listener.accept()
                break
            except (OSError, EOFError, AuthenticationError):  # one that died at once
                continue
        self._is_told = True
        if self._is_over:
            line.close()
            return
        tasks: FitTasks | None = None
        with line:
            while True:
                try:
                    name, *args = line.recv()
                except (EOFError, OSError):  # the process has ended, or died
                    return
                try:
                    if name == "open":
                        tasks = FitTasks(*self._given, *args)
                        tasks.fitted = lambda: _asked_for(line)
                        answer: Any = False
                    else:
                        answer = bool(getattr(tasks, name)())
                except BaseException as error:
                    answer = error
                _send(line, ("answer", answer))


class TasksElsewhere:
    """The first process's side: the steps of a fit, told to the caller."""

    fitted: Callable[[], dict[str, Any]] = dict

    def __init__(self, line: Connection, estimator: Any, n_steps: int) -> None:
        self._line, self._estimator = line, estimator
        self._tell("open", n_steps)

    def begin(self) -> None:
        """A step begins."""
        self._tell("begin")

    def end(self) -> bool:
        """The step ended; whether a callback asks to stop."""
        return self._tell("end")

    def close(self) -> None:
        """The fit ended."""
        self._tell("close")

    def _tell(self, *message: Any) -> bool:
        """What the callbacks answer; their error is raised here, and so ends the fit."""
        self._line.send(message)
        while True:
            kind, answer = self._line.recv()
            if kind == "answer":
                break
            fitted = copy.copy(self._estimator)
            vars(fitted).update(self.fitted())
            self._line.send_bytes(pickle.dumps(fitted))
        if isinstance(answer, BaseException):
            raise answer
        return answer


def without_callbacks(estimator: Any) -> Any:
    """A copy for other processes, which tell the callbacks of this one."""
    copied = copy.copy(estimator)
    for name in _OF_CALLBACKS:
        vars(copied).pop(name, None)
    return copied


def has_callbacks(estimator: Any) -> bool:
    """Whether somebody wants to be told."""
    return any(name in vars(estimator) for name in ("_skl_callbacks", "_parent_callback_ctx"))


def connect(address: Address | None) -> None:
    """Connect the first process to the caller, if that has callbacks."""
    global _line
    _line = None if address is None else Client(address.address, authkey=address.key)


def tasks_of(estimator: Any, X: Any, y: Any, n_steps: int) -> FitTasks | TasksElsewhere:
    """Steps of a fit: told to the callbacks of this process, or of the one that started it."""
    if _line is None:
        return FitTasks(estimator, X, y, n_steps)
    return TasksElsewhere(_line, estimator, n_steps)


def _asked_for(line: Connection) -> dict[str, Any]:
    """Fitted attributes as they are in the first process, which waits for an answer."""
    line.send(("fitted", None))
    estimator = pickle.loads(line.recv_bytes())
    given = estimator.get_params(deep=False)
    return {name: value for name, value in vars(estimator).items() if name not in given}


def _send(line: Connection, message: tuple[str, Any]) -> None:
    """Send an answer; an error that does not pickle goes as its text."""
    try:
        data = pickle.dumps(message)
    except Exception:  # whatever an error raises that was not made to be pickled
        data = pickle.dumps(("answer", RuntimeError(f"{type(message[1]).__name__}: {message[1]}")))
    try:
        line.send_bytes(data)
    except OSError:  # the process died meanwhile: the launcher says so, and ends the fit
        return
