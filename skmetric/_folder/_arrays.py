"""Arrays of a folder: digests, memory maps, and text at the cost of text.

Arrays of numbers lie in safetensors files, a separate one for each array, or one for all whose names begin
with the same word and a slash. An array of text is two: its UTF-8 bytes, and where each text ends. The
manifest has the size and the SHA-256 of each file, the type and the shape of each array, and of text the type
that it comes back as.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from . import _safetensors

_SMALL = 2**24  # bytes up to which a file is compared with its digest at once
_ENDS = ".ends"  # of the array that says where texts end
_VALUES = (str, int, float, bool, type(None))  # of arrays of objects
_SUFFIX = ".safetensors"
_FILE = re.compile(rf"\w+{re.escape(_SUFFIX)}")
_NAME = re.compile(r"\w+(\.ends)?|\w+/[\w.:-]+")
REMEDY = "take it from a copy, or save anew"


class WrittenFile(NamedTuple):
    """A file as the manifest describes it."""

    size: int
    digest: str  # SHA-256 of all bytes, hexadecimal


class Placed(NamedTuple):
    """An array as the manifest describes it."""

    dtype: str
    shape: list[int]
    file: str


class Mapped:
    """An array that is memory-mapped, and the check of its file."""

    def __init__(self, values: NDArray[Any], verify: Callable[[], None]) -> None:
        self.values, self.verify = values, verify


@final
class StoredArrays(Mapping[str, NDArray[Any]]):
    """Arrays of a folder by name. Each has passed its check when it is handed out."""

    def __init__(self, files: dict[str, Mapped | NDArray[Any]]) -> None:
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


def is_name(name: str) -> bool:
    """Whether an array may have a name."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Raise a ValueError unless an array may have a name."""
    if not is_name(name):
        raise ValueError(
            f"an array is named {name!r}: names of arrays are letters, digits and underscores, perhaps after "
            "the name of a group and a slash"
        )


def by_file(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    """Divide arrays into the files that hold them."""
    files: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        files.setdefault(file_of(name), {})[name] = array
    return files


def file_of(name: str) -> str:
    """The name of the file of an array."""
    group, slash, _ = name.partition("/")
    return (group if slash else name.removesuffix(_ENDS)) + _SUFFIX


def write(stream: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> WrittenFile:
    """Write arrays of numbers to one file."""
    summed = _Summed(stream)
    _safetensors.write(summed, {name: _safetensors.storable(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    return WrittenFile(summed.size, summed.digest.hexdigest())


def read(
    data: Path,
    files: Mapping[str, WrittenFile],
    placed: Mapping[str, Placed],
    types: Mapping[str, str],
    verify: bool,
) -> StoredArrays:
    """Arrays of a folder, memory-mapped; small files and text, or all with `verify`, are checked now.

    Raises
    ------
    ValueError
        If a file is not as it was written; it is named.
    FileNotFoundError
        If one is missing.
    """
    opened = {name: _File(data, name, written) for name, written in files.items()}
    arrays = {name: opened[found.file].array(name, found) for name, found in placed.items()}
    for file in opened.values():
        if verify or file.written.size <= _SMALL:
            file.verify()
    return with_texts(arrays, types)


def with_texts(arrays: Mapping[str, Mapped], types: Mapping[str, str]) -> StoredArrays:
    """Arrays by name, those that are text put together.

    Raises
    ------
    ValueError
        If text is damaged.
    KeyError
        If a part of it is missing.
    """
    found: dict[str, Mapped | NDArray[Any]] = dict(arrays)
    for name, kind in types.items():
        data, ends = (found.pop(part) for part in (name, name + _ENDS))
        if not (isinstance(data, Mapped) and isinstance(ends, Mapped)):
            raise KeyError(name)
        found[name] = _texts_of(name, data, ends, kind)
    untold = next((name for name in found if name.endswith(_ENDS)), None)
    if untold is not None:
        raise KeyError(f"types: there is no type of the text {untold.removesuffix(_ENDS)!r}")
    return StoredArrays(found)


class _File:
    """A file of a folder."""

    def __init__(self, data: Path, name: str, written: WrittenFile) -> None:
        if not _FILE.fullmatch(name):
            raise KeyError(f"files: {name!r} is no name of a file in the folder")
        self.path, self.written = data / name, written
        self._verified = False
        try:
            self._arrays, self._bytes = _safetensors.read(self.path)
        except ValueError as error:
            raise damaged(self.path, error) from error

    def array(self, name: str, placed: Placed) -> Mapped:
        """The array of a name, which must be as the manifest tells."""
        if name not in self._arrays:
            raise damaged(self.path, f"it lacks {name!r}")
        stored = self._arrays[name]
        try:
            values = _safetensors.of_stored(stored, placed.dtype, placed.shape)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{self.path} holds {stored.dtype.str} {list(stored.shape)}, and manifest.json tells of "
                f"{placed.dtype} {placed.shape}: {REMEDY}"
            ) from error
        return Mapped(values.view(np.ndarray), self.verify)  # indexing a plain array gives plain arrays

    def verify(self) -> None:
        """Compare the file with its digest, once."""
        if self._verified:
            return
        if len(self._bytes) != self.written.size:
            raise damaged(
                self.path, f"{len(self._bytes)} bytes, and manifest.json tells of {self.written.size}"
            )
        if hashlib.sha256(self._bytes.data).hexdigest() != self.written.digest:
            raise damaged(self.path, "its bytes do not have the checksum that manifest.json has")
        self._verified = True


def damaged(path: object, why: object) -> ValueError:
    """The error that names a file."""
    return ValueError(f"{path} is damaged ({why}): {REMEDY}")


class _Summed:
    """A stream that sums up what is written."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.size, self.digest = stream, 0, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        """Write, and go on with the sum."""
        self.size += len(data)
        self.digest.update(data)
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


def _texts_of(name: str, data: Mapped, ends: Mapped, kind: str) -> NDArray[Any]:
    """An array of the type that it had, from bytes and ends of texts."""
    for part in (data, ends):
        part.verify()
    whole, stops = data.values.tobytes(), ends.values.tolist()
    starts = [0, *stops][: len(stops)]
    try:
        texts = [whole[a:b].decode("utf-8", "surrogatepass") for a, b in zip(starts, stops, strict=True)]
        values = [json.loads(text) for text in texts] if kind == "values" else texts
        if kind == "text":
            return np.array(values, dtype=np.dtypes.StringDType())
        array = np.empty(len(values), dtype=object if kind in ("objects", "values") else _text_type(kind))
        array[:] = values
    except (ValueError, TypeError, RecursionError, MemoryError) as error:
        raise damaged(f"text of {name!r}", error) from error
    return array


def _text_type(kind: str) -> np.dtype:
    dtype = np.dtype(kind)
    if dtype.kind != "U":
        raise TypeError(f"{kind!r} is no type of text")
    return dtype
