"""Blocks of work on all threads that the caller allows; the caller's own settings are left as found."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

_Block = TypeVar("_Block")
_Result = TypeVar("_Result")

_lock = Lock()
_holders = 0
_limit: Any = None


@cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries of this process, found once: looking for them takes milliseconds."""
    return ThreadpoolController().select(user_api="blas")


def n_threads() -> int:
    """Threads that BLAS may use now: so a limit set by the caller or by a joblib worker holds for us too."""
    return max((library["num_threads"] for library in _blas().info()), default=1)


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Keep BLAS to the calling thread while our own threads run, whoever else is inside at the same time.

    BLAS has one setting for the whole process: the first to enter stores it, the last to leave restores it.
    """
    global _holders, _limit
    with _lock:
        if _holders == 0:
            _limit = _blas().limit(limits=1)
        _holders += 1
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if _holders == 0:
                _limit.restore_original_limits()


def map_blocks(function: Callable[[_Block], _Result], blocks: Iterable[_Block]) -> Iterator[_Result]:
    """Yield ``function(block)`` for each block, in order, computed on all threads, few blocks ahead."""
    blocks = list(blocks)
    workers = min(n_threads(), len(blocks))
    if workers <= 1:
        yield from map(function, blocks)
        return
    with blas_on_one_thread(), ThreadPoolExecutor(workers) as pool:
        pending = [pool.submit(function, block) for block in blocks[: 2 * workers]]
        ahead = iter(blocks[2 * workers :])
        while pending:
            result = pending.pop(0).result()
            pending.extend(pool.submit(function, block) for block in [next(ahead, None)] if block is not None)
            yield result
            del result
