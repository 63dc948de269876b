"""Compiled networks: the module stays what it was, only what runs it changes."""

from torch import nn


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
    run : callable
        Maps a batch to embeddings.

    Raises
    ------
    RuntimeError
        In its first call, if torch finds no compiler here or cannot compile the network.
    """
    if not compiled:
        return module
    # imported here, for it takes a second
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import CppCompileError, InvalidCxxCompiler

    if module._compiled_call_impl is None:
        module.compile()

    def run(batch):
        try:
            return module(batch)
        except (TorchDynamoException, InvalidCxxCompiler, CppCompileError) as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise RuntimeError(
                f"compile=True, but torch.compile fails on this network or machine ({reason}): pass "
                "compile=False"
            ) from error

    return run


def without_compiled(module):
    """The module, with every part that ``torch.compile`` wraps replaced by what it wraps."""
    module = getattr(module, "_orig_mod", module)
    for part in list(module.modules()) if isinstance(module, nn.Module) else []:
        for name, child in part.named_children():
            if hasattr(child, "_orig_mod"):
                setattr(part, name, child._orig_mod)
    return module
