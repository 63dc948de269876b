"""From the parameters `module`, `n_components` and `normalize` to the network that is trained."""

import copy

import torch
from torch import nn

from skmetric._torch import evaluating

from .modules import MLP, Conv4, L2Normalize, LinearMap, TutorialConv

MODULES = {"mlp": MLP, "linear": LinearMap, "conv4": Conv4, "tutorial_conv": TutorialConv}


def build_network(module, input_shape, n_components=None, *, normalize=True):
    """Get a network of one's own that maps a batch to embeddings.

    Parameters
    ----------
    module : str, nn.Module or callable
        Name in `MODULES` or "auto"; a network, which is copied; or what makes one of an input shape.
    input_shape : tuple of int
        (n_features,) or (C, H, W).
    n_components : int, default=None
        Dimension of the embedding; None takes what the network gives.
    normalize : bool, default=True
        Append a layer that scales rows to unit length.

    Returns
    -------
    network : nn.Module
        In float32, on the CPU.
    n_components : int
        Dimension of its output.

    Raises
    ------
    ValueError
        If it fails on a batch of this shape, or gives anything but (batch, n_components).
    """
    network = _make(module, input_shape, n_components)
    given = _probe(network, input_shape, module)
    if n_components is not None and given != n_components:
        raise ValueError(
            f"n_components={n_components}, but module {_named(module)} gives {given}: leave "
            "n_components=None, or end the module with nn.Linear(..., n_components)"
        )
    return (nn.Sequential(network, L2Normalize()) if normalize else network), given


def _make(module, input_shape, n_components):
    if isinstance(module, nn.Module):
        return copy.deepcopy(module).float()
    if not isinstance(module, str):
        network = module(input_shape)
        if not isinstance(network, nn.Module):
            raise ValueError(
                f"module={_named(module)} must return an nn.Module for input_shape={input_shape}, "
                f"got {type(network).__name__}"
            )
        return network.float()
    if module == "auto":
        module = "mlp" if len(input_shape) == 1 else "conv4"
    if module not in MODULES:
        raise ValueError(f"module={module!r} is unknown; the names are {['auto', *sorted(MODULES)]}")
    settings = {} if n_components is None else {"n_components": n_components}
    return MODULES[module](input_shape, **settings).float()


def _probe(network, input_shape, module):
    """Width of the output for a batch of zeros."""
    with evaluating(network), torch.no_grad():
        try:
            output = network(torch.zeros(2, *input_shape, dtype=torch.float32))
        except Exception as error:  # whatever layers raise
            raise ValueError(
                f"module {_named(module)} fails on a batch of shape {(2, *input_shape)}: {error}"
            ) from error
    if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != 2:
        shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ValueError(
            f"module {_named(module)} must give (batch, n_components), a vector for each sample; for a batch "
            f"of shape {(2, *input_shape)} it gives {shape}: end it with pooling and nn.Flatten()"
        )
    return output.shape[1]


def _named(module):
    return repr(module) if isinstance(module, str) else getattr(module, "__name__", type(module).__name__)
