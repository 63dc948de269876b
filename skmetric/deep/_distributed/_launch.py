"""Processes that `fit` starts itself, through the launchers of Lightning Fabric."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from typing import Any

import torch
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from skmetric._warning import warn

from ._handing_over import Folder
from ._joining import ToStart, fabric_module, quiet
from ._telling import Listening, has_callbacks, without_callbacks


def fit_by_processes(
    start: ToStart, estimator: Any, samples: tuple[Any, Any], method: str, *args: Any
) -> None:
    """Call a method that fits, in several processes at once; the estimator ends as in the first of them.

    Parameters
    ----------
    start : ToStart
        What to start.
    estimator : estimator
        Changed in place.
    samples : tuple of object
        Samples and labels as the user gave them, for callbacks, which are called in this process.
    method : str
        Its method.
    *args : object
        Arguments of the method: samples, labels.

    Raises
    ------
    Exception
        The error of a process; ``RuntimeError`` if one was killed.
    """
    fabric = fabric_module("fabric").Fabric(
        accelerator=start.kind, devices=start.devices, strategy=start.strategy, plugins=_environment()
    )
    with tempfile.TemporaryDirectory(prefix="skmetric-") as path, _environment_as_it_is():
        folder, children = Folder(path), set(active_children())
        listening = Listening(estimator, *samples) if has_callbacks(estimator) else None
        try:
            told = None if listening is None else listening.address
            folder.give(without_callbacks(estimator), method, args, told)
            fabric.strategy.launcher.launch(_work, fabric.strategy, path, start.strategy == "ddp_fork")
        except ProcessRaisedException as failure:
            error = folder.error()
            raise (failure if error is None else error) from failure
        except ProcessExitedException as failure:
            raise RuntimeError(
                f"distributed: process {failure.error_index} of {start.devices} died ({failure}), perhaps "
                "for lack of memory; training ended and nothing was learned. With checkpoint=, the next "
                "fit goes on where the last whole epoch ended"
            ) from failure
        except BaseException:  # as Ctrl-C: the others would wait for ever
            for process in set(active_children()) - children:
                if not process.daemon:
                    process.kill()
            raise
        finally:
            if listening is not None:
                listening.close()
        fitted, warnings = folder.result()
    for message, category in warnings:
        warn(message, category)
    vars(estimator).update(fitted)


def _work(strategy: Any, path: str, forked: bool) -> None:
    """What each process does."""
    if forked:
        torch.set_num_threads(1)  # OpenMP's other threads are not in a copy, and would be waited for
    with quiet():
        strategy.setup_environment()  # the process group
    Folder(path).work(strategy.global_rank)


def _environment() -> Any:
    return [fabric_module("plugins.environments").LightningEnvironment()]


@contextmanager
def _environment_as_it_is() -> Iterator[None]:
    """Put back the variables that Fabric sets: the next group chooses another port."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
