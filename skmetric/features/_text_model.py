"""A model of texts by its name, and what tells models apart in a cache."""

from __future__ import annotations

import functools
import hashlib
import inspect
from typing import Any

import joblib
import torch
from torch import nn

from skmetric._optional import import_optional


def load_model(name: str, device: str) -> Any:
    package = import_optional(
        "sentence_transformers", extra=None, purpose="FrozenText with a name of a model"
    )
    return package.SentenceTransformer(name, device=device)


def digest_of_model(model: nn.Module) -> str:
    """Digest of weights and settings of a loaded model, the same in each process."""
    digest = hashlib.sha256(repr(model).encode())
    digest.update(repr(getattr(model, "max_seq_length", None)).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def name_of_function(function: Any) -> str:
    """Module and name of a function, with the arguments of a partial; those without a name are refused."""
    if isinstance(function, functools.partial):
        arguments = joblib.hash((function.args, function.keywords))
        return f"{name_of_function(function.func)} {arguments}"
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module in (None, "__main__") or name is None or "<" in name:
        raise ValueError(
            f"cache= tells functions apart by module and name, and {function!r:.80} has none that lasts: "
            "pass a function of a module, or cache=None"
        )
    return f"{module}.{name}"


def refuse_whole_models(model: Any) -> None:
    """Refuse a model itself, which each pickle and each process of a search would carry."""
    owner = model.__self__ if inspect.ismethod(model) else model
    if isinstance(owner, nn.Module):
        raise TypeError(
            f"model is a {type(owner).__name__} itself, and each pickle would hold its weights: pass its "
            "name or the folder that it was saved in, or a function of a module that loads it when called"
        )
