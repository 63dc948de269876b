"""Arrays in files of a folder: checksums, memory maps, and text at the cost of text.

An array of numbers is a ``.npy`` file. One of text is two: its UTF-8 bytes, and where each text ends. The
manifest has the type, the shape and the checksum of each file (``zlib.crc32`` of all its bytes), and of text
the type that it comes back as.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

_SMALL = 2**24  # bytes up to which a file is compared with its checksum at once
_ENDS = ".ends"  # of the file that says where texts end
_VALUES = (str, int, float, bool, type(None))  # of arrays of objects
_REMEDY = "take it from a copy, or save anew"


class Written(NamedTuple):
    """A file as the manifest describes it; of the earliest folders nothing is known."""

    dtype: str | None = None
    shape: list[int] | None = None
    checksum: int | None = None


@final
class StoredArrays(Mapping[str, NDArray[Any]]):
    """Arrays of a folder by name. Each has passed its check when it is handed out."""

    def __init__(self, files: dict[str, _File | NDArray[Any]]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> NDArray[Any]:
        file = self._files[name]
        if isinstance(file, np.ndarray):
            return file
        file.verify()
        return file.values

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def mapped(self, name: str) -> tuple[NDArray[Any], Callable[[], None] | None]:
        """An array that is not read yet, and the check to call before it is."""
        file = self._files[name]
        return (file, None) if isinstance(file, np.ndarray) else (file.values, file.verify)

    def under(self, prefix: str) -> StoredArrays:
        """The arrays whose names begin with `prefix`, under what follows it."""
        return StoredArrays(
            {n.removeprefix(prefix): f for n, f in self._files.items() if n.startswith(prefix)}
        )


def mapped(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[NDArray[Any], Callable[[], None] | None]:
    """An array, and the check to call before its first use where it is of a file that was not read yet."""
    return arrays.mapped(name) if isinstance(arrays, StoredArrays) else (arrays[name], None)


def as_written(arrays: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays of numbers that hold the same, and the types of those that are text or objects.

    Raises
    ------
    TypeError
        If an array holds objects that JSON does not.
    """
    numbers: dict[str, NDArray[Any]] = {}
    types: dict[str, str] = {}
    for name, array in arrays.items():
        if array.dtype.kind in "UTO":
            types[name], texts = _as_texts(name, array)
            encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
            numbers[name] = np.frombuffer(b"".join(encoded), dtype=np.uint8)
            numbers[name + _ENDS] = np.cumsum([len(text) for text in encoded], dtype=np.int64)
        else:
            numbers[name] = array
    return numbers, types


def write(stream: IO[bytes], array: NDArray[Any]) -> Written:
    """Write an array of numbers."""
    summed = _Summed(stream)
    np.save(summed, array, allow_pickle=False)  # type: ignore[arg-type]
    return Written(array.dtype.str, list(array.shape), summed.checksum)


def read(data: Path, files: Mapping[str, Written], types: Mapping[str, str], verify: bool) -> StoredArrays:
    """Arrays of a folder, memory-mapped; small files and text, or all with `verify`, are checked now.

    Raises
    ------
    ValueError
        If a file is not as it was written; it is named.
    FileNotFoundError
        If one is missing.
    """
    opened = {name: _File(data / f"{name}.npy", written) for name, written in files.items()}
    for file in opened.values():
        if verify or file.size <= _SMALL:
            file.verify()
    texts: dict[str, _File | NDArray[Any]] = {
        name: _texts_of(opened.pop(name), opened.pop(name + _ENDS), kind) for name, kind in types.items()
    }
    return StoredArrays({**opened, **texts})


class _File:
    """An array of a file, memory-mapped."""

    def __init__(self, path: Path, written: Written) -> None:
        self.path, self.size = path, path.stat().st_size
        self._checksum = written.checksum
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
            self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        except FileNotFoundError:
            raise
        except Exception as error:  # of a damaged header NumPy raises whatever its parser does
            raise self._damaged(error) from error
        found = values.dtype.str, list(values.shape)
        if written.dtype is not None and found != (written.dtype, written.shape):
            raise ValueError(
                f"{path} holds {found[0]} {found[1]}, and manifest.json tells of {written.dtype} "
                f"{written.shape}: {_REMEDY}"
            )
        self.values: NDArray[Any] = values.view(np.ndarray)  # indexing a plain array gives plain arrays

    def verify(self) -> None:
        """Compare the file with its checksum, once."""
        if self._checksum is not None and zlib.crc32(self._bytes.data) != self._checksum:
            raise self._damaged("its bytes do not have the checksum that manifest.json has")
        self._checksum = None

    def _damaged(self, why: object) -> ValueError:
        return ValueError(f"{self.path} is damaged ({why}): {_REMEDY}")


class _Summed:
    """A stream that sums up what is written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.checksum = stream, 0

    def write(self, data: bytes) -> int:
        """Write, and go on with the sum."""
        self.checksum = zlib.crc32(data, self.checksum)
        return self._stream.write(data)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()


def _as_texts(name: str, array: NDArray[Any]) -> tuple[str, list[str]]:
    """Type that an array comes back as, and a text for each of its values."""
    if array.ndim != 1:
        raise TypeError(f"{name} holds text in {array.ndim} axes: a folder holds text in one")
    values = array.tolist()
    if array.dtype.kind == "U":
        return array.dtype.str, values
    if all(isinstance(value, str) for value in values):
        return ("text" if array.dtype.kind == "T" else "objects"), values
    strange = next((value for value in values if not isinstance(value, _VALUES)), None)
    if strange is not None:
        raise TypeError(
            f"{name} holds Python objects, as {strange!r}, which need pickle: use text or numbers"
        )
    return "values", [json.dumps(value) for value in values]


def _texts_of(data: _File, ends: _File, kind: str) -> NDArray[Any]:
    """An array of the type that it had, from bytes and ends of texts."""
    for file in (data, ends):
        file.verify()
    whole, stops = data.values.tobytes(), ends.values.tolist()
    starts = [0, *stops][: len(stops)]
    try:
        texts = [whole[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, stops, strict=True)]
        values = [json.loads(text) for text in texts] if kind == "values" else texts
        if kind == "text":
            return np.array(values, dtype=np.dtypes.StringDType())
        array = np.empty(len(values), dtype=object if kind in ("objects", "values") else np.dtype(kind))
        array[:] = values
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise data._damaged(error) from error
    return array
