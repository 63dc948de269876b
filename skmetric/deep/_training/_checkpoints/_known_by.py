"""What a fit is known by: its parameters as text, and a digest of its samples."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from torch import nn

from skmetric._input._relevance import Relevance
from skmetric.deep._data._gathered import Gathered
from skmetric.deep._data._source import Streamed

_LOOKED_AT = 8  # samples of a Dataset, or of files, that tell it from another
_SHOWN = 60  # characters of a value that are kept


def told(value: Any) -> str:
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


def digest_of_data(data: Any) -> str:
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
    return digest_of_data(data._replace(**few)) + repr(data.samples.shape)
