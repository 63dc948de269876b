"""Learning rates of parts of the trunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from skmetric.deep._network._freeze import WHOLE, inside
from skmetric.deep._network._network import Network


def groups_by_rate(
    network: Network, learning_rate: float, layer_rates: Mapping[str, float] | None
) -> list[dict[str, Any]]:
    """Trained weights of a network in groups of one learning rate.

    Parameters
    ----------
    network : Network
        Weights that are frozen are left out.
    learning_rate : float
        Of the weights that no name covers.
    layer_rates : mapping of str to float or None
        Factors by name of a part or weight of the trunk, "trunk" being all of it. The longest name that
        covers a weight counts.

    Returns
    -------
    list of dict
        For an optimizer. One group, without a rate, if there are no factors.

    Raises
    ------
    ValueError
        If a name covers no weight that is trained.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    if not layer_rates:
        return [{"params": trained}]
    factors = _factors(network, layer_rates)
    by_factor: dict[float, list[nn.Parameter]] = {}
    for weight in trained:
        by_factor.setdefault(factors.get(id(weight), 1.0), []).append(weight)
    return [
        {"params": weights, "lr": learning_rate * factor} for factor, weights in sorted(by_factor.items())
    ]


def _factors(network: Network, layer_rates: Mapping[str, float]) -> dict[int, float]:
    """Factor of each weight that a name covers, by identity."""
    weights = dict(network.trunk.named_parameters())
    factors: dict[int, float] = {}
    for name in sorted(layer_rates, key=lambda name: 0 if name == WHOLE else len(name)):
        covered = inside("" if name == WHOLE else name, weights, "fine_tuning.layer_rates")
        trained = [weights[one] for one in covered if weights[one].requires_grad]
        if not trained:
            raise ValueError(
                f"fine_tuning.layer_rates has a rate for {name!r}, and no weight there is trained: leave it "
                "out, or freeze other parts"
            )
        factors |= {id(weight): layer_rates[name] for weight in trained}
    return factors
