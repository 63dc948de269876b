"""Parts of a trunk that stay as they are; where they come first, they are run once instead of every epoch."""

import math

import numpy as np
from torch import nn

from skmetric._torch import has_hooks, is_batch_norm

from ._closed_form import ClosedForm
from ._trunk import InputNormalize, Pool

WHOLE, BATCH_NORMS = "trunk", "batch_norm"  # stand for all of it, and for all its batch norms
_LARGEST = 2 << 30  # bytes of features that are kept instead of running the trunk again

# layers without weights that do the same while training: they may be run once together with what is before
_PURE = (
    InputNormalize,
    Pool,
    nn.Identity,
    nn.Flatten,
    nn.Unflatten,
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.GELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Tanh,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool2d,
)


# By name


def freeze_by_name(network, prefixes, *, batch_norm=False):
    """Hold weights of the trunk still, and their parts in evaluation mode; thaw what was frozen before.

    Parameters
    ----------
    network : Network
        Changed in place.
    prefixes : str, list of str or None
        Names in the trunk, of parts or of weights; what is inside a part goes with it: "blocks.1" freezes
        "blocks.1.conv.weight", not "blocks.10.conv.weight". "trunk" is all of it, "batch_norm" all its batch
        norms.
    batch_norm : bool or None, default=False
        Whether to freeze all batch norms besides; None: if there are any.

    Raises
    ------
    ValueError
        If no weight has a name that begins so.
    """
    weights = dict(network.trunk.named_parameters())
    parts = dict(network.trunk.named_modules())
    names = [name for prefix in _listed(prefixes) for name in _named(prefix, parts)]
    if batch_norm or (batch_norm is None and any(map(is_batch_norm, parts.values()))):
        norms = _named(BATCH_NORMS, parts, "fine_tuning.freeze_batch_norm=True")
        names += [name for name in norms if name not in names]
    found = {weight for name in names for weight in inside(name, weights)}
    for name in network.frozen_weights:
        weights[name].requires_grad_(True)
    # what came frozen stays so for good, and is none of ours to thaw
    network.frozen_weights = tuple(sorted(name for name in found if weights[name].requires_grad))
    network.frozen_parts = tuple(name for name in names if name in parts)
    for name in network.frozen_weights:
        weights[name].requires_grad_(False)


def _listed(prefixes):
    prefixes = [prefixes] if isinstance(prefixes, str) else list(prefixes or ())
    for prefix in prefixes:
        if not isinstance(prefix, str) or not prefix:
            raise ValueError(f"freeze takes names of parts of the network; {prefix!r} is none")
    return [prefix.rstrip(".") for prefix in prefixes]


def _named(prefix, parts, asked=None):
    """Names that a prefix stands for; "" is the whole trunk. Errors say what `asked` for it."""
    if prefix == WHOLE:
        return [""]
    if prefix != BATCH_NORMS:
        return [prefix]
    norms = [name for name, part in parts.items() if is_batch_norm(part)]
    if not norms:
        raise ValueError(f"{asked or f'freeze={prefix!r}'}, but the network has no batch norm")
    return norms


def inside(prefix, weights, parameter="freeze"):
    """Names among `weights` of the part, or of the weight, `prefix`; errors name the `parameter`."""
    if not prefix:
        return list(weights)
    found = [name for name in weights if name == prefix or name.startswith(f"{prefix}.")]
    if not found:
        top = list(dict.fromkeys(name.partition(".")[0] for name in weights))
        raise ValueError(
            f"{parameter}={prefix!r} is the beginning of no weight's name; the names at the top of the "
            f"network are {top}; {WHOLE!r} stands for all"
            + (f", {BATCH_NORMS!r} for all batch norms" if parameter == "freeze" else "")
        )
    return found


# Run once


def without_frozen(network, samples, embed):
    """Run the frozen beginning of a network once, if there is one worth it.

    Parameters
    ----------
    network : Network
        Its parts are shared by what is returned.
    samples : ndarray of n rows
        Those trained on. Others than arrays, which may be new in each epoch, are left alone.
    embed : callable
        ``embed(module, samples) -> ndarray`` runs a module in evaluation mode.

    Returns
    -------
    rest : nn.Module
        What follows the frozen beginning; the network where none is cut off.
    samples : ndarray of n rows
        What it takes.
    """
    layers = list(_layers(network))
    n_frozen = _n_frozen(network, layers)
    if n_frozen == 0 or not isinstance(samples, np.ndarray):
        return network, samples
    beginning, rest = nn.Sequential(*layers[:n_frozen]), nn.Sequential(*layers[n_frozen:])
    one = embed(beginning, samples[:1])
    if len(samples) * math.prod(one.shape) * one.itemsize > _LARGEST:
        return network, samples
    return rest, embed(beginning, samples)


def _layers(part):
    """Layers in the order in which they run, as far as containers do nothing but run them."""
    runs_in_turn = type(part).forward is nn.Sequential.forward
    if runs_in_turn and not has_hooks(part):
        for layer in part:
            yield from _layers(layer)
    else:
        yield part


def _n_frozen(network, layers):
    """Layers at the beginning whose output for a sample never changes; 0 if none of them has weights."""
    still = {id(inner) for part in network.still() for inner in part.modules()}
    n_frozen = 0
    for layer in layers:
        is_pure = isinstance(layer, _PURE) and not any(True for _ in layer.parameters())
        is_closed = isinstance(layer, ClosedForm)  # which has weights, and none that are trained
        if id(layer) not in still and not is_pure and not is_closed:
            break
        n_frozen += 1
    has_weights = any(any(True for _ in layer.parameters()) for layer in layers[:n_frozen])
    return n_frozen if has_weights else 0
