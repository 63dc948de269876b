"""What processes other than the first leave out: warnings and callbacks, which would come once a process."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._group import Alone


@contextmanager
def silent_but_first(group: Alone) -> Iterator[None]:
    """Let warnings through in the first process alone."""
    if group.rank == 0:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class NoTasks:
    """Steps of a fit that nobody is told about."""

    fitted: Callable[[], dict[str, Any]] = dict

    def begin(self) -> None:
        """A step begins."""

    def end(self) -> bool:
        """The step ended; nobody asks to stop."""
        return False

    def close(self) -> None:
        """The fit ended."""
