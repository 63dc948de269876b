"""Gradual unfreezing: in the first epochs the parts of the trunk begin to train one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from skmetric.deep._network._network import Network


class Thawing:
    """Parts of a trunk that join training from the last to the first.

    Parameters
    ----------
    network : Network
        Its weights that are trained at all are looked up now.
    n_epochs : int
        In epoch 1 none of the parts is trained, but only what follows the trunk, or the last part if nothing
        does; from epoch ``n_epochs + 1`` on all of them are.
    has_proxies : bool
        Whether the loss has weights too.
    """

    def __init__(self, network: Network, n_epochs: int, has_proxies: bool) -> None:
        trained = {id(weight) for weight in network.parameters() if weight.requires_grad}
        self.parts = [
            (part, weights)
            for part in _parts(network.trunk)
            if (weights := [weight for weight in part.parameters() if id(weight) in trained])
        ]
        n_in_trunk = sum(len(weights) for _, weights in self.parts)
        self.fewest = 0 if has_proxies or len(trained) > n_in_trunk else 1
        self.n_epochs = n_epochs

    def begin(self, epoch: int) -> None:
        """Hold still what does not train yet in this epoch, from 1: in evaluation mode, without gradients."""
        share = min(1.0, (epoch - 1) / self.n_epochs)
        n_thawed = max(self.fewest, int(share * len(self.parts)))
        for part, weights in self.parts[: len(self.parts) - n_thawed]:
            part.eval()
            for weight in weights:
                weight.requires_grad_(False)

    def end(self) -> None:
        """Let go of all parts: after an epoch, the network may be pickled."""
        for _, weights in self.parts:
            for weight in weights:
                weight.requires_grad_(True)


def _parts(trunk: nn.Module) -> Iterator[nn.Module]:
    """Children of a trunk in their order, those inside containers one by one; itself without children."""
    children = list(trunk.children())
    if not children:
        yield trunk
    for child in children:
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from child
        else:
            yield child
