"""The one crossing between arrays and torch: tensors, device, precision, inference, pickling, seeding.

Nothing here touches the global seed, the thread count or the default dtype. What torch keeps private is named
here and nowhere else.
"""

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from skmetric._chance import seeded

__all__ = [
    "PackedModule",
    "autocast",
    "compile_in_place",
    "compiler_failures",
    "end_workers",
    "evaluating",
    "forget_compiled",
    "has_hooks",
    "infer",
    "is_batch_norm",
    "pack_module",
    "resolve_device",
    "seeded",
    "to_tensor",
    "unpack_module",
    "without_wrapper",
]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def to_tensor(array: ArrayLike) -> torch.Tensor:
    """Tensor over the memory of `array`; a copy where torch cannot share it (read-only, negative strides)."""
    array = np.asarray(array)
    shareable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    return torch.from_numpy(array if shareable else array.copy())


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Device to compute on.

    Parameters
    ----------
    device : "auto", str or torch.device, default="auto"
        "auto" takes a CUDA device where there is one, else the CPU.

    Returns
    -------
    torch.device
        One that this machine has.

    Raises
    ------
    ValueError
        If torch does not know the name or sees no such device.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if isinstance(device, str) and device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is no device of torch: {error}") from None
    if resolved.type == "cuda":
        _check_cuda(resolved)
    elif resolved.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("device='mps', but torch sees no Apple GPU here: use device='auto' or 'cpu'")
    return resolved


def _check_cuda(device):
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        raise ValueError(f"device={str(device)!r}, but torch sees {count} CUDA devices: use 'auto' or 'cpu'")


def autocast(device: torch.device, precision: str = "auto") -> AbstractContextManager:
    """Context in which networks compute in `precision`.

    Parameters
    ----------
    device : torch.device
        Where they compute.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        "auto" is bf16 on a CUDA device that computes in it natively, else fp32.

    Returns
    -------
    context manager
        One that changes nothing for fp32.
    """
    if precision == "auto":
        native = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        precision = "bf16" if native else "fp32"
    return nullcontext() if precision == "fp32" else torch.autocast(device.type, _DTYPES[precision])


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Put every part of `module` in evaluation mode; after the block each is in the mode it was in."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield module
    finally:
        for part in training:
            part.training = True


def infer(
    forward: Callable[[torch.Tensor], torch.Tensor],
    batches: Iterable[torch.Tensor],
    *,
    device: torch.device,
    precision: str = "auto",
) -> NDArray[np.float32]:
    """Run a function over batches without gradients.

    Parameters
    ----------
    forward : callable
        Maps a tensor (n_batch, ...) on `device` to a tensor (n_batch, n_outputs).
    batches : iterable of Tensor
        At least one, on any device. What is no tensor goes to `forward` as it is.
    device : torch.device
        Where `forward` computes.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        See :func:`autocast`.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs), float32
        The rows of all batches, in order.
    """
    outputs = []
    with torch.inference_mode(), autocast(device, precision):
        for batch in batches:
            batch = batch.to(device) if isinstance(batch, torch.Tensor) else batch
            outputs.append(forward(batch).float().cpu().numpy())
    return np.concatenate(outputs)


class PackedModule:
    """A module in a form whose pickle, and so whose joblib hash, depends on nothing but its contents.

    The pickle of a tensor holds memory addresses, so equal modules hash differently, and a module that
    was saved on a GPU does not load without one. Arrays have neither flaw.

    Parameters
    ----------
    skeleton : nn.Module
        Every tensor on the meta device: shape and dtype without values.
    arrays : list
        Bytes of each tensor, one array (n_bytes,) each; shared tensors stand once.
    """

    skeleton: nn.Module
    arrays: list

    def __new__(cls, skeleton: nn.Module, arrays: list) -> "PackedModule":  # as pickles of 0.1 call it
        """Keep both parts."""
        packed = super().__new__(cls)
        packed.skeleton, packed.arrays = skeleton, arrays
        return packed

    def __reduce__(self) -> tuple:
        return _packed_module, (self.skeleton, self.arrays)

    def __getstate__(self) -> NoReturn:
        """Refuse what takes objects apart, as skops does: pickle does not ask this."""
        raise TypeError(
            f"the network {own_class(self.skeleton)} is of your own code, which only pickle takes: use "
            "joblib, or skmetric.io.save, whose folder has its weights, and modules= when you load"
        )


def _packed_module(skeleton: nn.Module, arrays: list) -> PackedModule:
    return PackedModule(skeleton, arrays)


def own_class(module: nn.Module) -> str:
    """Name of the first class in a module that is neither of torch nor of this package, or of the module."""
    for part in module.modules():
        if type(part).__module__.partition(".")[0] not in ("torch", "skmetric"):
            return type(part).__name__
    return type(module).__name__


def pack_module(module: nn.Module) -> PackedModule:
    """Split a module into its skeleton and the bytes of its tensors.

    Parameters
    ----------
    module : nn.Module
        On any device; it is not changed.

    Returns
    -------
    PackedModule
        Pickle this instead of the module.

    Examples
    --------
    >>> layer = nn.Linear(2, 1)
    >>> (unpack_module(pack_module(layer)).weight - layer.weight).abs().max().item()
    0.0
    """
    tensors = {id(store[name]): store[name] for store, name in _slots(module)}
    memo = {key: _without_values(tensor) for key, tensor in tensors.items()}
    return PackedModule(copy.deepcopy(module, memo), [_to_bytes(tensor) for tensor in tensors.values()])


def unpack_module(packed: PackedModule) -> nn.Module:
    """Put a module together again, on the CPU.

    Parameters
    ----------
    packed : PackedModule
        From :func:`pack_module`.

    Returns
    -------
    nn.Module
        Equal to the one packed. It owns its tensors; `packed` keeps its own.
    """
    module = copy.deepcopy(packed.skeleton)
    slots = list(_slots(module))
    shells = {id(store[name]): store[name] for store, name in slots}
    tensors = {
        key: _with_values(shell, data)
        for (key, shell), data in zip(shells.items(), packed.arrays, strict=True)
    }
    for store, name in slots:
        store[name] = tensors[id(store[name])]
    return module


def _slots(module):
    """Every place of a module that holds a tensor, as (dict, key), in an order that copies keep."""
    for part in module.modules():
        for store in (part._parameters, part._buffers, vars(part)):
            yield from ((store, name) for name, value in store.items() if isinstance(value, torch.Tensor))


def _without_values(tensor):
    shell = torch.empty_like(tensor, device="meta", requires_grad=False)
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(shell, requires_grad=tensor.requires_grad)
    return shell


def _with_values(shell, data):
    tensor = torch.empty(shell.shape, dtype=shell.dtype)
    tensor.view(-1).view(torch.uint8).copy_(to_tensor(data))
    if isinstance(shell, nn.Parameter):
        return nn.Parameter(tensor, requires_grad=shell.requires_grad)
    return tensor


def _to_bytes(tensor):
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()


# What torch keeps private


def has_hooks(module: nn.Module) -> bool:
    """Whether a call of a module runs functions that somebody added to it."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def is_batch_norm(module: nn.Module) -> bool:
    """Whether a module is a batch norm, of any number of axes."""
    return isinstance(module, _BatchNorm)


def without_wrapper(module: Any) -> Any:
    """What ``torch.compile`` wrapped, or the module itself."""
    return getattr(module, "_orig_mod", module)


def compile_in_place(module: nn.Module) -> None:
    """Let calls of a module run its compiled forward pass; compile it once."""
    if module._compiled_call_impl is None:
        module.compile()


def forget_compiled(module: nn.Module) -> None:
    """Let calls of a module run its own forward pass again."""
    module._compiled_call_impl = None


def compiler_failures() -> tuple[type[Exception], ...]:
    """Load the compiler, which takes a second, and say what it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch, of what it uses itself
        import_module("torch._inductor.compile_fx")
    dynamo, inductor = import_module("torch._dynamo.exc"), import_module("torch._inductor.exc")
    return dynamo.TorchDynamoException, inductor.InvalidCxxCompiler, inductor.CppCompileError


def end_workers(loader: DataLoader) -> None:
    """End the worker processes of a loader now: torch has no public name for it."""
    if loader._iterator is not None:
        loader._iterator._shutdown_workers()  # type: ignore[attr-defined]
