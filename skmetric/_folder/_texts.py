"""Arrays of text as UTF-8 bytes and the place where each text ends, and back, without a step for each text.

Nearly all text of a gallery (ids, shops, file names) is ASCII, where a character is a byte. Then lengths and
slices of one long string are enough.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

_VALUES = (str, int, float, bool, type(None))  # of arrays of objects
_MANY = 2**16  # texts that are encoded at once
_WIDTHS = np.array([0x80, 0x800, 0x10000], dtype=np.uint32)  # characters from which UTF-8 takes a byte more


def as_texts(name: str, array: NDArray[Any]) -> tuple[str, list[str]]:
    """Type that an array of text or objects comes back as, and a text for each of its values.

    Raises
    ------
    TypeError
        If it has several axes, or holds objects that JSON does not.
    """
    if array.ndim != 1:
        raise TypeError(f"{name} holds text in {array.ndim} axes: a folder holds text in one")
    values = array.tolist()
    if array.dtype.kind == "U":
        return array.dtype.str, values
    kinds = set(map(type, values))
    if all(issubclass(kind, str) for kind in kinds):
        return ("text" if array.dtype.kind == "T" else "objects"), values
    if not all(issubclass(kind, _VALUES) for kind in kinds):
        strange = next(value for value in values if not isinstance(value, _VALUES))
        raise TypeError(
            f"{name} holds Python objects, as {strange!r}, which need pickle: use text or numbers"
        )
    return "values", [*map(json.JSONEncoder().encode, values)]


def encoded(texts: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """UTF-8 bytes of all texts, and where each ends."""
    parts: list[bytes] = []
    sizes = np.zeros(len(texts), dtype=np.int64)
    for start in range(0, len(texts), _MANY):
        some = texts[start : start + _MANY]
        joined = "".join(some)
        parts.append(joined.encode("utf-8", "surrogatepass"))
        lengths = np.fromiter(map(len, some), np.int64, len(some))  # in characters
        sizes[start : start + len(some)] = (
            lengths if len(parts[-1]) == len(joined) else _sizes(joined, lengths)
        )
    return np.frombuffer(b"".join(parts), dtype=np.uint8), np.cumsum(sizes)


def _sizes(joined: str, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bytes of each text, from the width of each character."""
    characters = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    widths = 1 + np.searchsorted(_WIDTHS, characters, side="right")
    ends = np.concatenate([[0], np.cumsum(widths)])  # after each number of characters
    return np.diff(ends[np.cumsum(lengths)], prepend=0)


def decoded(data: NDArray[np.uint8], ends: NDArray[np.int64], kind: str) -> NDArray[Any]:
    """An array of the type that it had, from bytes and ends of texts.

    Raises
    ------
    ValueError, RecursionError, MemoryError
        If they are damaged.
    """
    texts = _split(data.tobytes(), ends.tolist())
    try:
        values = [*map(json.loads, texts)] if kind == "values" else texts
        if kind == "text":
            return np.array(values, dtype=np.dtypes.StringDType())
        array = np.empty(len(values), dtype=object if kind in ("objects", "values") else _text_type(kind))
        array[:] = values
    except TypeError as error:
        raise ValueError(str(error)) from error
    return array


def _split(whole: bytes, stops: list[int]) -> list[str]:
    starts = [0, *stops][: len(stops)]
    if whole.isascii():
        joined = whole.decode("ascii")
        return [joined[a:b] for a, b in zip(starts, stops, strict=True)]
    return [whole[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, stops, strict=True)]


def _text_type(kind: str) -> np.dtype:
    dtype = np.dtype(kind)
    if dtype.kind != "U":
        raise TypeError(f"{kind!r} is no type of text")
    return dtype
