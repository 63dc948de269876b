"""The fitted state of a learner in plain values: what pickles name no private class, and folders hold.

A network that parameters describe, and a loss of this package with what it learned, are arrays by name. They
are built again from the parameters of the call that made them. What is of the user's own code stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from skmetric._backbone._tensors import (
    check_buildable,
    described,
    filled,
    is_buildable,
    is_described,
    without_values,
)
from skmetric.deep.modules import L2Normalize

from ._data._input import to_float
from ._data._nested import check_spec, n_samples, zeros_of
from ._data._scale import Scale
from ._network._closed_form import ClosedForm
from ._network._example import Example
from ._network._network import MODULES, Network, build_network
from ._training._checkpoints._checkpoint import Checkpoint, CheckpointOnDemand
from ._training._loss._criterion import ball_of_loss, bind, is_of_package, resolve_loss
from ._training._loss._tuple_loss import TupleLoss

if TYPE_CHECKING:
    from ._estimator import NetworkMixin

_MOST = 2**28  # numbers of a sample
NETWORK, LOSS, CHECKPOINT = "_plain_network", "_plain_loss", "_plain_checkpoint"
_NUMBERS = (int, float, bool, str)


def plain(estimator: NetworkMixin, state: Mapping[str, Any], *, own: bool = False) -> dict[str, Any] | None:
    """State of a fitted learner in plain values.

    Parameters
    ----------
    estimator : NetworkMixin
        Fitted.
    state : dict
        Its attributes.
    own : bool, default=False
        Whether the network may be of the user's own code, which then has to be there to build it again. The
        loss may be too, and what it learned is left out.

    Returns
    -------
    dict or None
        None if that cannot be, for example because the network was changed after `fit`.
    """
    result = dict(state)
    made_of = result["_made_of"] = dict(state.get("_made_of", {}))
    if not made_of or "_n_classes" not in state:
        return None  # from a pickle of an earlier version
    network = _plain_network(result, own)
    if network is None:
        return None
    result[NETWORK] = network
    del result["module_"]
    if isinstance(result.get("_scale"), Scale):
        result["_scale"] = tuple(result["_scale"])
    if isinstance(made_of["loss"], TupleLoss):
        made_of["loss"] = made_of["loss"].loss
    if not is_of_package(made_of["loss"]):
        if not own:
            return None
        result["_checkpoint"] = None
        del result["loss_"]
    elif isinstance(result["loss_"], nn.Module):
        learned = described(result["loss_"])
        if learned is None:
            return None
        result[LOSS] = learned | {"numbers": _numbers(result["loss_"])}
        del result["loss_"]
    checkpoint = result.get("_checkpoint")
    if isinstance(checkpoint, CheckpointOnDemand):
        checkpoint = checkpoint.packed()
    if checkpoint is not None:
        result[CHECKPOINT] = checkpoint._asdict()
        del result["_checkpoint"]
    return result


def restored(estimator: NetworkMixin, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state that `plain` made plain.

    Raises
    ------
    ValueError
        If weights do not fit the network that the parameters describe, or the loss.
    """
    if NETWORK not in state:
        return dict(state)
    result = dict(state)
    made_of = result["_made_of"] = dict(state["_made_of"])
    check_buildable(made_of["module"], made_of["model_kwargs"])
    if state.get("_input_spec") is None:
        _check_shape(state["input_shape_"])
    else:
        check_spec(state["_input_spec"], _MOST)
    network = result.pop(NETWORK)
    skeleton = without_values(lambda: _network_of(result, network))
    if not isinstance(skeleton, Network):  # never, but for type checkers
        raise TypeError("the network is no Network")
    result["module_"] = filled(skeleton, network, f"the network {_named(made_of['module'])}")
    skeleton.frozen_weights = tuple(network["frozen_weights"])
    skeleton.frozen_parts = tuple(network["frozen_parts"])
    if result.get("_scale") is not None:
        result["_scale"] = Scale(*result["_scale"])
    if LOSS in result:
        result["loss_"] = _loss_of(result, result.pop(LOSS))
    elif "loss_" not in result:  # of the user's own code
        result["loss_"] = made_of["loss"]
    if hasattr(estimator, "_n_members") and not isinstance(made_of["loss"], TupleLoss):
        made_of["loss"] = TupleLoss(made_of["loss"], estimator._n_members)
    if CHECKPOINT in result:
        result["_checkpoint"] = Checkpoint(**result.pop(CHECKPOINT))
    return result


def _check_shape(shape: Any) -> None:
    """Refuse what is no shape of a sample: the network is tried on one."""
    if (
        not isinstance(shape, tuple)
        or len(shape) not in (1, 3)
        or not all(isinstance(size, int) and size > 0 for size in shape)
        or math.prod(shape) > _MOST
    ):
        raise ValueError(f"input_shape_ is no shape of a sample: {shape!r}")


def _plain_network(state: Mapping[str, Any], own: bool) -> dict[str, Any] | None:
    module, network = state["_made_of"]["module"], state["module_"]
    if not isinstance(network, Network) or not is_buildable(module, state["_made_of"]["model_kwargs"]):
        return None
    if not own and not (isinstance(module, str) or module in MODULES.values()):
        return None
    maps = [_map_of(part) if isinstance(part, ClosedForm) else None for part in network]
    found = described(network)
    if found is None:
        return None
    found |= {
        "frozen_weights": list(network.frozen_weights),
        "frozen_parts": list(network.frozen_parts),
        "start": maps[0] and maps[0] | {"n_out": _width(network[1])},
        "head": next((told for told in maps[1:] if told), None),
    }
    return found if is_described(network, without_values(lambda: _network_of(state, found))) else None


def _width(part: nn.Module) -> int:
    """Dimension of what a linear layer gives."""
    return part.out_features if isinstance(part, nn.Linear) else 0


def _map_of(part: ClosedForm) -> dict[str, Any]:
    """Settings of a closed form, whose values are among the arrays."""
    width, n_features = part.components.shape
    return {
        "n_features": n_features,
        "width": width,
        "power": float(part.power),
        "normalize": bool(part.normalize),
    }


def _closed_form(told: Mapping[str, Any]) -> ClosedForm:
    mean, components = torch.zeros(told["n_features"]), torch.zeros(told["width"], told["n_features"])
    return ClosedForm(mean, components, told["power"], told["normalize"])


def _network_of(state: Mapping[str, Any], network: Mapping[str, Any]) -> nn.Module:
    """A network as `fit` built it, but for its weights."""
    start, head, normalize = network.get("start"), network.get("head"), state["_made_of"]["normalize"]
    if start:
        built = Network(
            _closed_form(start), nn.Linear(start["width"], start["n_out"], bias=False), L2Normalize()
        )
    else:
        built = _network_of_parameters(state)
    if head:
        built.extend([_closed_form(head), L2Normalize()] if normalize else [_closed_form(head)])
    return built


def _network_of_parameters(state: Mapping[str, Any]) -> Network:
    made_of = state["_made_of"]
    ball = ball_of_loss(made_of["loss"]) if made_of["distance"] == "poincare" else None
    return build_network(
        made_of["module"],
        _input_of(state),
        made_of["n_components"],
        normalize=made_of["normalize"],
        pooling=made_of["pooling"],
        weights=None,
        model_kwargs=made_of["model_kwargs"],
        mean=made_of["mean"],
        std=made_of["std"],
        ball=ball,
    )[0]


def _input_of(state: Mapping[str, Any]) -> Any:
    """Shape of one sample, or a batch of zeros of the structure that a collate function made."""
    if state.get("_input_spec") is None:
        return tuple(state["input_shape_"])
    batch = zeros_of(state["_input_spec"])
    return Example(to_float(batch), n_samples(batch), state["input_shape_"])


def _loss_of(state: Mapping[str, Any], learned: Mapping[str, Any]) -> nn.Module:
    """A loss of this package, bound, with what it learned."""
    loss = resolve_loss(state["_made_of"]["loss"])  # a copy
    bound = without_values(lambda: bind(loss, state["n_components_"], state["_n_classes"]))
    bound = filled(bound, learned, f"the loss {type(loss).__name__}")
    parts = dict(bound.named_modules())
    for name, value in learned["numbers"].items():
        path, _, key = name.rpartition(".")
        if key not in vars(parts.get(path, bound)) or type(vars(parts[path])[key]) is not type(value):
            raise ValueError(f"the file has {name}, which the loss {type(loss).__name__} has not")
        setattr(parts[path], key, value)
    return bound


def _numbers(module: nn.Module) -> dict[str, Any]:
    """Plain attributes of the parts of a module, such as the seed of its proxies."""
    return {
        f"{path}.{key}": value
        for path, part in module.named_modules()
        for key, value in vars(part).items()
        if type(value) in _NUMBERS
    }


def _named(module: Any) -> str:
    return module if isinstance(module, str) else getattr(module, "__name__", type(module).__name__)
