"""A folder of arrays and a manifest: no pickle, memory-mapped on load, replaced atomically.

``manifest.json``, which ``_manifest.py`` describes, names the subfolder that holds the arrays. A new save
writes a new subfolder beside the old one, syncs it, and then replaces the manifest, which is one rename: a
reader or a crash sees the old state or the new one. Whoever writes a subfolder holds a lock on it, so that
the next save can tell one that is being written from one whose writer was killed, and removes the latter.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from . import _npy
from ._arrays import (
    REMEDY,
    Placed,
    StoredArrays,
    WrittenFile,
    as_written,
    by_file,
    check_names,
    damaged,
    file_of,
    is_name,
    read,
    write,
)
from ._manifest import FIRST_SAFETENSORS, MANIFEST, manifest_text, read_manifest

_LEFT = re.compile(r"data-[0-9a-f]{32}(\.json)?")  # what a save writes before the manifest
_DATA = "data-"
_STALE = 3600  # seconds after which a subfolder is given up, where locks cannot tell
CARD = "README.md"  # the page that may lie beside the manifest
_FORMAT = "skmetric."  # how the format in our manifests begins
_OWN_KEYS = {"format", "version", "data", "arrays"}  # of our manifests, no other has all
_MISREAD = (KeyError, TypeError, AttributeError, IndexError, RuntimeError, ArithmeticError, MemoryError)


def write_folder(
    path: str | os.PathLike[str], kind: str, content: dict[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write `content` (JSON) and `arrays` of numbers or text as a folder of a `kind`.

    Arrays of objects are taken where each is text, a number, a boolean or None.
    """
    path = Path(path)
    if path.exists() and not _is_ours(path):
        raise FileExistsError(f"{path} exists and was not written by save: choose another folder")
    numbers, types = as_written(arrays)
    check_names(numbers)
    path.mkdir(parents=True, exist_ok=True)
    with _new_data(path) as data:
        files = {name: _write(data / name, group) for name, group in by_file(numbers).items()}
        placed = {
            name: Placed(array.dtype.str, list(array.shape), file_of(name)) for name, array in numbers.items()
        }
        text = manifest_text(kind, data.name, files, placed, types, content)
        _sync_folder(data)
        _to_disk(data / MANIFEST, lambda stream: stream.write(text))
        previous = _data_in_use(path)
        os.replace(data / MANIFEST, path / MANIFEST)
    _sync_folder(path)
    _sweep(path, previous)


def read_folder(
    path: str | os.PathLike[str], kind: str | None, *, verify: bool = False
) -> tuple[dict[str, Any], StoredArrays]:
    """Return the manifest and the arrays, memory-mapped, of a folder that `write_folder` wrote.

    With None as `kind`, of any. Small files are compared with their checksums, large ones with `verify` or
    when first used.
    """
    path = Path(path)
    manifest = read_manifest(path, kind)
    while True:
        try:
            with naming_damage(path):
                return manifest, _read_arrays(path, manifest, verify)
        except FileNotFoundError as error:
            latest = read_manifest(path, kind)
            if latest == manifest:  # else another process has saved in between
                raise FileNotFoundError(
                    f"{error.filename} is missing: the folder was copied in part, or edited"
                ) from error
            manifest = latest


def _read_arrays(path: Path, manifest: dict[str, Any], verify: bool) -> StoredArrays:
    """The arrays that a manifest names."""
    if not _LEFT.fullmatch(manifest["data"]):
        raise KeyError(f"data: {manifest['data']!r} is no name of a subfolder")
    data, names, types = path / manifest["data"], manifest["arrays"], manifest.get("types", {})
    if not isinstance(types, dict):
        raise TypeError(f"types must be a dict; got {types!r}")
    if not stat.S_ISDIR(os.lstat(data).st_mode):
        raise damaged(data, "it is a link, or no folder: a folder holds its own arrays")
    is_old = manifest["version"] < FIRST_SAFETENSORS
    odd = [name for name in names if not is_name(name) or (is_old and "/" in name)]
    if odd:
        raise KeyError(f"arrays: {odd[0]!r} is no name of an array")
    if is_old:
        described = names.items() if manifest["version"] > 2 else [(name, ()) for name in names]
        return _npy.read(data, {name: _npy.Written(*parts) for name, parts in described}, types, verify)
    files = {name: WrittenFile(*parts) for name, parts in manifest["files"].items()}
    placed = {name: Placed(*parts) for name, parts in names.items()}
    return read(data, files, placed, types, verify)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file, or put another in its place, at once."""
    new = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        _to_disk(new, lambda stream: stream.write(content))
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def naming_damage(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn what a manifest raises that lacks something, or has another type, into an error that names it."""
    try:
        yield
    except NotFittedError:  # of the embedder that was given
        raise
    except _MISREAD as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{Path(path) / MANIFEST} is damaged ({what}): {REMEDY}") from error


def _is_ours(path: Path) -> bool:
    """Whether a folder is empty, was saved, or is what a first save left that was killed.

    Other programs have a manifest.json too. One that cannot be read is ours where nothing but our files is
    beside it.
    """
    if not path.is_dir():
        return False
    others = {entry.name for entry in path.iterdir() if not _LEFT.fullmatch(entry.name)}
    if MANIFEST not in others:
        return not others
    file = path / MANIFEST
    if not stat.S_ISREG(os.lstat(file).st_mode):
        return False
    try:
        manifest = json.loads(file.read_bytes().decode())
    except (ValueError, RecursionError):
        return others <= {MANIFEST, CARD}
    if not isinstance(manifest, dict):
        return False
    return str(manifest.get("format")).startswith(_FORMAT) or manifest.keys() >= _OWN_KEYS


def _data_in_use(path: Path) -> str | None:
    """Name of the subfolder of the manifest that is there, if one is."""
    try:
        return json.loads((path / MANIFEST).read_text("utf-8"))["data"]
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
    for old in [entry for entry in path.iterdir() if _LEFT.fullmatch(entry.name)]:
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
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)  # a pipe would wait for a writer
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


def _write(file: Path, arrays: Mapping[str, NDArray[Any]]) -> WrittenFile:
    written = []
    _to_disk(file, lambda stream: written.append(write(stream, arrays)))
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
    except OSError as error:  # which does not say of what
        raise OSError(f"{path} could not be synced to the disk ({error}): save again") from error
    finally:
        os.close(handle)
