"""Networks of timm as trunks, and pooling of what a trunk gives."""

import torch
from torch import nn

from skmetric._backbone._build import (
    brightness,
    build,
    find_timm,
    n_input_channels,
    n_prefix_tokens,
)
from skmetric._backbone._pooling import POOLINGS, places, pool
from skmetric.deep.modules import GeM

LAYERS = tuple(name for name in POOLINGS if name != "auto")  # that `pooling` may name


def build_timm(name, input_shape, pooling, weights, model_kwargs, names, mean=None, std=None):
    """Build a network of timm without its classifier.

    Parameters
    ----------
    name : str
        As timm has it.
    input_shape : tuple of int
        Must be (C, H, W). One channel is repeated for a network that takes three.
    pooling : str or None
        None: the network's own; else its maps or tokens are left as they are.
    weights : str, path-like or None
        "pretrained" are timm's; a file; None draws them.
    model_kwargs : dict
        For ``timm.create_model``.
    names : list of str
        Further names, for the message if timm does not know this one.
    mean, std : float or array-like of shape (n_channels,), default=None
        Of brightness from 0 to 1; None: as the network tells.

    Returns
    -------
    list of nn.Module
        What the input is normalised by, and the network.
    """
    try:
        find_timm(name)
    except Exception as error:  # timm may be there and fail to import in any way
        kind = ValueError if isinstance(error, ValueError) else ImportError
        raise kind(
            f"module={name!r} is unknown; the names are {names}, and those of timm: {error}"
        ) from error
    if len(input_shape) != 3:
        raise ValueError(f"module={name!r} takes images; X holds rows of {input_shape[0]} features")
    unpooled = {} if pooling is None else {"global_pool": ""}
    network = build(name, weights, unpooled | model_kwargs, seed=None).float()
    n_channels = n_input_channels(network) or input_shape[0]
    return [InputNormalize(*brightness(network, n_channels, mean=mean, std=std)), network]


class InputNormalize(nn.Module):
    """Brightness from 0 to 1 as a network was trained on it: ``(brightness - mean) / std``.

    Parameters
    ----------
    mean, std : sequence of float
        One for each channel; images of one channel become images of as many.
    channels_last : bool, default=True
        Whether to lay the channels of images last, on which networks of timm are faster.
    """

    def __init__(self, mean, std, *, channels_last=True):
        super().__init__()
        self.channels_last = channels_last
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1))

    def forward(self, images):
        """Normalise images (n, C, H, W)."""
        images = (images - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    def __setstate__(self, state):
        super().__setstate__(state)
        vars(self).setdefault("channels_last", True)  # which a pickle of an earlier version lacks


class Pool(nn.Module):
    """Maps or tokens to one vector a sample; "gem" learns its power.

    Parameters
    ----------
    pooling : {"avg", "max", "gem", "cls"}
        See :func:`skmetric._backbone._pooling.pool`.
    n_prefix : int, default=None
        Tokens before those of the patches.
    channels_last : bool, default=False
        Maps are (n, H, W, C).
    """

    def __init__(self, pooling, n_prefix=None, channels_last=False):
        super().__init__()
        self.pooling, self.n_prefix, self.channels_last = pooling, n_prefix, channels_last
        self.gem = GeM() if pooling == "gem" else None

    @classmethod
    def after(cls, trunk, pooling):
        """Pool what this trunk gives."""
        return cls(pooling, n_prefix_tokens(trunk), getattr(trunk, "output_fmt", None) == "NHWC")

    def forward(self, output):
        """Pool (n, C, H, W) or (n, n_tokens, C) to (n, C)."""
        if self.gem is not None:
            at_places = places(output.float(), self.n_prefix, self.channels_last)  # (n, n_places, C)
            return self.gem(at_places.mT.unsqueeze(-1))
        if not torch.jit.is_scripting():
            return pool(output, self.pooling, n_prefix=self.n_prefix, channels_last=self.channels_last)
        if self.pooling == "cls":
            return output[:, 0].float()
        at_places = places(output.float(), self.n_prefix, self.channels_last)
        return at_places.mean(1) if self.pooling == "avg" else at_places.amax(1)

    def extra_repr(self):
        """Settings, for the printed network."""
        return f"{self.pooling!r}"
