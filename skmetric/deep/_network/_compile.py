"""Compiled networks: the module stays what it was, only what runs it changes."""

import warnings
from importlib import import_module

from torch import nn

_TORCH_OF_ITSELF = r"The \.grad attribute of a Tensor that is not a leaf"  # looked at while it compiles


def runner(module, compiled):
    """What to call with a batch: the module, or its compiled forward pass.

    Parameters
    ----------
    module : nn.Module
        Compiled in place, once: its class, names and weights, and so pickles, stay as they were.
    compiled : bool
        Whether to compile.

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
        return module
    failures = _compiler_failures()
    if module._compiled_call_impl is None:
        module.compile()

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


def _compiler_failures():
    """Load the compiler, which takes a second, and say what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch, of what it uses itself
        import_module("torch._inductor.compile_fx")
    dynamo, inductor = import_module("torch._dynamo.exc"), import_module("torch._inductor.exc")
    return dynamo.TorchDynamoException, inductor.InvalidCxxCompiler, inductor.CppCompileError


def without_compiled(module):
    """The module, with every part that ``torch.compile`` wraps replaced by what it wraps."""
    module = getattr(module, "_orig_mod", module)
    for part in list(module.modules()) if isinstance(module, nn.Module) else []:
        for name, child in part.named_children():
            if hasattr(child, "_orig_mod"):
                setattr(part, name, child._orig_mod)
    return module
