"""Long calls of a search as tasks of scikit-learn's callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import issparse

from skmetric._params import FitTasks, callback_management_context, safe_indexing

Step: TypeAlias = "Callable[[str], AbstractContextManager[Any]]"

BATCH = 256  # samples that are embedded, or looked up, in a step


def silent(name: str) -> AbstractContextManager[Any]:
    """A step that nobody is told of."""
    return nullcontext()


@contextmanager
def told(search: Any, task: str, X: Any, y: Any, n_steps: int) -> Iterator[Step]:
    """Tell callbacks of a call of `n_steps` steps; gives what each step is made in: ``with step("embed"):``.

    Requests to stop are not followed: half of an answer would be none. Callbacks are of one thread.
    """
    if not getattr(search, "_skl_callbacks", None):
        yield silent
        return
    with callback_management_context(search):
        tasks = FitTasks(search, X, y, n_steps, task=task)
        tasks.fitted = lambda: None  # type: ignore[assignment, return-value]  # scores of a half-made search

        @contextmanager
        def step(name: str) -> Iterator[Any]:
            tasks.name = name
            tasks.begin()
            yield tasks.step
            tasks.end()

        yield step
        ready: dict[str, Any] | None = {} if task == "fit" else None  # to be scored by callbacks that score
        tasks.context.call_on_fit_task_end(estimator=search, X=X, y=y, reconstruction_attributes=ready)


def n_batches(search: Any, *samples: Any) -> int:
    """Steps in which samples are embedded, or looked up."""
    return sum(len(batches(search, X)) for X in samples if X is not None)


def batches(search: Any, X: Any) -> list[slice | None]:
    """Slices of samples that are one step each; None stands for all, where nobody is told or they are few."""
    if not getattr(search, "_skl_callbacks", None) or n_samples(X) <= BATCH:
        return [None]
    return [slice(start, start + BATCH) for start in range(0, n_samples(X), BATCH)]


def part_of(X: Any, rows: slice | None) -> Any:
    """Some of the samples, or all."""
    return X if rows is None else safe_indexing(X, np.arange(n_samples(X))[rows])


def n_samples(X: Any) -> int:
    """Number of samples that can be told apart; 0 of others."""
    if issparse(X) or isinstance(X, np.ndarray) or hasattr(X, "iloc"):
        return X.shape[0] if getattr(X, "ndim", 1) else 0
    return len(X) if isinstance(X, list | tuple) else 0
