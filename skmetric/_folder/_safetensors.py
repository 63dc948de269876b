"""Arrays in a safetensors file: a JSON header, then the bytes of each array, which are memory-mapped.

The format is that of https://github.com/huggingface/safetensors. This reader is stricter than the format: the
header has a cap, no name may come twice, and the arrays must fill the file without gaps.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MAX_HEADER = 2**20  # bytes; one of ten thousand arrays is shorter
_ALIGNED = 64  # bytes: the first array begins at a multiple, as BLAS likes it
_BLOCK = 2**22  # bytes of a view with gaps that are copied at once
_DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def storable(array: NDArray[Any]) -> NDArray[Any]:
    """The same bytes in a dtype that the format has.

    Dates become integers; complex numbers and bytes get one axis more. An array that is stored as it is may
    be a view with gaps: `write` copies it block by block.

    Raises
    ------
    TypeError
        If the format has no dtype for it.
    """
    if array.dtype.str in _NAMES and array.ndim:
        return array
    array = np.ascontiguousarray(array).reshape(array.shape)  # which makes one axis of none
    if array.dtype.str in _NAMES:
        return array
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in "mM":
        return array.view(np.int64)
    if kind == "c" and size in (8, 16):
        return array.reshape(-1).view(f"<f{size // 2}").reshape(*array.shape, 2)
    if kind == "S" and size:
        return array.reshape(-1).view(np.uint8).reshape(*array.shape, size)
    raise TypeError(f"a folder cannot hold an array of {array.dtype}: use numbers, dates or text")


def of_stored(array: NDArray[Any], dtype: str, shape: list[int]) -> NDArray[Any]:
    """The array that `storable` changed, as a view.

    Raises
    ------
    TypeError, ValueError
        If it cannot have been of that dtype and shape.
    """
    kind = np.dtype(dtype)
    if kind.hasobject or kind.names is not None or kind.kind not in "biufcmMS":
        raise TypeError(f"no array of a folder is of {dtype!r}")
    if array.dtype == kind:
        found = array
    elif math.prod(shape) == 0:
        found = np.empty(shape, dtype=kind)
    elif kind.kind in "mM" and array.dtype.str == "<i8":
        found = array.view(kind)
    elif (
        kind.kind in "cS"
        and array.ndim == len(shape) + 1
        and array.shape[-1] * array.itemsize == kind.itemsize
    ):
        found = array.reshape(-1).view(kind).reshape(array.shape[:-1])
    else:
        raise ValueError(f"{array.dtype.str} is stored for {dtype}")
    if list(found.shape) != list(shape):
        raise ValueError(f"shape {list(found.shape)} is stored for {list(shape)}")
    return found


def write(stream: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays, those of the widest numbers first so that each is aligned.

    Raises
    ------
    ValueError
        If there are so many that the header passes its cap.
    """
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header: dict[str, dict[str, Any]] = {}
    end = 0
    for name in order:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype.str],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNED)
    if len(text) > MAX_HEADER:
        raise ValueError(
            f"{len(arrays)} arrays are too many for one file: their header has {len(text)} bytes"
        )
    stream.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        for block in _blocks(arrays[name]):
            stream.write(block)


def _blocks(array: NDArray[Any]) -> Iterator[memoryview]:
    """The bytes of an array: at once, or of a view with gaps in copied blocks, valid until the next but one.

    Two places for all blocks: fresh memory for each would cost more than the copy.
    """
    if array.size == 0:
        return
    if array.flags.c_contiguous:
        yield array.reshape(-1).view(np.uint8).data
        return
    n_rows = min(len(array), max(1, _BLOCK * len(array) // array.nbytes))
    places = [np.empty((n_rows, *array.shape[1:]), array.dtype) for _ in range(2)]
    for start in range(0, len(array), n_rows):
        rows = array[start : start + n_rows]
        block = places[start // n_rows % 2][: len(rows)]
        block[...] = rows
        yield block.reshape(-1).view(np.uint8).data


def read(path: Path) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
    """Map a file: its arrays by name, and all its bytes. Nothing but the header is read.

    Raises
    ------
    ValueError
        If it is no regular file, or not in the format; the message says what is wrong, without the path.
    FileNotFoundError
        If it is missing.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        kind = "a link" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise ValueError(f"it is {kind}: a folder holds files")
    if found.st_size < 8:
        raise ValueError("it is too short for a header")
    whole = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(whole[:8].tobytes(), "little")
    if length > MAX_HEADER:
        raise ValueError(f"its header would have {length} bytes; at most {MAX_HEADER} are read")
    if 8 + length > len(whole):
        raise ValueError(f"its header would have {length} bytes, and the file has {len(whole)}")
    return _arrays_of(_header_of(whole[8 : 8 + length].tobytes()), whole[8 + length :]), whole


def _header_of(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    header.pop("__metadata__", None)
    return header


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON in which no name comes twice: readers do not agree which of two counts.

    Raises
    ------
    ValueError
        If one does.
    """
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name comes twice")
    return dict(pairs)


def _arrays_of(header: dict[str, Any], data: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Views of the bytes behind a header."""
    arrays, ends = {}, [0]
    try:
        for name, told in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            dtype, shape = np.dtype(_DTYPES[told["dtype"]]), told["shape"]
            (begin, end), counts = told["data_offsets"], [*told["shape"], *told["data_offsets"]]
            if not all(type(count) is int and count >= 0 for count in counts):
                raise ValueError(f"its header has no sizes for {name!r}")
            if begin != ends[-1] or end - begin != math.prod(shape) * dtype.itemsize or end > len(data):
                raise ValueError(f"its header places {name!r} at {begin} to {end}, where it does not fit")
            arrays[name] = (
                data[begin:end].view(dtype).reshape(shape) if end > begin else np.empty(shape, dtype)
            )
            ends.append(end)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its header lacks something ({type(error).__name__}: {error})") from error
    if ends[-1] != len(data):
        raise ValueError(f"its header tells of {ends[-1]} bytes, and {len(data)} follow it")
    return arrays
