"""Arrays of a folder: digests, memory maps, and text at the cost of text.

Arrays of numbers lie in safetensors files, a separate one for each array, or one for all whose names begin
with the same word and a slash. An array of text is two: its UTF-8 bytes, and where each text ends. The
manifest has the size and the SHA-256 of each file, the type and the shape of each array, and of text the type
that it comes back as.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from . import _safetensors
from ._texts import as_texts, check_parts, decoded, encoded

_SMALL = 2**24  # bytes up to which a file is compared with its digest at once
_PARSED = 2**20  # bytes up to which text is put together at once, so that what is wrong is named early
_APART = 2**20  # bytes of a block from which another thread computes the digest, while this one writes
_ENDS = ".ends"  # of the array that says where texts end
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

    def __init__(self, values: NDArray[Any], verify: Callable[[], None], path: Path) -> None:
        self.values, self.verify, self.path = values, verify, path

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    def read(self) -> NDArray[Any]:
        """The array, after the check."""
        self.verify()
        return self.values


class Text:
    """An array of text that is put together when it is first read.

    Raises
    ------
    ValueError
        If its parts cannot be those of text.
    """

    dtype = np.dtype(object)  # of `texts`

    def __init__(self, name: str, data: Mapped, ends: Mapped, kind: str) -> None:
        self._name, self._data, self._ends, self._kind = name, data, ends, kind
        self.shape, self.is_text = ends.shape, kind != "values"
        self.nbytes = data.values.nbytes + ends.values.nbytes
        with self._naming():
            check_parts(data.values, ends.values, kind)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self) -> NDArray[Any]:
        """The array, in the type that it had when it was written."""
        return self._decoded(self._kind)

    def texts(self) -> NDArray[np.object_]:
        """The array as Python strings."""
        return self._decoded("objects")

    def _decoded(self, kind: str) -> NDArray[Any]:
        for part in (self._data, self._ends):
            part.verify()
        with self._naming():
            return decoded(self._data.values, self._ends.values, kind)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, RecursionError, MemoryError) as error:
            raise damaged(self._data.path, f"text of {self._name!r}: {error}") from error


Part: TypeAlias = Mapped | Text


@final
class StoredArrays(Mapping[str, NDArray[Any]]):
    """Arrays of a folder by name. Each has passed its check when it is handed out."""

    def __init__(self, files: dict[str, Part]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._files[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, name: object) -> bool:  # that of Mapping would read the array
        return name in self._files

    def part(self, name: str) -> Part:
        """An array that is not read yet."""
        return self._files[name]

    def under(self, prefix: str) -> StoredArrays:
        """The arrays whose names begin with `prefix`, under what follows it."""
        return StoredArrays(
            {n.removeprefix(prefix): f for n, f in self._files.items() if n.startswith(prefix)}
        )


def mapped(arrays: Mapping[str, NDArray[Any]], name: str) -> tuple[NDArray[Any], Callable[[], None] | None]:
    """An array, and the check to call before its first use where it is of a file that was not read yet."""
    part = arrays.part(name) if isinstance(arrays, StoredArrays) else None
    return (part.values, part.verify) if isinstance(part, Mapped) else (arrays[name], None)


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
            types[name], texts = as_texts(name, array)
            numbers[name], numbers[name + _ENDS] = encoded(texts)
        else:
            is_swapped = array.dtype.byteorder == ">"
            numbers[name] = array.astype(array.dtype.newbyteorder("<")) if is_swapped else array
    return numbers, types


def is_name(name: str) -> bool:
    """Whether an array may have a name."""
    return _NAME.fullmatch(name) is not None


def check_names(names: Iterable[str]) -> None:
    """Refuse names that arrays may not have, and those of two files that are one on other machines.

    Raises
    ------
    ValueError
        Naming the array.
    """
    known: dict[str, str] = {}
    for name in names:
        if not is_name(name):
            raise ValueError(
                f"an array is named {name!r}: names of arrays are letters, digits and underscores, perhaps "
                "after the name of a group and a slash"
            )
        file = file_of(name)
        other = known.setdefault(unicodedata.normalize("NFC", file).casefold(), file)
        if other != file:
            raise ValueError(
                f"the arrays of {other!r} and {file!r} would be one file where case or accents do not count: "
                "rename one"
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
    with ThreadPoolExecutor(1) as other:  # starts no thread before it has work
        summed = _Summed(stream, other)
        _safetensors.write(summed, {name: _safetensors.storable(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    return WrittenFile(summed.size, summed.hexdigest())


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
    return with_texts(arrays, types, verify)


def with_texts(arrays: Mapping[str, Mapped], types: Mapping[str, str], verify: bool) -> StoredArrays:
    """Arrays by name; short texts, or all with `verify`, are put together now, to see that they can be.

    Raises
    ------
    ValueError
        If text is damaged.
    KeyError
        If a part of it is missing.
    """
    found: dict[str, Part] = dict(arrays)
    for name, kind in types.items():
        data, ends = (found.pop(part) for part in (name, name + _ENDS))
        if not (isinstance(data, Mapped) and isinstance(ends, Mapped)):
            raise KeyError(name)
        text = found[name] = Text(name, data, ends, kind)
        if verify or text.nbytes <= _PARSED:
            text.read()
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
        return Mapped(
            values.view(np.ndarray), self.verify, self.path
        )  # indexing a plain array gives plain ones

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
    """A stream that sums up what is written.

    Digest and write both release Python's lock, so that with two cores a large file costs the longer of them.
    When `write` returns, the sum of its bytes may still be on its way, that of all bytes before is done.
    """

    def __init__(self, stream: IO[bytes], other: ThreadPoolExecutor) -> None:
        self._stream, self._other, self.size, self._digest = stream, other, 0, hashlib.sha256()
        self._summing: deque[Future[None]] = deque()

    def write(self, data: bytes | memoryview) -> int:
        """Write, and go on with the sum."""
        self.size += len(data)
        if len(data) < _APART or not self._is_handed_on(data):
            self._wait(0)
            self._digest.update(data)
        n_written = self._stream.write(data)
        self._wait(1)
        return n_written

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def hexdigest(self) -> str:
        """The sum of all that was written."""
        self._wait(0)
        return self._digest.hexdigest()

    def _is_handed_on(self, data: bytes | memoryview) -> bool:
        with suppress(RuntimeError):  # at the end of the interpreter there are no new threads
            self._summing.append(self._other.submit(self._digest.update, data))
            return True
        return False

    def _wait(self, n_left: int) -> None:
        """Wait until so many blocks are left to be summed up."""
        while len(self._summing) > n_left:
            self._summing.popleft().result()
