"""Fingerprint of an embedder: digests of what its embeddings depend on, the same in each process."""

from __future__ import annotations

import dis
import functools
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from skmetric._embedding import steps_of

Step: TypeAlias = tuple[str, dict[str, str]]  # class of a step, and the digest of each of its attributes
Fingerprint: TypeAlias = list[Step]

_SIZE = 8  # bytes of a digest
_SMALL = 4096  # numbers of an array that a stamp compares one by one
_SAMPLED = 256  # numbers of a larger one
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_FEW = 64  # entries of a container that a stamp looks at

# attributes that say how an estimator is fitted or run, and leave its embeddings as they are
_RUNNING = {"n_jobs", "verbose", "device", "batch_size", "num_workers", "memory", "cache", "copy", "compile"}
_FITTING = {
    "random_state", "warm_start", "max_epochs", "max_iter", "tol", "optimizer", "learning_rate",
    "proxy_learning_rate", "weight_decay", "schedule", "clip_norm", "loss", "miner", "margin",
    "classes_per_batch", "samples_per_class", "steps_per_epoch", "augment", "freeze", "weights",
    "validation_fraction", "early_stopping", "patience", "scoring", "callbacks", "checkpoint",
}  # fmt: skip
_RECORDS = {
    "loss_",
    "history_",
    "best_epoch_",
    "cv_results_",
    "scatter_",
    "n_steps_",
    "n_adapted_",
    "_checkpoint",
    "_trained",
}
_NETWORKS = {"model", "module"}  # parameters that `fit` makes ``module_`` of
_NO_EFFECT = _RUNNING | _FITTING | _RECORDS | {"threshold_"}


def fingerprint_of(embedder: Any) -> Fingerprint:
    """Digest the parameters and fitted arrays of each step that makes embeddings.

    Pickling, threads and devices leave it as it is, and so do wrappers. All bytes of all arrays are read.
    """
    return [(type(step).__name__, dict(_digests(step))) for step in steps_of(embedder)]


def stamp_of(embedder: Any) -> tuple[Any, ...]:
    """What tells quickly, within one process, that an embedder is as it was: equal stamps, equal embedders.

    Objects are compared by identity, tensors also by their version, arrays by up to 4,096 of their numbers:
    a change in place of a few numbers of a larger array is not seen.
    """
    tokens: list[Any] = []
    for step in steps_of(embedder):
        tokens.append(id(step))
        for name, value in _attributes(step):
            tokens.append(name)
            _walk(value, tokens.append, _glance, _FEW, ())
    return tuple(tokens)


def difference(known: Fingerprint, found: Fingerprint) -> str | None:
    """What differs between two fingerprints, in words; None if nothing does."""
    names, others = [name for name, _ in known], [name for name, _ in found]
    if names != others:
        return f"it is made of {_joined(others, ' -> ')} in place of {_joined(names, ' -> ')}"
    said = []
    for (name, before), (_, now) in zip(known, found, strict=True):
        changed = [key for key in (before | now) if before.get(key) != now.get(key)]
        if changed:
            more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
            said.append(f"{', '.join(changed[:4])}{more} of {name}")
    return f"it differs in {'; '.join(said)}" if said else None


def _joined(names: Iterable[str], by: str) -> str:
    return by.join(names) or "no step"


def _put(update: Callable[[Any], None], token: Any) -> None:
    """Put a token into a digest."""
    is_bytes = isinstance(token, memoryview)
    update(token if is_bytes else (token if isinstance(token, bytes) else repr(token).encode()) + b"\0")


def _digests(step: Any) -> Iterator[tuple[str, str]]:
    for name, value in _attributes(step):
        digest = hashlib.blake2b(digest_size=_SIZE)
        _walk(value, functools.partial(_put, digest.update), _read, sys.maxsize, ())
        yield name, digest.hexdigest()


def _attributes(thing: Any) -> list[tuple[str, Any]]:
    """Parameters, fitted attributes, and other attributes that hold arrays; by name."""
    held = getattr(thing, "__dict__", {})
    without = _NO_EFFECT | _NETWORKS if "module_" in held else _NO_EFFECT
    parameters = _parameters(type(thing))  # type: ignore[arg-type]
    found = [
        (name, value)
        for name, value in held.items()
        if name not in without and (name in parameters or _is_fitted(name) or _holds_arrays(value))
    ]
    return sorted(found, key=itemgetter(0))


@functools.lru_cache(maxsize=256)
def _parameters(kind: type) -> frozenset[str]:
    """Names of the parameters of a class of estimators."""
    return frozenset(kind._get_param_names()) if hasattr(kind, "_get_param_names") else frozenset()


def _is_fitted(name: str) -> bool:
    return name[-1] == "_" and name[0] != "_"


def _holds_arrays(value: Any) -> bool:
    if isinstance(value, _PLAIN):
        return False
    if isinstance(value, (list, tuple)):
        return any(map(_holds_arrays, value[:_FEW]))
    if isinstance(value, Mapping):
        return any(map(_holds_arrays, list(value.values())[:_FEW]))
    return (
        isinstance(value, np.ndarray)
        or sparse.issparse(value)
        or _is_tensor(value)
        or _is_module(value)
        or (hasattr(value, "get_params") and not isinstance(value, type))
    )


def _walk(
    value: Any,
    put: Callable[[Any], None],
    leaf: Callable[[Any, Callable[[Any], None]], None],
    few: int,
    above: tuple[int, ...],
) -> None:
    """Hand the parts of a value to `put`, and arrays and tensors to `leaf`.

    Of containers with more than `few` entries only identity and length are told. `above` are the ids of what
    the value is part of.
    """

    def go(part: Any) -> None:
        _walk(part, put, leaf, few, (*above, id(value)))

    if isinstance(value, _PLAIN):
        put(value)
    elif isinstance(value, np.generic):
        go(value.item() if not isinstance(value, np.void | np.longdouble) else repr(value))
    elif isinstance(value, np.ndarray) and value.dtype == object:
        put(value.shape)
        go(value.ravel().tolist())
    elif isinstance(value, np.ndarray) or _is_tensor(value):
        leaf(value, put)
    elif id(value) in above:
        put("itself")
    elif isinstance(value, (list, tuple, set, frozenset, Mapping)) and len(value) > few:
        put((id(value), len(value)))
    elif isinstance(value, Mapping):
        put(len(value))
        for key in sorted(value, key=repr):
            put(repr(key))
            go(value[key])
    elif isinstance(value, (list, tuple)):
        put(len(value))
        for part in value:
            go(part)
    elif isinstance(value, set | frozenset):
        put(tuple(sorted(map(repr, value))))
    elif sparse.issparse(value):
        rows = value.tocsr()
        put(value.shape)
        for part in (rows.data, rows.indices, rows.indptr):
            leaf(part, put)
    elif _is_module(value):
        for part in _parts_of_module(value, is_whole=few > _FEW):
            go(part)
    elif isinstance(value, type | ModuleType):
        put(value.__name__)
    elif isinstance(value, FunctionType):
        put(value.__qualname__)
        if few > _FEW:
            _put_code(value.__code__, put)
        else:
            put(id(value))
        go([cell.cell_contents for cell in value.__closure__ or () if _has_content(cell)])
        go(value.__defaults__)
    elif isinstance(value, MethodType):
        put(value.__func__.__qualname__)
        go(value.__self__)
    elif isinstance(value, functools.partial):
        go([value.func, value.args, value.keywords])
    elif isinstance(value, np.random.RandomState | np.random.Generator):
        put(type(value).__name__)
    else:
        _walk_object(value, put, go)


def _walk_object(value: Any, put: Callable[[Any], None], go: Callable[[Any], None]) -> None:
    """Another object: its class and what it holds; of compiled classes what they give to pickle."""
    put(type(value).__name__)
    for name, part in _attributes(value):
        put(name)
        go(part)
    if not hasattr(value, "__dict__") and type(value).__getstate__ is not object.__getstate__:
        go(value.__getstate__())


def _put_code(code: CodeType, put: Callable[[Any], None]) -> None:
    """What a function does, as far as versions of Python agree on it: operators, names and constants."""
    for step in dis.get_instructions(code):
        if step.opname == "BINARY_OP" and step.argrepr != "[]":
            put(step.argrepr)
        elif "CONST" in step.opname or "SMALL_INT" in step.opname:
            if isinstance(step.argval, CodeType):
                _put_code(step.argval, put)
            elif isinstance(step.argval, int | float | str):
                put(step.argval)
    put(code.co_names)


def _has_content(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # not assigned yet
        return False


def _parts_of_module(module: Any, is_whole: bool) -> Iterator[Any]:
    """Classes and weights of a network; without `is_whole` its tensors alone."""
    module = getattr(module, "_orig_mod", module)  # that torch.compile wraps
    if not is_whole:
        yield from module.parameters()
        yield from module.buffers()
        return
    yield [type(part).__name__ for part in module.modules() if type(part).__name__ != "OptimizedModule"]
    yield {name.replace("_orig_mod.", ""): value for name, value in module.state_dict().items()}


def _read(array: Any, put: Callable[[Any], None]) -> None:
    """All of an array or a tensor: type, shape and bytes."""
    if _is_tensor(array):
        torch = sys.modules["torch"]
        array = array.detach().cpu()
        put((str(array.dtype).removeprefix("torch."), tuple(array.shape)))
        array = (array.to_dense() if array.layout != torch.strided else array).contiguous()
        put(memoryview(array.reshape(-1).view(torch.uint8).numpy()))
        return
    array = np.ascontiguousarray(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    put((str(array.dtype), array.shape))
    if array.dtype.names is not None or array.dtype.kind in "Mm":
        put(array.tobytes())
    elif array.size:
        put(memoryview(array.reshape(-1).view(np.uint8)))


def _glance(array: Any, put: Callable[[Any], None]) -> None:
    """Identity of an array or a tensor and, as far as that costs little, its content."""
    put(id(array))
    if _is_tensor(array):
        put((array.data_ptr(), array._version))
    elif array.size <= _SMALL:
        put(array.tobytes())
    else:
        put(array.flat[:: array.size // _SAMPLED].tobytes())


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")  # without it there are none
    return torch is not None and isinstance(value, torch.Tensor)


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)
