"""What a caller changed between two calls that train one network: it takes effect, or is refused by name.

Most parameters are read anew in each call. The network is made in the first call alone: its parameters are
compared with those of that call, and refused if they differ. Another loss is put behind the network.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from skmetric._torch import seeded
from skmetric.deep._training._loss._criterion import ball_of_loss, bind
from skmetric.deep._training._optim import is_module

if TYPE_CHECKING:
    from skmetric.deep._estimator import NetworkMixin

_OF_NETWORK = (
    "module",
    "init",
    "weights",
    "model_kwargs",
    "n_components",
    "pooling",
    "normalize",
    "mean",
    "std",
)
_COMPARED = (*_OF_NETWORK, "distance", "scoring", "random_state", "fine_tuning")
_SHOWN = 60  # characters of a value in a message


class Changed(NamedTuple):
    """Parameters that differ from those of the last call."""

    names: frozenset[str] = frozenset()
    loss_is_new: bool = False  # of another kind, which has nothing to go on from


def record(estimator: NetworkMixin, loss: Any) -> dict[str, Any]:
    """Keep the values that a later call compares with its own.

    Parameters
    ----------
    estimator : NetworkMixin
        Its parameters are read.
    loss : callable
        Resolved and not called yet. It is copied: training changes some losses.

    Returns
    -------
    dict of str to object
        By name of the parameter; "loss" has the margin in it.
    """
    values = {name: getattr(estimator, name) for name in _COMPARED}
    values["model_kwargs"] = copy.copy(values["model_kwargs"])
    return values | {"loss": copy.deepcopy(loss)}


def what_changed(estimator: NetworkMixin, loss: Any) -> Changed:
    """Compare parameters with those of the last call.

    Parameters
    ----------
    estimator : NetworkMixin
        Fitted.
    loss : callable
        As the parameters ask for now, resolved.

    Returns
    -------
    Changed
        Nothing, if the estimator comes from a pickle that does not tell what it was made of.

    Raises
    ------
    ValueError
        If a parameter differs that made the network.
    """
    before = estimator._made_of
    if not before:
        return Changed()
    now = {name: getattr(estimator, name) for name in _COMPARED} | {"loss": loss}
    known = now.keys() & before.keys()  # a pickle of an earlier version does not have all
    names = {name for name in known if not alike(before[name], now[name])}
    for name in _OF_NETWORK:
        if name in names:
            raise ValueError(
                f"{name} was {_shown(before[name])} in the last call and is {_shown(now[name])} now, but the "
                f"network was made with it: set {name} back to go on, or train a new network by `fit` with "
                "warm_start=False"
            )
    _check_ball(before, now)
    return Changed(frozenset(names), "loss" in names and not _same_kind(before["loss"], loss))


def carried_over(before: Any, loss: Any, kept: Any, n_components: int, n_classes: int) -> tuple[Any, bool]:
    """Bind a loss of the same kind with other settings, with what the last one learned.

    Parameters
    ----------
    before, loss : callable
        The last loss and the new one, as resolved.
    kept : callable
        The last one, bound and trained.
    n_components, n_classes : int
        To bind to.

    Returns
    -------
    bound : callable
        The new one.
    carried : bool
        Whether it goes on from what the last one learned. It does not if the settings changed what is
        learned, or the values from which learning begins.
    """
    with seeded(0):
        old = bind(copy.deepcopy(before), n_components, n_classes)
    with seeded(0):
        bound = bind(loss, n_components, n_classes)
    if not (is_module(bound) and is_module(kept)):
        return bound, True
    if not alike(old.state_dict(), bound.state_dict()) or not _same_shapes(bound, kept):
        return bound, False
    bound.load_state_dict(kept.state_dict())
    return bound, True


def alike(first: Any, second: Any) -> bool:
    """Whether two values of a parameter mean the same: by content, for losses and networks as well."""
    return _alike(first, second, set())


def _alike(first: Any, second: Any, seen: set[tuple[int, int]]) -> bool:
    if first is second or (id(first), id(second)) in seen:
        return True
    if type(first) is not type(second):
        return _is_number(first) and _is_number(second) and first == second
    seen.add((id(first), id(second)))
    if isinstance(first, torch.Tensor):
        return (
            first.shape == second.shape
            and first.dtype == second.dtype
            and torch.equal(first.cpu(), second.cpu())
        )
    if isinstance(first, np.ndarray):
        return first.shape == second.shape and bool(np.array_equal(first, second))
    if isinstance(first, Mapping):
        return list(first) == list(second) and all(_alike(first[key], second[key], seen) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(_alike, first, second, [seen] * len(first)))
    if isinstance(first, FunctionType):  # one that was pickled by value is another object
        return first.__code__ == second.__code__ and _alike(_bindings(first), _bindings(second), seen)
    if isinstance(first, partial):
        parts = [(f.func, f.args, f.keywords) for f in (first, second)]
        return _alike(parts[0], parts[1], seen)
    if isinstance(first, np.random.RandomState):
        return _alike(first.get_state(), second.get_state(), seen)
    if hasattr(first, "__dict__") and not isinstance(first, type):
        return _alike(vars(first), vars(second), seen)
    return bool(first == second)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _bindings(function: FunctionType) -> tuple:
    cells = function.__closure__ or ()
    return function.__defaults__, function.__kwdefaults__, [cell.cell_contents for cell in cells]


def _same_kind(before: Any, loss: Any) -> bool:
    return type(before) is type(loss) and not isinstance(loss, FunctionType)


def _same_shapes(bound: torch.nn.Module, kept: torch.nn.Module) -> bool:
    first, second = bound.state_dict(), kept.state_dict()
    return {name: value.shape for name, value in first.items()} == {
        name: value.shape for name, value in second.items()
    }


def _check_ball(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse another geometry: the last layer of the network maps to the ball, or does not."""
    if "poincare" in {before["distance"], now["distance"]} and before["distance"] != now["distance"]:
        raise ValueError(
            f"distance was {before['distance']!r} in the last call and is {now['distance']!r} now, but the "
            "network was made for it: set distance back to go on, or train a new network by `fit` with "
            "warm_start=False"
        )
    balls = [ball_of_loss(values["loss"]) for values in (before, now)]
    if now["distance"] == "poincare" and all(balls) and balls[0] != balls[1]:
        raise ValueError(
            f"loss compares on a ball with {balls[1]}, but the network was made for one with {balls[0]}: "
            "give the loss that curvature and clip, or train a new network by `fit` with warm_start=False"
        )


def _shown(value: Any) -> str:
    text = value if isinstance(value, type(None)) else repr(value)
    return str(text) if len(str(text)) <= _SHOWN else type(value).__name__
