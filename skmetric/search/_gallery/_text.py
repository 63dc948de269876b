"""Text in a folder: the bytes of UTF-8 one after the other, and where each text ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BYTES, _ENDS = "_utf8", "_ends"


def packed(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Arrays for a folder, by name: text costs its length, and anything else is kept as it is."""
    is_text = values.dtype.kind in "UT" or (
        values.dtype == object and all(isinstance(value, str) for value in values.tolist())
    )
    if not is_text:
        return {name: values}
    encoded = [value.encode() for value in values.tolist()]
    ends = np.cumsum([len(value) for value in encoded], dtype=np.int64)
    return {name + _BYTES: np.frombuffer(b"".join(encoded), dtype=np.uint8), name + _ENDS: ends}


def unpacked(name: str, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The array that was packed; fixed-width text of folders of earlier versions as it is."""
    if name + _ENDS not in arrays:
        return arrays[name]
    data, ends = arrays[name + _BYTES].tobytes(), arrays[name + _ENDS].tolist()
    values = np.empty(len(ends), dtype=object)
    starts = [0, *ends[:-1]]
    values[:] = [data[start:end].decode() for start, end in zip(starts, ends, strict=True)]
    return values
