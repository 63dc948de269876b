"""A training that survives: after each epoch, and within it, all that it goes on from is in a folder.

All chance in an epoch comes from the seed and the number of the epoch, so that weights, moments, schedule,
what the loss remembers and the history are all there is after one. Within an epoch there are the random
generators and the sums over its batches besides; they have a folder of their own, which ends with the epoch:
after a divergence, training goes back to the last epoch and not to a step. A fit that finds its folder goes
on where that ends; a run on some of the classes and one on all of them have a folder each.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skmetric._folder._folder import naming_damage, read_folder, write_folder
from skmetric._params import check_params
from skmetric._torch import to_tensor
from skmetric.deep._distributed._group import ALONE, Alone
from skmetric.deep._recipe._checkpoint_settings import Checkpoint, as_checkpoint

from ._known_by import digest_of_data, told

if TYPE_CHECKING:
    from skmetric.deep._training._descent import Descent
    from skmetric.deep._training._loop import Training

    from ._epoch_so_far import EpochSoFar

_KIND = "skmetric.deep.checkpoint"
_KIND_WITHIN = "skmetric.deep.checkpoint.epoch"
_NO_EFFECT = {  # on what is trained
    "checkpoint", "device", "num_workers", "compile", "warm_start", "distributed",
}  # fmt: skip


class CheckpointFolder:
    """The folder of a fit.

    Parameters
    ----------
    given : str, path-like or Checkpoint
        The folder, there or not.
    estimator : estimator
        Its parameters must be those of the fit that the folder is of.
    group : Alone
        The processes that train together. The first one reads and writes the folder.

    Raises
    ------
    ValueError
        If parameters or the number of processes differ; each is named.
    """

    def __init__(
        self, given: str | os.PathLike[str] | Checkpoint, estimator: Any, group: Alone = ALONE
    ) -> None:
        settings = as_checkpoint(given)
        check_params(settings)
        self.path, self.group, self.every_n_steps = Path(settings.path), group, settings.every_n_steps
        self.parameters = {
            name: told(value)
            for name, value in estimator.get_params(deep=False).items()
            if name not in _NO_EFFECT
        }
        self.seed: int | None = None
        found = group.on_first(_read_content, self.path / "fit")
        if found is None:  # killed in the first epoch
            found = group.on_first(_read_content, within(self.path / "fit"), _KIND_WITHIN)
        if found is not None:
            with naming_damage(self.path / "fit"):
                self.seed = found["seed"]
                self._check(found)

    def of_run(self, data: Any, training: Training, *, on_all: bool) -> CheckpointOfRun:
        """The part of the folder for one run of the loop."""
        described = {
            "parameters": self.parameters,
            "samples": digest_of_data(data),
            "seed": training.seed,
            "begins_at": training.epoch,
            "n_processes": self.group.size,
        }
        return CheckpointOfRun(
            self.path / ("refit" if on_all else "fit"), described, self.group, self.every_n_steps
        )

    def _check(self, found: Mapping[str, Any]) -> None:
        n_before, n_now = found.get("n_processes", 1), self.group.size
        if n_before != n_now:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is of a fit by {n_before} processes, and this one has "
                f"{n_now}: go on with distributed=Distributed(devices={n_before}), or choose another folder "
                "to train anew"
            )
        before = found["parameters"]
        for name, value in self.parameters.items():
            if before.get(name, value) != value:
                raise ValueError(
                    f"checkpoint={str(self.path)!r} is of a fit with {name}={before[name]}, and {name} is "
                    f"{value} now: set it back to go on, or choose another folder to train anew"
                )


class CheckpointOfRun:
    """State of one run of the training loop in a folder."""

    def __init__(
        self,
        path: Path,
        described: dict[str, Any],
        group: Alone = ALONE,
        every_n_steps: int | None = None,
    ) -> None:
        self.path, self.described, self.group = path, described, group
        self.every_n_steps = every_n_steps

    def resume(self, training: Training) -> bool:
        """Put `training` where the folder ends, if there is one.

        Returns
        -------
        bool
            Whether the run had ended.

        Raises
        ------
        ValueError
            If the folder is of other samples, or damaged.
        """
        found = self.group.on_first(_read, self.path)
        if found is None:
            return False
        content, arrays = found
        with naming_damage(self.path):
            if content["begins_at"] < self.described["begins_at"] and content["ended"]:
                return False  # the fit before this one, which goes on from its end
            self._check(content)
            training.restore(_of_plain(content["state"], arrays))
            training.history = [*training.history, *content["history"]]
            training.best = _of_plain(content["best"], arrays)
            training.untrained, training.stopped = dict(content["untrained"]), content["stopped"]
        return bool(content["ended"])

    def resume_epoch(self, training: Training, so_far: EpochSoFar, number: int) -> None:
        """Put `training` after the last step that was written of the epoch `number`, if there is one.

        Raises
        ------
        ValueError
            If the folder is of other samples, or damaged.
        """
        path = within(self.path)
        found = self.group.on_first(_read, path, _KIND_WITHIN)
        if found is None:
            return
        content, arrays = found
        with naming_damage(path):
            if (content["begins_at"], content["epoch"]) != (self.described["begins_at"], number):
                return  # an epoch that has ended, or one of the fit before this one
            self._check(content)
            training.restore(_of_plain(content["state"], arrays))
            of_rank = _of_plain(content["so_far"], arrays)[self.group.rank]
            so_far.restore(of_rank, *_modules(training))

    def is_due(self, descent: Descent) -> bool:
        """Whether a step has just ended after which the state is written."""
        return self.every_n_steps is not None and descent.ends_every(self.every_n_steps)

    def save_epoch(self, training: Training, so_far: EpochSoFar, number: int) -> None:
        """Write the state within the epoch `number`: what processes have in common once, the rest of each."""
        if not self.group.all(so_far.is_finite):
            return  # the end of the epoch says so
        by_rank = self.group.by_rank(so_far.state(*_modules(training)))
        self.group.on_first(self._save_epoch, training, by_rank, number)

    def _save_epoch(self, training: Training, by_rank: list[Any], number: int) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        content = self.described | {
            "epoch": number,
            "state": _plain(training.state(), arrays, "state"),
            "so_far": _plain(by_rank, arrays, "so_far"),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_folder(within(self.path), _KIND_WITHIN, content, arrays)

    def save(self, training: Training, state: Mapping[str, Any], *, ended: bool) -> None:
        """Write the state after an epoch, by the first process."""
        self.group.on_first(self._save, training, state, ended)

    def _save(self, training: Training, state: Mapping[str, Any], ended: bool) -> None:
        arrays: dict[str, NDArray[Any]] = {}
        begins_at = self.described["begins_at"]
        content = self.described | {
            "history": [row for row in training.history if row["epoch"] > begins_at],
            "untrained": dict(training.untrained),
            "stopped": bool(training.stopped),
            "ended": ended,
            "state": _plain(state, arrays, "state"),
            "best": _plain(training.best, arrays, "best"),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_folder(self.path, _KIND, content, arrays)
        _remove(within(self.path))

    def _check(self, content: Mapping[str, Any]) -> None:
        what = {
            "samples": "other samples, labels or classes held out",
            "seed": "another seed",
            "begins_at": "a fit that began after another number of epochs",
        }
        for name, of in what.items():
            if content[name] != self.described[name]:
                raise ValueError(
                    f"checkpoint={str(self.path.parent)!r} is of {of}: give what that fit had to go on "
                    "with it, or choose another folder to train anew"
                )


def within(path: Path) -> Path:
    """The folder for the middle of an epoch, beside that of a run."""
    return path.with_name(f"{path.name}_epoch")


def _remove(path: Path) -> None:
    """Remove a folder, the manifest first: what is left of it if this is interrupted is not read."""
    (path / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def _modules(training: Training) -> list[nn.Module]:
    """What has buffers that processes even out after an epoch only."""
    return [training.module] if training.average is None else [training.module, training.average.module]


def _read(path: Path, kind: str = _KIND) -> tuple[dict[str, Any], Mapping[str, NDArray[Any]]] | None:
    """Content and arrays of a folder; None where no save has ended."""
    if not (path / "manifest.json").exists():
        return None
    return read_folder(path, kind, verify=True)


def _read_content(path: Path, kind: str = _KIND) -> dict[str, Any] | None:
    found = _read(path, kind)
    return None if found is None else found[0]


# Nested states as JSON and arrays


def _plain(node: Any, arrays: dict[str, NDArray[Any]], name: str) -> Any:
    if isinstance(node, torch.Tensor):
        node = node.detach().cpu()
        key = f"{name.partition('.')[0]}/{name}"
        if node.dtype == torch.bfloat16:
            arrays[key] = np.array(node.view(torch.int16).numpy())
            return {"bfloat16": key}
        arrays[key] = np.array(node.numpy())
        return {"tensor": key}
    if isinstance(node, dict):
        pairs = [
            [_key(key), _plain(value, arrays, f"{name}.{i}")] for i, (key, value) in enumerate(node.items())
        ]
        return {"dict": pairs}
    if isinstance(node, list | tuple):
        items = [_plain(item, arrays, f"{name}.{i}") for i, item in enumerate(node)]
        return items if isinstance(node, list) else {"tuple": items}
    if isinstance(node, np.generic):
        return node.item()
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise TypeError(
        f"checkpoint= cannot keep {name.rpartition('.')[0]}, a {type(node).__name__}: the state of an "
        "optimizer, a schedule and a loss has to be of tensors, numbers and text"
    )


def _key(key: Any) -> str | int:
    if not isinstance(key, str | int):
        raise TypeError(f"checkpoint= cannot keep a state under {key!r}: names and numbers alone")
    return key


def _of_plain(node: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(node, list):
        return [_of_plain(item, arrays) for item in node]
    if not isinstance(node, dict):
        return node
    if "tensor" in node:
        return to_tensor(np.array(arrays[node["tensor"]]))
    if "bfloat16" in node:
        return to_tensor(np.array(arrays[node["bfloat16"]])).view(torch.bfloat16)
    if "tuple" in node:
        return tuple(_of_plain(item, arrays) for item in node["tuple"])
    return {key: _of_plain(value, arrays) for key, value in node["dict"]}
