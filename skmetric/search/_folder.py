"""A folder of arrays and a manifest: no pickle, memory-mapped on load, replaced atomically.

``manifest.json`` names a format, its version and the subfolder that holds the arrays, one ``.npy`` file each.
A new save writes a new subfolder beside the old one, syncs it, and then replaces the manifest, which is one
rename: a reader or a crash sees the old state or the new one.
"""

import json
import os
import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np

VERSION = 2
_MANIFEST = "manifest.json"
_DATA = "data-"


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
    data.mkdir()
    try:
        for name, array in arrays.items():
            _write(data / f"{name}.npy", lambda file, array=array: np.save(file, array, allow_pickle=False))
        _sync_folder(data)
        manifest = {"format": kind, "version": VERSION, "data": data.name, "arrays": list(arrays), **content}
        text = json.dumps(manifest, indent=1).encode()
        _write(path / f"{data.name}.json", lambda file: file.write(text))
        os.replace(path / f"{data.name}.json", path / _MANIFEST)
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        (path / f"{data.name}.json").unlink(missing_ok=True)
        raise
    _sync_folder(path)
    for old in path.glob(f"{_DATA}*"):
        if old != data:
            shutil.rmtree(old, ignore_errors=True)


def read_folder(path, kind):
    """Return the manifest and the arrays, memory-mapped, of a folder that `write_folder` wrote."""
    path = Path(path)
    if not (path / _MANIFEST).is_file():
        raise FileNotFoundError(f"{path} has no {_MANIFEST}: it was not written by save")
    manifest = json.loads((path / _MANIFEST).read_text("utf-8"))
    if manifest.get("format") != kind:
        raise ValueError(f"{path} holds {manifest.get('format')!r}; {kind!r} was asked for")
    if manifest["version"] != VERSION:
        raise ValueError(
            f"{path} is of format version {manifest['version']}; this skmetric reads version {VERSION}"
        )
    data = path / manifest["data"]
    arrays = {name: _read(data / f"{name}.npy") for name in manifest["arrays"]}
    return manifest, arrays


def _read(file):
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    return array.view(np.ndarray)  # a plain array over the map: indexing gives plain arrays


def _write(file, write):
    with open(file, "xb") as stream:
        write(stream)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(path):
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
