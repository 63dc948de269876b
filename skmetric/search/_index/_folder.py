"""A folder of arrays and a manifest: no pickle, memory-mapped on load, replaced atomically.

``manifest.json`` names a format, its version and the subfolder that holds the arrays, one ``.npy`` file each,
with their types and shapes. A new save writes a new subfolder beside the old one, syncs it, and then replaces
the manifest, which is one rename: a reader or a crash sees the old state or the new one.
"""

import json
import os
import shutil
import time
import zlib
from pathlib import Path
from uuid import uuid4

import numpy as np

VERSION = 3
_MANIFEST = "manifest.json"
_DATA = "data-"
_STALE = 3600  # seconds after which what a save left that did not end is swept away


def write_folder(path, kind, content, arrays):
    """Write `content` (JSON) and `arrays` (dict of name to ndarray) as a folder of a `kind`."""
    path = Path(path)
    if path.exists() and not (path / _MANIFEST).is_file() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} exists and was not written by save: choose another folder")
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise TypeError(f"{', '.join(objects)} holds Python objects, which need pickle: use text or numbers")
    path.mkdir(parents=True, exist_ok=True)
    data = path / f"{_DATA}{uuid4().hex}"
    manifest = {
        "format": kind,
        "version": VERSION,
        "data": data.name,
        "arrays": _described(arrays),
        **content,
    }
    manifest["checksum"] = _checksum(manifest)
    text = json.dumps(manifest, indent=1).encode()
    data.mkdir()
    try:
        for name, array in arrays.items():
            _write(data / f"{name}.npy", lambda file, array=array: np.save(file, array, allow_pickle=False))
        _sync_folder(data)
        _write(path / f"{data.name}.json", lambda file: file.write(text))
        previous = _data_in_use(path)
        os.replace(path / f"{data.name}.json", path / _MANIFEST)
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        (path / f"{data.name}.json").unlink(missing_ok=True)
        raise
    _sync_folder(path)
    _sweep(path, data.name, previous)


def read_folder(path, kind):
    """Return the manifest and the arrays, memory-mapped, of a folder that `write_folder` wrote."""
    path = Path(path)
    manifest = _read_manifest(path, kind)
    while True:
        try:
            data = path / manifest["data"]
            described = manifest["arrays"].items()
            return manifest, {name: _read(data / f"{name}.npy", *expected) for name, expected in described}
        except FileNotFoundError as error:
            latest = _read_manifest(path, kind)
            if latest == manifest:  # else another process has saved in between
                raise FileNotFoundError(
                    f"{error.filename} is missing: the folder was copied in part, or edited"
                ) from error
            manifest = latest


def _read_manifest(path, kind):
    file = path / _MANIFEST
    if not file.is_file():
        raise FileNotFoundError(f"{path} has no {_MANIFEST}: it was not written by save")
    try:
        manifest = json.loads(file.read_text("utf-8"))
        found, version = manifest["format"], manifest["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is damaged ({error}): take it from a copy, or save anew") from error
    if found != kind:
        raise ValueError(f"{path} holds {found!r}; {kind!r} was asked for")
    if version != VERSION:
        remedy = (
            "upgrade skmetric" if version > VERSION else "fit anew and save, or read it with that version"
        )
        age = "newer" if version > VERSION else "older"
        raise ValueError(
            f"{path} is of format version {version}, {age} than version {VERSION}, which this skmetric "
            f"reads: {remedy}"
        )
    if manifest.pop("checksum", None) != _checksum(manifest):
        raise ValueError(f"{file} was edited after it was saved: take it from a copy, or save anew")
    return manifest


def _read(file, dtype, shape):
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{file} is damaged ({error}): take it from a copy, or save anew") from error
    if (array.dtype.str, list(array.shape)) != (dtype, shape):
        raise ValueError(
            f"{file} holds {array.dtype.str} {list(array.shape)}, and {_MANIFEST} tells of {dtype} {shape}: "
            "take it from a copy, or save anew"
        )
    return array.view(np.ndarray)  # a plain array over the map: indexing gives plain arrays


def _described(arrays):
    return {name: [array.dtype.str, list(array.shape)] for name, array in arrays.items()}


def _checksum(manifest):
    text = json.dumps(json.loads(json.dumps(manifest)), sort_keys=True)  # as it is once read again
    return zlib.crc32(text.encode())


def _data_in_use(path):
    """Name of the subfolder of the manifest that is there, if one is."""
    try:
        return json.loads((path / _MANIFEST).read_text("utf-8"))["data"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sweep(path, current, previous):
    """Remove the arrays that were replaced, and what is left of saves that did not end.

    Another process may be saving into the same folder: what is new and no manifest names yet stays.
    """
    for old in path.glob(f"{_DATA}*"):
        try:
            is_stale = time.time() - old.stat().st_mtime > _STALE
        except OSError:  # another process was here first
            continue
        if old.name != current and (old.name == previous or is_stale):
            if old.is_dir():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.unlink(missing_ok=True)


def _write(file, write):
    try:
        with open(file, "xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(
            f"{file} could not be written ({error}): is there room? What was saved before is as it was"
        ) from error


def _sync_folder(path):
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
