"""A model of texts by its name, and what tells models apart in a cache."""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Iterator
from types import CodeType
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
    settings = ("max_seq_length", "truncate_dim", "default_prompt_name", "prompts")  # no part of the repr
    digest.update(repr([getattr(model, name, None) for name in settings]).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def key_of_function(function: Any) -> str:
    """Module, name and code of a function, with the arguments of a partial.

    Refused is whatever its module does not have under that name: a function made in another one, or the
    method of an object, of which there may be several.
    """
    if isinstance(function, functools.partial):
        return f"{key_of_function(function.func)} {joblib.hash((function.args, function.keywords))}"
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if module in (None, "__main__") or name is None or not _is_called(function, module, name):
        raise ValueError(
            f"cache= tells functions apart by module and name, and {function!r:.80} has none that lasts: "
            "pass a function of a module, or cache=None"
        )
    return f"{module}.{name} {_digest_of_code(function)}"


def _is_called(function: Any, module: str, name: str) -> bool:
    """Whether a name leads to this very function."""
    try:
        return functools.reduce(getattr, name.split("."), sys.modules[module]) == function
    except (KeyError, AttributeError):
        return False


def _digest_of_code(function: Any) -> str:
    """Digest of what a function, and one that it wraps, does; not of the functions that it calls."""
    digest = hashlib.sha256()
    while function is not None:
        code = getattr(function, "__code__", None)  # a compiled function has none
        for part in _parts_of_code(code) if code is not None else ():
            digest.update(part)
        defaults = getattr(function, "__defaults__", None), getattr(function, "__kwdefaults__", None)
        digest.update(joblib.hash(defaults).encode())
        function = getattr(function, "__wrapped__", None)
    return digest.hexdigest()


def _parts_of_code(code: CodeType) -> Iterator[bytes]:
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # a function inside
            yield from _parts_of_code(constant)
        else:  # a set has another order in each process
            parts = sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
            yield repr(parts).encode()


def refuse_whole_models(model: Any) -> None:
    """Refuse a model itself, which each pickle and each process of a search would carry."""
    owner = model.__self__ if inspect.ismethod(model) else model
    if isinstance(owner, nn.Module):
        raise TypeError(
            f"model is a {type(owner).__name__} itself, and each pickle would hold its weights: pass its "
            "name or the folder that it was saved in, or a function of a module that loads it when called"
        )
