"""Text in a folder: bytes of UTF-8, one text after the other, each ended by NUL, which no text may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric.search._index._columns import as_text, check_text

_TEXT = "_text"


def packed(name: str, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """An array for a folder, by name: text costs its length, and anything else is kept as it is."""
    is_text = values.dtype.kind in "UT" or (
        values.dtype == object and all(isinstance(value, str) for value in values.tolist())
    )
    if not is_text:
        return {name: values}
    texts = values.tolist()
    check_text(texts, name)
    data = "".join(f"{text}\0" for text in texts).encode()
    return {name + _TEXT: np.frombuffer(data, dtype=np.uint8)}


def unpacked(name: str, arrays: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """The array that was packed; fixed-width text of folders of earlier versions as it is."""
    if name + _TEXT not in arrays:
        return arrays[name]
    return as_text(arrays[name + _TEXT].tobytes().decode().split("\0")[:-1])
