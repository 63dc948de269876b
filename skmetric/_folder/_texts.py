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
_OBJECTS = ("objects", "values")
_MAX_FIXED = 2**26  # bytes that text of a fixed width may take, beside a hundred times its bytes in the file
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


def check_parts(data: NDArray[Any], ends: NDArray[Any], kind: str) -> None:
    """Refuse arrays that cannot be bytes and ends of texts, by their types and shapes alone.

    Raises
    ------
    ValueError
        Saying why.
    """
    if data.ndim != 1 or data.dtype != np.uint8:
        raise ValueError(f"its bytes are {data.dtype} of shape {list(data.shape)}")
    if ends.ndim != 1 or ends.dtype != np.int64:
        raise ValueError(f"its ends are {ends.dtype} of shape {list(ends.shape)}")
    if kind not in _OBJECTS and kind != "text":
        _width(kind)


def decoded(data: NDArray[np.uint8], ends: NDArray[np.int64], kind: str) -> NDArray[Any]:
    """An array of the type that it had, from bytes and ends of texts.

    Raises
    ------
    ValueError, RecursionError, MemoryError
        If they are damaged.
    """
    if (ends[-1] if len(ends) else 0) != len(data) or (np.diff(ends, prepend=0) < 0).any():
        raise ValueError("the places where texts end do not ascend to the end of the bytes")
    texts = _split(data.tobytes(), ends.tolist())
    if kind == "text":
        return np.array(texts, dtype=np.dtypes.StringDType())
    array = np.empty(len(texts), dtype=object if kind in _OBJECTS else _text_type(kind, texts, len(data)))
    array[:] = [*map(_value, texts)] if kind == "values" else texts
    return array


def _value(text: str) -> str | int | float | bool | None:
    value = json.loads(text)
    if not isinstance(value, _VALUES):
        raise ValueError(f"{text[:40]!r} is no text, number, boolean or null")
    return value


def _split(whole: bytes, stops: list[int]) -> list[str]:
    starts = [0, *stops][: len(stops)]
    if whole.isascii():
        joined = whole.decode("ascii")
        return [joined[a:b] for a, b in zip(starts, stops, strict=True)]
    return [whole[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, stops, strict=True)]


def _text_type(kind: str, texts: list[str], n_bytes: int) -> np.dtype:
    """The fixed width of a kind, or objects where few bytes would take much memory in it."""
    width = _width(kind)
    if 4 * width * len(texts) > _MAX_FIXED + 100 * n_bytes:
        return np.dtype(object)
    return np.dtype(kind)


def _width(kind: str) -> int:
    """Characters of a fixed width."""
    try:
        dtype = np.dtype(kind)
    except TypeError as error:
        raise ValueError(str(error)) from error
    if dtype.kind != "U":
        raise ValueError(f"{kind!r} is no type of text")
    return dtype.itemsize // 4
