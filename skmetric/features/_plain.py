"""The fitted state of FrozenFeatures in plain values: for folders, and pickles without private classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from skmetric._backbone._build import build
from skmetric._backbone._tensors import (
    check_buildable,
    described,
    filled,
    is_buildable,
    is_described,
    without_values,
)
from skmetric._pixels._sizing import InputConfig

NETWORK = "_plain_network"


def plain(state: Mapping[str, Any], *, own: bool = False) -> dict[str, Any] | None:
    """State in plain values.

    Parameters
    ----------
    state : dict
        Attributes of the fitted estimator.
    own : bool, default=False
        Whether the network may be of the user's own code, which then has to be there to build it again.

    Returns
    -------
    dict or None
        None if that cannot be, for example because the network was changed after `fit`.
    """
    model, module = state["model"], state["module_"]
    if not is_buildable(model, state["model_kwargs"]):
        return None
    if not own and not isinstance(model, str):
        return None
    if not isinstance(model, nn.Module) and not is_described(module, without_values(lambda: _build(state))):
        return None
    network = described(module)
    if network is None:
        return None
    rest = {name: value for name, value in state.items() if name != "module_"}
    return rest | {"input_config_": list(state["input_config_"]), NETWORK: network}


def restored(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state that `plain` made plain.

    Raises
    ------
    ValueError
        If weights do not fit the network that the parameters describe.
    """
    if NETWORK not in state:
        return dict(state)
    check_buildable(state["model"], state["model_kwargs"])
    rest = {name: value for name, value in state.items() if name != NETWORK}
    module = without_values(lambda: _build(state))
    named = state["model"] if isinstance(state["model"], str) else type(module).__name__
    config: Any = [tuple(part) if isinstance(part, list) else part for part in state["input_config_"]]
    filled(module, state[NETWORK], f"the network {named}")
    return rest | {"module_": module, "input_config_": InputConfig(*config)}


def _build(state: Mapping[str, Any]) -> nn.Module:
    """The network as `fit` built it, but for its weights."""
    return build(state["model"], None, state["model_kwargs"] or {}, seed=None)
