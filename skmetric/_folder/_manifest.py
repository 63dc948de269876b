"""The manifest of a folder: a JSON file that says what the folder holds and ends with a digest of itself."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._arrays import REMEDY, Placed, WrittenFile
from ._safetensors import once

MANIFEST = "manifest.json"
VERSION = 5
FIRST_SAFETENSORS = 5  # before it each array was a .npy file
OLDEST = 2  # that is read: before 4 arrays have no checksum, before 3 no shape, nor the manifest a checksum
MAX_SIZE = 2**24  # bytes of a manifest that are read
_SEAL = b',\n "digest": "'
_OLD_SEAL = b',\n "checksum": '
_MISREAD = (ValueError, KeyError, TypeError, RecursionError)


def manifest_text(
    kind: str,
    data: str,
    files: Mapping[str, WrittenFile],
    placed: Mapping[str, Placed],
    types: Mapping[str, str],
    content: Mapping[str, Any],
) -> bytes:
    """The text of a manifest.

    Raises
    ------
    ValueError
        If it is longer than what is read.
    """
    manifest: dict[str, Any] = {
        "format": kind,
        "version": VERSION,
        "data": data,
        "files": {name: list(file) for name, file in files.items()},
        "arrays": {name: list(array) for name, array in placed.items()},
        "types": types,
    }
    if manifest.keys() & content.keys():
        raise ValueError(f"{sorted(manifest.keys() & content.keys())} are the manifest's own")
    manifest |= content
    text = sealed(manifest)
    if len(text) > MAX_SIZE:
        raise ValueError(f"the manifest would have {len(text)} bytes, and at most {MAX_SIZE} are read")
    return text


def sealed(manifest: Mapping[str, Any]) -> bytes:
    """The text of a manifest, at its end the SHA-256 of what comes before."""
    text = json.dumps(manifest, indent=1).encode().removesuffix(b"\n}")
    return text + _seal(text)


def read_manifest(path: Path, kind: str | None = None) -> dict[str, Any]:
    """Read the manifest of a folder, of one kind or of any.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged, was edited, or is of another kind or version.
    """
    file = path / MANIFEST
    raw = _raw(file)
    try:
        manifest = json.loads(raw.decode(), object_pairs_hook=once)
        found, version = manifest["format"], manifest["version"]
    except _MISREAD as error:
        raise ValueError(f"{file} is damaged ({error}): {REMEDY}") from error
    if type(version) is not int or not isinstance(found, str):
        raise ValueError(f"{file} is damaged (version {version!r} of {found!r}): {REMEDY}")
    if kind is not None and found != kind:
        raise ValueError(f"{path} holds {found!r}; {kind!r} was asked for")
    if not OLDEST <= version <= VERSION:
        remedy = (
            "upgrade skmetric" if version > VERSION else "fit anew and save, or read it with that version"
        )
        age = "newer" if version > VERSION else "older"
        raise ValueError(
            f"{path} is of format version {version}, {age} than version {VERSION}, which this skmetric "
            f"reads: {remedy}"
        )
    if not _is_sealed(raw, manifest, version):
        raise ValueError(f"{file} was edited after it was saved: {REMEDY}")
    manifest.pop("checksum", None)
    manifest.pop("digest", None)
    return manifest


def _raw(file: Path) -> bytes:
    """The bytes of a manifest, if it is a file of a size that can be one."""
    try:
        found = os.lstat(file)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{file.parent} has no {MANIFEST}: it was not written by save") from None
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{file} is damaged (it is a link, or no regular file): {REMEDY}")
    if found.st_size > MAX_SIZE:
        raise ValueError(f"{file} is damaged ({found.st_size} bytes; at most {MAX_SIZE} are read): {REMEDY}")
    return file.read_bytes()


def _seal(text: bytes) -> bytes:
    return _SEAL + hashlib.sha256(text).hexdigest().encode() + b'"\n}'


def _is_sealed(raw: bytes, manifest: dict[str, Any], version: int) -> bool:
    if version < 3:
        return True
    if version == 3:  # of the values, however they are laid out
        rest = {name: value for name, value in manifest.items() if name != "checksum"}
        return manifest.get("checksum") == zlib.crc32(json.dumps(rest, sort_keys=True).encode())
    if version == 4:
        text = raw.rpartition(_OLD_SEAL)[0]
        return raw == text + _OLD_SEAL + str(zlib.crc32(text)).encode() + b"\n}"
    text = raw.rpartition(_SEAL)[0]
    return raw == text + _seal(text)
