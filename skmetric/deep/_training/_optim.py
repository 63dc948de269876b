"""Optimizers and schedules of the learning rate."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from skmetric.deep._recipe._rates import groups_by_rate


def _adam(kind: Callable[..., torch.optim.Optimizer], groups: list[dict[str, Any]], **settings: Any) -> Any:
    """Adam or AdamW, on the CPU in one pass over the weights, which saves time on wide layers."""
    weights = [weight for group in groups for weight in group["params"]]
    on_cpu = all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
    return kind(groups, fused=True if on_cpu else None, **settings)


_OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(_adam, torch.optim.Adam),
    "adamw": partial(_adam, torch.optim.AdamW),
    "sgd": lambda groups, **settings: torch.optim.SGD(groups, momentum=0.9, **settings),
}
OPTIMIZERS = tuple(_OPTIMIZERS)
_WARM_UP = 0.1  # share of the steps
_RISE, _START, _END = 0.3, 1 / 25, 1e-4  # of the one-cycle schedule: share of the steps, factors


def make_optimizer(
    optimizer, module, loss, *, learning_rate, proxy_learning_rate, weight_decay, layer_rates=None
):
    """Set up the optimizer over the weights of the network and, at their own rate, those of the loss.

    Parameters
    ----------
    optimizer : {"adam", "adamw", "sgd"} or callable
        "sgd" has momentum 0.9. A callable takes ``(groups, lr=..., weight_decay=...)``, as the classes of
        ``torch.optim`` do.
    module : nn.Module
        The network.
    loss : callable
        Its parameters, if it is an ``nn.Module`` that has some, are proxies: they are never decayed.
    learning_rate, proxy_learning_rate, weight_decay : float
        Settings.
    layer_rates : dict of str to float, default=None
        Factors of the learning rate for parts of the network.

    Returns
    -------
    torch.optim.Optimizer
        A group of parameters for each rate.
    """
    groups: list[dict[str, Any]] = groups_by_rate(module, learning_rate, layer_rates)
    if not any(group["params"] for group in groups):
        raise ValueError("module has no weights to train: all of them are frozen")
    proxies = trainable(loss)
    if proxies:
        groups.append({"params": proxies, "lr": proxy_learning_rate, "weight_decay": 0.0})
    make = _OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
    return make(groups, lr=learning_rate, weight_decay=weight_decay)


def trainable(loss):
    """Weights that a loss owns: proxies, class centres, a learned margin."""
    return [weight for weight in loss.parameters() if weight.requires_grad] if is_module(loss) else []


def is_module(loss):
    """Whether a loss is a module, and so may own weights."""
    return isinstance(loss, nn.Module)


def constant(share):
    """Leave the learning rate as it is."""
    return 1.0


def cosine(share):
    """From 1 to 0 along half a cosine."""
    return (1 + math.cos(math.pi * share)) / 2


def warmup(share):
    """Rise linearly over the first tenth, then 1."""
    return max(min(1.0, share / _WARM_UP), 1e-3)


def one_cycle(share):
    """From 1/25 up to 1 over the first three tenths, then down to 1e-4, along cosines."""
    if share < _RISE:
        return 1 + (_START - 1) * cosine(share / _RISE)
    return _END + (1 - _END) * cosine((share - _RISE) / (1 - _RISE))


SCHEDULES = {None: constant, "cosine": cosine, "warmup": warmup, "one_cycle": one_cycle}
