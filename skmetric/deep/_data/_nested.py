"""Nested tuples, lists and dicts of arrays: what a collate function makes of a batch of items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

Path = tuple[Any, ...]  # keys and places that lead to an array


def map_nested(function: Callable[[Any], Any], nested: Any) -> Any:
    """Apply a function to each leaf; the structure stays, and any Mapping becomes a dict."""
    if isinstance(nested, Mapping):
        return {key: map_nested(function, value) for key, value in nested.items()}
    if isinstance(nested, tuple | list):
        parts = [map_nested(function, value) for value in nested]
        if hasattr(nested, "_fields"):
            return type(nested)(*parts)
        return tuple(parts) if isinstance(nested, tuple) else parts
    return function(nested)


def leaves_of(nested: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Each leaf, with the keys and places that lead to it."""
    if isinstance(nested, Mapping):
        return [leaf for key, value in nested.items() for leaf in leaves_of(value, (*path, key))]
    if isinstance(nested, tuple | list):
        return [leaf for place, value in enumerate(nested) for leaf in leaves_of(value, (*path, place))]
    return [(path, nested)]


def to_device(batch: Any, device: torch.device, *, non_blocking: bool = False) -> Any:
    """The batch on a device."""
    return map_nested(lambda tensor: tensor.to(device, non_blocking=non_blocking), batch)


def split_nested(batch: Any, n_parts: int) -> list[Any]:
    """Divide a batch along the first axis of its arrays, which must have as many rows each."""
    leaves = leaves_of(batch)
    sizes = {len(leaf) if leaf.ndim else 0 for _, leaf in leaves}
    if len(sizes) > 1:
        raise ValueError(
            f"grad_cache divides a batch along the first axis of its arrays, and those of collate_fn have "
            f"{sorted(sizes)} rows: use grad_cache=None, or arrays with a row for each sample"
        )
    parts = {path: leaf.tensor_split(n_parts) for path, leaf in leaves}

    def part_of(nested: Any, number: int, path: Path = ()) -> Any:
        if isinstance(nested, Mapping):
            return {key: part_of(value, number, (*path, key)) for key, value in nested.items()}
        if isinstance(nested, tuple | list):
            inner = [part_of(value, number, (*path, place)) for place, value in enumerate(nested)]
            if hasattr(nested, "_fields"):
                return type(nested)(*inner)
            return tuple(inner) if isinstance(nested, tuple) else inner
        return parts[path][number]

    return [part_of(batch, number) for number in range(n_parts)]


def as_tensors(batch: Any, n: int) -> Any:
    """What a collate function returned, its arrays as tensors.

    Parameters
    ----------
    batch : object
        A tensor, an array, or nested tuples, lists and dicts of them. Lists of numbers count as arrays.
    n : int
        Number of items that it was made of.

    Returns
    -------
    object
        The same structure of tensors.

    Raises
    ------
    ValueError
        If arrays are ragged, or a leaf is no array of numbers.
    """
    if isinstance(batch, str | bytes) or batch is None:
        raise ValueError(f"it is {_kind(batch)}")
    tensors = _tensors(batch, ())
    _check_stacked(tensors, n)
    return tensors


def _tensors(nested: Any, path: Path) -> Any:
    if isinstance(nested, torch.Tensor):
        return nested
    if isinstance(nested, Mapping):
        return {key: _tensors(value, (*path, key)) for key, value in nested.items()}
    if isinstance(nested, tuple | list) and not _lists_numbers(nested) and not _lists_text(nested):
        parts = [_tensors(value, (*path, place)) for place, value in enumerate(nested)]
        if hasattr(nested, "_fields"):
            return type(nested)(*parts)
        return tuple(parts) if isinstance(nested, tuple) else parts
    try:
        array = np.asarray(nested)
    except ValueError:  # lists of different lengths
        raise ValueError(f"{named(path)} is ragged: its rows have different lengths") from None
    if array.dtype == object and array.size and isinstance(array.flat[0], list | tuple | np.ndarray):
        raise ValueError(f"{named(path)} is ragged: its rows have different lengths")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{named(path)} is {_kind(nested)}")
    return torch.as_tensor(array)


def _lists_numbers(nested: Sequence[Any]) -> bool:
    """Whether lists hold numbers at the bottom, as a tokenizer gives them."""
    first = next(iter(nested), None)
    if isinstance(first, tuple | list):
        return _lists_numbers(first)
    return isinstance(first, int | float | np.generic)


def _lists_text(nested: Sequence[Any]) -> bool:
    return bool(nested) and isinstance(nested[0], str | bytes)


def _check_stacked(tensors: Any, n: int) -> None:
    """Refuse the items themselves, of several sizes, in place of arrays of all of them."""
    if not isinstance(tensors, list) or len(tensors) != n:  # a tuple was made on purpose
        return
    if not all(isinstance(part, torch.Tensor) for part in tensors):
        return
    shapes = [tuple(part.shape) for part in tensors]
    if len(set(shapes)) > 1 and not all(shape[:1] == (n,) for shape in shapes):
        raise ValueError(f"it is ragged: a list of {n} arrays of shapes {shapes[0]}, {shapes[1]} and so on")


def named(path: Path) -> str:
    """A place in a batch, as one would write it."""
    return "the batch" + "".join(f"[{key!r}]" for key in path)


def _kind(value: Any) -> str:
    if isinstance(value, str | bytes) or (isinstance(value, tuple | list) and _lists_text(value)):
        return "text, and a network takes numbers: let collate_fn tokenize"
    return f"a {type(value).__name__}, and a network takes arrays of numbers"


# Structure without values, in plain text


def spec_of(batch: Any) -> Any:
    """Structure of a batch: of each array its dtype and shape, such as "int64 2 12"."""
    return map_nested(_text, batch)


def _text(tensor: torch.Tensor) -> str:
    return " ".join([str(tensor.dtype).removeprefix("torch."), *map(str, tensor.shape)])


def zeros_of(spec: Any) -> Any:
    """A batch of that structure, of zeros."""
    return map_nested(_zeros, spec)


def _zeros(text: str) -> torch.Tensor:
    dtype, *sizes = text.split()
    return torch.zeros([int(size) for size in sizes], dtype=getattr(torch, dtype))


def n_samples(batch: Any) -> int:
    """Number of samples: the first axis of the first array."""
    return len(leaves_of(batch)[0][1])


def check_spec(spec: Any, most: int) -> None:
    """Refuse what is no structure of arrays, or has more numbers than `most`."""
    total = 0
    for _, text in leaves_of(spec):
        dtype, *sizes = text.split() if isinstance(text, str) else [""]
        if not (isinstance(getattr(torch, dtype, None), torch.dtype) and all(map(str.isdigit, sizes))):
            raise ValueError(f"_input_spec is no structure of arrays: {text!r}")
        total += int(np.prod([int(size) for size in sizes], dtype=float))
    if total > most:
        raise ValueError(f"_input_spec has {total} numbers, more than the {most} of a sample")


def shapes_of(spec: Any) -> Any:
    """Shape of each array without its first axis."""
    return map_nested(lambda text: tuple(int(size) for size in text.split()[2:]), spec)


def same_structure(first: Any, second: Any) -> bool:
    """Whether keys, places, kinds of numbers and numbers of axes agree."""

    def outline(spec: Any) -> list[Any]:
        return [(path, _kind_of(text), len(text.split())) for path, text in leaves_of(spec)]

    return outline(first) == outline(second)


def _kind_of(text: str) -> str:
    dtype = text.split()[0]
    return "float" if "float" in dtype else "int" if dtype.startswith("int") else dtype
