"""A training that survives: after each epoch all that it goes on from is in a folder, written at once.

All chance in an epoch comes from the seed and the number of the epoch, so that weights, moments, schedule,
what the loss remembers and the history are all there is. A fit that finds its folder goes on where that ends;
a run on some of the classes and one on all of them have a folder each.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import nn

from skmetric._folder._folder import naming_damage, read_folder, write_folder
from skmetric._relevance import Relevance
from skmetric._torch import to_tensor
from skmetric.deep._data._gathered import Gathered
from skmetric.deep._data._source import Streamed
from skmetric.deep._distributed._group import ALONE, Alone

if TYPE_CHECKING:
    from skmetric.deep._training._loop import Training

_KIND = "skmetric.deep.checkpoint"
_NO_EFFECT = {
    "checkpoint",
    "device",
    "num_workers",
    "compile",
    "warm_start",
    "distributed",
}  # on what is trained
_LOOKED_AT = 8  # samples of a Dataset, or of files, that tell it from another
_SHOWN = 60  # characters of a value that are kept


class CheckpointFolder:
    """The folder of a fit.

    Parameters
    ----------
    path : str or path-like
        Of the folder, there or not.
    estimator : estimator
        Its parameters must be those of the fit that the folder is of.
    group : Alone
        The processes that train together. The first one reads and writes the folder.

    Raises
    ------
    ValueError
        If parameters or the number of processes differ; each is named.
    """

    def __init__(self, path: str | os.PathLike[str], estimator: Any, group: Alone = ALONE) -> None:
        self.path, self.group = Path(path), group
        self.parameters = {
            name: _told(value)
            for name, value in estimator.get_params(deep=False).items()
            if name not in _NO_EFFECT
        }
        self.seed: int | None = None
        found = group.on_first(_read_content, self.path / "fit")
        if found is not None:
            self.seed = found["seed"]
            self._check(found)

    def of_run(self, data: Any, training: Training, *, on_all: bool) -> CheckpointOfRun:
        """The part of the folder for one run of the loop."""
        described = {
            "parameters": self.parameters,
            "samples": _digest_of_data(data),
            "seed": training.seed,
            "begins_at": training.epoch,
            "n_processes": self.group.size,
        }
        return CheckpointOfRun(self.path / ("refit" if on_all else "fit"), described, self.group)

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

    def __init__(self, path: Path, described: dict[str, Any], group: Alone = ALONE) -> None:
        self.path, self.described, self.group = path, described, group

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
        if content["begins_at"] < self.described["begins_at"] and content["ended"]:
            return False  # the fit before this one, which goes on from its end
        self._check(content)
        with naming_damage(self.path):
            training.restore(_of_plain(content["state"], arrays))
            training.history = [*training.history, *content["history"]]
            training.best = _of_plain(content["best"], arrays)
            training.untrained, training.stopped = dict(content["untrained"]), content["stopped"]
        return bool(content["ended"])

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

    def _check(self, content: Mapping[str, Any]) -> None:
        what = {
            "samples": "other samples, labels or classes held out",
            "seed": "another seed",
            "begins_at": "a fit that began after another number of epochs",
        }
        for name, told in what.items():
            if content[name] != self.described[name]:
                raise ValueError(
                    f"checkpoint={str(self.path.parent)!r} is of {told}: give what that fit had to go on "
                    "with it, or choose another folder to train anew"
                )


def _read(path: Path) -> tuple[dict[str, Any], Mapping[str, NDArray[Any]]] | None:
    """Content and arrays of a folder; None where no save has ended."""
    if not (path / "manifest.json").exists():
        return None
    return read_folder(path, _KIND, verify=True)


def _read_content(path: Path) -> dict[str, Any] | None:
    found = _read(path)
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


# What a fit is known by


def _told(value: Any) -> str:
    """A value of a parameter as text that is the same in another process."""
    text = _text(value)
    return (
        text
        if len(text) <= _SHOWN
        else f"{text[:_SHOWN]}... ({hashlib.sha256(text.encode()).hexdigest()[:16]})"
    )


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()
        return f"array {value.dtype} {value.shape} {digest}"
    if isinstance(value, torch.Tensor):
        return _text(value.detach().cpu().numpy())
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_text, value)) + "]"
    if isinstance(value, functools.partial):
        return f"partial({_text(value.func)}, {_text(value.args)}, {_text(value.keywords)})"
    if isinstance(value, nn.Module):
        return f"{value!r} {_text(value.state_dict())}"
    if hasattr(value, "get_params") and not isinstance(value, type):
        return f"{type(value).__name__}({_text(value.get_params(deep=False))})"
    return getattr(value, "__qualname__", type(value).__name__)


def _digest_of_data(data: Any) -> str:
    """Digest of samples and labels, those held out among them; of what is read later, some samples."""
    digest, parts = hashlib.sha256(), list(data._asdict().items())
    for name, part in parts:
        if part is None:
            continue
        digest.update(name.encode())
        if isinstance(part, Gathered):
            parts.append((f"{name} table", part.table))
            part = part.index
        if isinstance(part, Relevance):
            part = part.told_by()
        if issparse(part):
            parts += [(f"{name} {side}", getattr(part, side)) for side in ("indices", "indptr")]
            part = part.data
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.kind} {part.shape}".encode())
            digest.update(
                repr([*map(_sorted, part.tolist())]).encode()
                if part.dtype.kind in "OUT"
                else np.ascontiguousarray(part).data
            )
        elif hasattr(part, "rows") and getattr(part, "is_fixed", False):
            digest.update(repr(part.shape).encode())
            for row in _looked_at(part):
                digest.update(np.ascontiguousarray(part.rows([int(row)]).cpu().numpy()).data)
        else:
            digest.update(repr(getattr(part, "shape", part)).encode())
            if isinstance(part, Streamed):
                digest.update(repr(part.told(_looked_at(part))).encode())
    return digest.hexdigest()


def _looked_at(part: Any) -> NDArray[np.intp]:
    """Rows that tell samples from others: some of all, evenly spaced."""
    return np.unique(np.linspace(0, len(part) - 1, min(_LOOKED_AT, len(part))).astype(np.intp))


def _sorted(label: Any) -> Any:
    """A set of labels in an order that is the same in another process."""
    return sorted(map(repr, label)) if isinstance(label, set | frozenset) else label


def sketch_of_data(data: Any) -> str:
    """Digest of the labels and of a few samples: cheap, to tell data of one process from those of another."""
    few = {
        name: part[_looked_at(part)]
        for name, part in data._asdict().items()
        if isinstance(part, np.ndarray) and part.ndim > 1 and len(part)
    }
    return _digest_of_data(data._replace(**few)) + repr(data.samples.shape)
