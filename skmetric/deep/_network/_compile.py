"""Compiled networks: the module stays what it was, only what runs it changes."""

import warnings
from collections.abc import Callable

import torch
from torch import nn

from skmetric._torch import compile_in_place, compiler_failures, forget_compiled, without_wrapper

_TORCH_OF_ITSELF = r"The \.grad attribute of a Tensor that is not a leaf"  # looked at while it compiles


def runner(module: nn.Module, compiled: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    """What to call with a batch: the module, or its compiled forward pass.

    Parameters
    ----------
    module : nn.Module
        Compiled in place, once: its class, names and weights, and so pickles, stay as they were.
    compiled : bool
        Whether to compile. False also undoes it.

    Returns
    -------
    callable
        Maps a batch to embeddings.

    Raises
    ------
    RuntimeError
        In its first call, if torch finds no compiler here or cannot compile the network.
    """
    if not compiled:
        forget_compiled(module)
        return module
    failures = compiler_failures()
    compile_in_place(module)

    def run(batch):
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", _TORCH_OF_ITSELF, UserWarning)
                return module(batch)
        except failures as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise RuntimeError(
                f"compile=True, but torch.compile fails on this network or machine ({reason}): pass "
                "compile=False"
            ) from error

    return run


def without_compiled(module: nn.Module) -> nn.Module:
    """The module, with every part that ``torch.compile`` wraps replaced by what it wraps."""
    module = without_wrapper(module)
    for part in list(module.modules()) if isinstance(module, nn.Module) else []:
        for name, child in part.named_children():
            if without_wrapper(child) is not child:
                setattr(part, name, without_wrapper(child))
    return module
