"""A folder of arrays and a manifest: no pickle, memory-mapped on load, replaced atomically.

``manifest.json`` names a format, its version and the subfolder that holds the arrays, with their types,
shapes and checksums; it ends with a checksum of its own text. A new save writes a new subfolder beside the
old one, syncs it, and then replaces the manifest, which is one rename: a reader or a crash sees the old
state or the new one. Whoever writes a subfolder holds a lock on it, so that the next save can tell one that
is being written from one whose writer was killed, and removes the latter.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from ._array_files import StoredArrays, Written, as_written, read, write

VERSION = 4
_OLDEST = 2  # that is read: before 4 arrays have no checksum, before 3 no shape, nor the manifest a checksum
_MANIFEST = "manifest.json"
_DATA = "data-"
_LEFT = re.compile(r"data-[0-9a-f]{32}(\.json)?")  # what a save writes before the manifest
_NAME = re.compile(r"\w+")
_SEAL = b',\n "checksum": '
_STALE = 3600  # seconds after which a subfolder is given up, where locks cannot tell
_REMEDY = "take it from a copy, or save anew"
_MISREAD = (KeyError, TypeError, AttributeError, IndexError, RuntimeError, OverflowError)


def write_folder(
    path: str | os.PathLike[str], kind: str, content: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write `content` (JSON) and `arrays` of numbers or text as a folder of a `kind`.

    Arrays of objects are taken where each is text, a number, a boolean or None.
    """
    path = Path(path)
    if path.exists() and not _is_ours(path):
        raise FileExistsError(f"{path} exists and was not written by save: choose another folder")
    odd = [name for name in arrays if not _NAME.fullmatch(name)]
    if odd:
        raise ValueError(f"an array is named {odd[0]!r}: names of arrays are letters, digits and underscores")
    numbers, types = as_written(arrays)
    path.mkdir(parents=True, exist_ok=True)
    with _new_data(path) as data:
        files = {name: _write(data / f"{name}.npy", array) for name, array in numbers.items()}
        manifest = {
            "format": kind,
            "version": VERSION,
            "data": data.name,
            "arrays": {name: list(file) for name, file in files.items()},
            "types": types,
            **content,
        }
        text = _sealed(manifest)
        _sync_folder(data)
        _to_disk(data / _MANIFEST, lambda stream: stream.write(text))
        previous = _data_in_use(path)
        os.replace(data / _MANIFEST, path / _MANIFEST)
    _sync_folder(path)
    _sweep(path, previous)


def read_folder(
    path: str | os.PathLike[str], kind: str, *, verify: bool = False
) -> tuple[dict[str, Any], StoredArrays]:
    """Return the manifest and the arrays, memory-mapped, of a folder that `write_folder` wrote.

    Small files are compared with their checksums, large ones with `verify` or when first used.
    """
    path = Path(path)
    manifest = _read_manifest(path, kind)
    while True:
        try:
            with naming_damage(path):
                files, types = _described(manifest)
                if not _LEFT.fullmatch(manifest["data"]):
                    raise KeyError("data")
                return manifest, read(path / manifest["data"], files, types, verify)
        except FileNotFoundError as error:
            latest = _read_manifest(path, kind)
            if latest == manifest:  # else another process has saved in between
                raise FileNotFoundError(
                    f"{error.filename} is missing: the folder was copied in part, or edited"
                ) from error
            manifest = latest


@contextmanager
def naming_damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what a manifest raises that lacks something, or has another type, into an error that names it."""
    try:
        yield
    except NotFittedError:  # of the embedder that was given
        raise
    except _MISREAD as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{Path(path) / _MANIFEST} is damaged ({what}): {_REMEDY}") from error


def _read_manifest(path: Path, kind: str) -> dict[str, Any]:
    file = path / _MANIFEST
    if not file.is_file():
        raise FileNotFoundError(f"{path} has no {_MANIFEST}: it was not written by save")
    try:
        raw = file.read_bytes()
        manifest = json.loads(raw.decode())
        found, version = manifest["format"], manifest["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} is damaged ({error}): {_REMEDY}") from error
    if not isinstance(version, int) or not isinstance(found, str):
        raise ValueError(f"{file} is damaged (version {version!r} of {found!r}): {_REMEDY}")
    if found != kind:
        raise ValueError(f"{path} holds {found!r}; {kind!r} was asked for")
    if not _OLDEST <= version <= VERSION:
        remedy = (
            "upgrade skmetric" if version > VERSION else "fit anew and save, or read it with that version"
        )
        age = "newer" if version > VERSION else "older"
        raise ValueError(
            f"{path} is of format version {version}, {age} than version {VERSION}, which this skmetric "
            f"reads: {remedy}"
        )
    if not _is_sealed(raw, manifest, version):
        raise ValueError(f"{file} was edited after it was saved: {_REMEDY}")
    manifest.pop("checksum", None)
    return manifest


def _described(manifest: dict[str, Any]) -> tuple[dict[str, Written], dict[str, str]]:
    """Files of a manifest, and the types of those that are text."""
    names = manifest["arrays"]
    if manifest["version"] < 3:
        return {name: Written() for name in names}, {}
    odd = [name for name in names if not _NAME.fullmatch(name.removesuffix(".ends"))]
    if odd:
        raise KeyError(f"arrays: {odd[0]!r}")
    return {name: Written(*parts) for name, parts in names.items()}, dict(manifest.get("types", {}))


def _sealed(manifest: dict[str, Any]) -> bytes:
    """The text of a manifest, at its end the checksum of what comes before."""
    text = json.dumps(manifest, indent=1).encode().removesuffix(b"\n}")
    return text + _seal(text)


def _seal(text: bytes) -> bytes:
    return _SEAL + str(zlib.crc32(text)).encode() + b"\n}"


def _is_sealed(raw: bytes, manifest: dict[str, Any], version: int) -> bool:
    if version < 3:
        return True
    if version == 3:  # of the values, however they are laid out
        rest = {name: value for name, value in manifest.items() if name != "checksum"}
        return manifest.get("checksum") == zlib.crc32(json.dumps(rest, sort_keys=True).encode())
    text = raw.rpartition(_SEAL)[0]
    return raw == text + _seal(text)


def _is_ours(path: Path) -> bool:
    """Whether a folder is empty, was saved, or is what a first save left that was killed."""
    return path.is_dir() and (
        (path / _MANIFEST).is_file() or all(_LEFT.fullmatch(entry.name) for entry in path.iterdir())
    )


def _data_in_use(path: Path) -> str | None:
    """Name of the subfolder of the manifest that is there, if one is."""
    try:
        return json.loads((path / _MANIFEST).read_text("utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


@contextmanager
def _new_data(path: Path) -> Iterator[Path]:
    """A new subfolder, locked while it is written, and removed if that fails."""
    while True:
        data = path / f"{_DATA}{uuid4().hex}"
        data.mkdir()
        try:
            lock = _lock(data, waits=True)
            if data.is_dir():  # no other save took it for one that was given up
                break
        except FileNotFoundError:
            pass
    try:
        yield data
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        raise
    finally:
        _unlock(lock)


def _sweep(path: Path, previous: str | None) -> None:
    """Remove the arrays that were replaced, and what is left of saves that were killed.

    Another process may be saving into the same folder: what it writes is locked, and stays.
    """
    for old in path.glob(f"{_DATA}*"):
        try:
            lock = _lock(old, waits=False)
            is_stale = time.time() - old.stat().st_mtime > _STALE
        except OSError:  # it is being written, or another process was here first
            continue
        try:
            if old.name != _data_in_use(path) and (lock is not None or is_stale or old.name == previous):
                if old.is_dir():
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    old.unlink(missing_ok=True)
        finally:
            _unlock(lock)


def _lock(path: Path, waits: bool) -> int | None:
    """Lock a file or folder until `_unlock` or the end of the process; None where that cannot be done.

    Raises
    ------
    BlockingIOError
        If another has it and `waits` is False.
    FileNotFoundError
        If it is gone.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def _unlock(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


def _write(file: Path, array: NDArray[Any]) -> Written:
    written = []
    _to_disk(file, lambda stream: written.append(write(stream, array)))
    return written[0]


def _to_disk(file: Path, fill: Callable[[IO[bytes]], object]) -> None:
    try:
        with open(file, "xb") as stream:
            fill(stream)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(
            f"{file} could not be written ({error}): is there room? What was saved before is as it was"
        ) from error


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
