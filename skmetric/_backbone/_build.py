"""The network: built by timm's name, or given; and what it tells of itself."""

from contextlib import nullcontext
from difflib import get_close_matches

import numpy as np
from torch import nn

from skmetric._optional import import_optional
from skmetric._torch import seeded

from ._weights import is_file, load_weights

__all__ = [
    "brightness",
    "build",
    "did_you_mean",
    "find_timm",
    "n_input_channels",
    "n_prefix_tokens",
    "own_config",
]

_SHOWN = 5  # how many names a message lists
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def build(model, weights, model_kwargs, *, seed=0):
    """Make the network.

    Parameters
    ----------
    model : str, nn.Module or callable
        timm name, the network itself, or what builds it.
    weights : str or path-like or None
        "pretrained", a file, or None.
    model_kwargs : dict
        For timm or the callable.
    seed : int or None, default=0
        Of random weights; None draws them from torch's global generator.

    Returns
    -------
    nn.Module
        `model` itself where that is a network and no file is given; else a new one. With a seed,
        random weights are the same in each call, and the global random state is left alone.
    """
    if isinstance(model, nn.Module) and model_kwargs:
        raise ValueError("model_kwargs are for building a network; this one is built already")
    with nullcontext() if seed is None else seeded(seed):
        if isinstance(model, str):
            module = _build_timm(model, weights == "pretrained", model_kwargs)
        elif isinstance(model, nn.Module):
            module = model
        else:
            module = model(**model_kwargs)
    if not isinstance(module, nn.Module):
        raise ValueError(f"model={model!r} built a {type(module).__name__}, not an nn.Module")
    if not is_file(weights):
        return module
    return load_weights(module, weights, in_place=module is not model)


def _build_timm(name, pretrained, model_kwargs):
    timm = find_timm(name)
    try:
        return timm.create_model(name, pretrained=pretrained, **{"num_classes": 0, **model_kwargs})
    except OSError as error:  # what the hub's errors derive from
        raise OSError(
            f"the pretrained weights of {name!r} could not be fetched ({type(error).__name__}: {error}); on "
            "a machine without network, pass weights= with a .safetensors or .pth file"
        ) from error


def find_timm(name):
    """Import timm, or refuse a name that it does not have."""
    timm = import_optional("timm", extra="vision", purpose=f"The network {name!r}")
    if ":" not in name and not timm.is_model(name):
        close = get_close_matches(name, timm.list_models(), n=_SHOWN)
        raise ValueError(f"timm has no network {name!r}{did_you_mean(close)}")
    return timm


def did_you_mean(names):
    """End of a message that offers names."""
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else ""


# What it tells of itself


def n_input_channels(module):
    """Channels that the first convolution takes; None where there is none to tell."""
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    return first.in_channels or None if first is not None else None


def own_config(module):
    """Configuration that a timm network carries; empty for others."""
    return getattr(module, "pretrained_cfg", None) or {}


def n_prefix_tokens(module):
    """Tokens before those of the patches, None where the network does not tell."""
    count = getattr(module, "num_prefix_tokens", None)
    if count is None and own_config(module):  # timm has architectures that do not count them
        return int(any("cls_token" in name for name, _ in module.named_parameters()))
    return count


def brightness(module, n_channels, *, mean=None, std=None):
    """Mean and standard deviation of brightness in [0, 1] that a network was trained on.

    Parameters
    ----------
    module : nn.Module
        A timm network tells them; for others they are ImageNet's.
    n_channels : int
        What it takes. Values of colour are averaged for another number.
    mean, std : float or array-like of shape (n_channels,), default=None
        Of the caller, who wins.

    Returns
    -------
    tuple of n_channels floats
        Network's input is ``(brightness - mean) / std``.

    Raises
    ------
    ValueError
        If the caller's values cannot be those of a brightness from 0 to 1, or are not one a channel.
    """
    own = own_config(module)
    return (
        _per_channel("mean", mean, own.get("mean", _IMAGENET_MEAN), n_channels),
        _per_channel("std", std, own.get("std", _IMAGENET_STD), n_channels),
    )


def _per_channel(name, given, default, n_channels):
    """One value for each channel; the default is averaged where the network does not take colour."""
    values = np.atleast_1d(default if given is None else _checked(name, given)).astype(float)
    if given is None and len(values) != n_channels:
        values = values.mean(keepdims=True)
    if len(values) not in (1, n_channels):
        raise ValueError(f"{name} has {len(values)} values; the network takes {n_channels} channels")
    return tuple(np.broadcast_to(values, n_channels).tolist())


def _checked(name, given):
    """Values of a caller: numbers that a brightness from 0 to 1 can have."""
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        values = None
    if values is None or values.ndim > 1:
        raise ValueError(f"{name} must be a number, or a sequence of one number a channel; got {given!r}")
    lowest = 0 if name == "mean" else np.finfo(np.float32).tiny  # which is divided by
    wrong = ~((values >= lowest) & (values <= 1))
    if wrong.any():
        kind = "from 0 to 1" if name == "mean" else "above 0 and at most 1"
        raise ValueError(
            f"{name} is of the brightness of images, which goes from 0 to 1, so it must be {kind}; got "
            f"{given!r}. Divide values of the range 0 to 255 by 255"
        )
    return values
