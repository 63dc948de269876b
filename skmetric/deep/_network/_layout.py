"""Channels last: the layout of images in memory that convolutions on a CPU are faster on."""

from torch import nn

from skmetric._backbone._build import own_config
from skmetric._torch import has_hooks

_KNOWN = ("torch.nn.", "skmetric.deep.")  # whose layers take images in any layout

# torch 2.13 on one thread writes beyond its memory in the backward pass of convolutions of 4 channels in this
# layout, and the process aborts; with 8 and more it was never seen
_NARROWEST = 8


def takes_channels_last(network, device):
    """Whether batches go to a network channels last.

    On a CPU, where ``benchmarks/deep_epoch.py`` shows what it saves; it was measured nowhere else. Only where
    every layer is known to bear it: code of others may ask for a `view` that such a batch does not have.

    Parameters
    ----------
    network : Network
        Its trunk, and what follows it.
    device : torch.device
        Where it computes.

    Returns
    -------
    bool
        False without a convolution of images.
    """
    widths = [part.out_channels for part in network.modules() if isinstance(part, nn.Conv2d)]
    if device.type != "cpu" or not widths or min(widths) < _NARROWEST:
        return False
    return all(own_config(part) or _is_known(part) for part in network.children())


def channels_last(batch):
    """A batch of images or maps (n, C, H, W) in that layout.

    ``contiguous(memory_format=torch.channels_last)`` would leave grey images alone, whose one channel is
    contiguous either way, and layers would take them for channels first.
    """
    return batch.movedim(1, -1).flatten(1).unflatten(1, (*batch.shape[2:], -1)).movedim(-1, 1)


def laid_out(run, takes):
    """What runs a network, with batches brought to that layout if the network takes it."""
    return (lambda batch: run(channels_last(batch) if _has_maps(batch) else batch)) if takes else run


def _has_maps(batch):
    return getattr(batch, "ndim", None) == 4


def _is_known(part):
    own = type(part).__module__.startswith(_KNOWN) and "forward" not in vars(part)
    return (
        own
        and not has_hooks(part)
        and all(own_config(child) or _is_known(child) for child in part.children())
    )
