"""The tensors of a network as plain arrays by name, and a network that is built again around them.

A network that can be built from parameters needs no pickle: it is built without values, on torch's meta
device, which costs neither memory nor chance, and its tensors are put in by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skmetric._torch import has_hooks, seeded, to_tensor

__all__ = ["check_buildable", "described", "filled", "is_buildable", "is_described", "without_values"]

_FETCHING = {"checkpoint_path", "cache_dir", "pretrained"}  # arguments of timm
_SHOWN = 3  # how many names a message lists
_DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.float32, torch.float64,
)  # fmt: skip


def described(module: nn.Module) -> dict[str, Any] | None:
    """Plain values from which `filled` makes the module again, given one that was built alike.

    Parameters
    ----------
    module : nn.Module
        On any device; it is not changed.

    Returns
    -------
    dict or None
        "arrays" has each tensor by the name of its place, "frozen" the names of parameters without gradient.
        None if a tensor is of a dtype that NumPy lacks.
    """
    arrays: dict[str, NDArray[Any]] = {}
    frozen: list[str] = []
    seen: set[int] = set()
    for store, key, name in _places(module):
        tensor = store[key]
        if tensor.dtype not in _DTYPES or tensor.layout != torch.strided:
            return None
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        arrays[name] = np.array(tensor.detach().cpu().contiguous().numpy())
        if isinstance(tensor, nn.Parameter) and not tensor.requires_grad:
            frozen.append(name)
    return {"arrays": arrays, "frozen": frozen}


def is_described(module: nn.Module, skeleton: nn.Module) -> bool:
    """Whether `skeleton`, filled, would be the module: the same layers, settings and places of tensors."""
    if any(has_hooks(part) for part in module.modules()) or repr(module) != repr(skeleton):
        return False
    return _shapes(module) == _shapes(skeleton)


def check_buildable(name: Any, model_kwargs: Mapping[str, Any] | None) -> None:
    """Raise a ValueError if a network of this name would be fetched, or its arguments read files."""
    if isinstance(name, str) and ":" in name:
        raise ValueError(f"the network {name!r} is of another hub, from which it would have to be fetched")
    found = sorted(_FETCHING & set(model_kwargs or {}))
    if found:
        raise ValueError(
            f"model_kwargs has {found[0]!r}, which reads a file: a saved network has its weights"
        )


def is_buildable(name: Any, model_kwargs: Mapping[str, Any] | None) -> bool:
    """Whether a network is there without a file or a download."""
    try:
        check_buildable(name, model_kwargs)
    except ValueError:
        return False
    return True


def without_values(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network whose tensors have no values; nothing is drawn and no memory taken.

    Parameters
    ----------
    build : callable
        Returns the network.

    Returns
    -------
    nn.Module
        On the meta device, or as built where its code cannot do without values.
    """
    with seeded(0):
        try:
            with torch.device("meta"):
                return build()
        except (NotImplementedError, RuntimeError):
            return build()


def filled(skeleton: nn.Module, plain: Mapping[str, Any], what: str) -> nn.Module:
    """Put arrays into a network in place of its own tensors.

    Parameters
    ----------
    skeleton : nn.Module
        Changed in place.
    plain : dict
        As `described` gave it.
    what : str
        What the error message calls the network.

    Returns
    -------
    nn.Module
        `skeleton`, on the CPU, in evaluation mode.

    Raises
    ------
    ValueError
        If names, shapes or dtypes do not fit; the message names some.
    """
    arrays, frozen = plain["arrays"], set(plain["frozen"])
    places = list(_places(skeleton))
    first: dict[int, str] = {}
    for store, key, name in places:
        first.setdefault(id(store[key]), name)
    _check_fit(
        {name: store[key] for store, key, name in places if first[id(store[key])] == name}, arrays, what
    )
    made: dict[str, torch.Tensor] = {}
    renamed = [(store, key, first[id(store[key])]) for store, key, _ in places]
    for store, key, name in renamed:
        if name not in made:
            tensor = to_tensor(np.array(arrays[name]))
            is_parameter = isinstance(store[key], nn.Parameter)
            made[name] = nn.Parameter(tensor, requires_grad=name not in frozen) if is_parameter else tensor
        store[key] = made[name]
    return skeleton.eval()


def _places(module: nn.Module) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Every place of a module that holds a tensor: (dict, key, name)."""
    for path, part in module.named_modules():
        for store in (part._parameters, part._buffers, vars(part)):
            for key, value in store.items():
                if isinstance(value, torch.Tensor):
                    yield store, key, f"{path}.{key}" if path else key


def _shapes(module: nn.Module) -> dict[str, Any]:
    return {name: (tuple(store[key].shape), store[key].dtype) for store, key, name in _places(module)}


def _check_fit(tensors: Mapping[str, torch.Tensor], arrays: Mapping[str, NDArray[Any]], what: str) -> None:
    """Refuse arrays that are not those of the network."""
    for names, how in ((tensors.keys() - arrays.keys(), "lacks"), (arrays.keys() - tensors.keys(), "has")):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            listed = ", ".join(sorted(names)[:_SHOWN]) + more
            end = "" if how == "lacks" else ", which the network has not"
            raise ValueError(f"the weights do not fit {what}: the file {how} {listed}{end}")
    for name, tensor in tensors.items():
        found = arrays[name]
        told = str(tensor.dtype).removeprefix("torch.")
        if found.shape != tuple(tensor.shape) or str(found.dtype) != told:
            raise ValueError(
                f"the weights do not fit {what}: {name} is {told} {list(tensor.shape)} there, and the file "
                f"has {found.dtype} {list(found.shape)}"
            )
