"""Weights from a file, if they fit the network."""

import copy
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

__all__ = ["is_file", "load_weights"]

_SHOWN = 5  # how many names a message lists


def is_file(weights):
    """Whether `weights` names a file, there or not."""
    return weights is not None and weights != "pretrained"


def load_weights(module, path, *, in_place=True):
    """Load a file of weights that fits.

    Parameters
    ----------
    module : nn.Module
        Left as it is unless `in_place`.
    path : str or path-like
        ``.safetensors``, or what ``torch.save`` wrote of a state dict. A state dict inside a checkpoint,
        under "state_dict" or "model", is found, and the prefix "module." of parallel training dropped.
    in_place : bool, default=True
        False loads into a copy.

    Returns
    -------
    nn.Module
        With the weights. Weights of a classifier that a timm network was built without are left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it holds no weights, or others than the network needs.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights={str(path)!r}: no such file")
    state = _without_classifier(module, _state_dict(path))
    _check_fit(module.state_dict(), state, path)
    loaded = module if in_place else copy.deepcopy(module)
    loaded.load_state_dict(state)
    return loaded


def _state_dict(path):
    """Names and tensors of a file."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"weights={str(path)!r} cannot be read as a state dict: {str(error).splitlines()[0]} "
            "(a whole network that was pickled is loaded with torch.load and passed itself)"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"weights={str(path)!r} holds no state dict: names and their tensors")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _without_classifier(module, state):
    """Drop the weights of a classifier that timm names and this network has not."""
    heads = (getattr(module, "pretrained_cfg", None) or {}).get("classifier") or ()
    heads = tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))
    own = module.state_dict()
    return {name: tensor for name, tensor in state.items() if name in own or not name.startswith(heads)}


def _check_fit(own, state, path):
    misfits = {
        "missing": own.keys() - state.keys(),
        "unexpected": state.keys() - own.keys(),
        "of another shape": [
            name for name in own.keys() & state.keys() if own[name].shape != state[name].shape
        ],
    }
    found = [f"{what}: {_some(names)}" for what, names in misfits.items() if names]
    if found:
        raise ValueError(f"weights={str(path)!r} do not fit the network; {'; '.join(found)}")


def _some(names):
    names = sorted(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
