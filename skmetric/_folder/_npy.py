"""Arrays in ``.npy`` files, as folders had them up to format version 4, which are still read."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import _arrays
from ._arrays import REMEDY, Mapped, StoredArrays, damaged, with_texts


class Written(NamedTuple):
    """A file as the manifest describes it; of the earliest folders nothing is known."""

    dtype: str | None = None
    shape: list[int] | None = None
    checksum: int | None = None


def read(data: Path, files: Mapping[str, Written], types: Mapping[str, str], verify: bool) -> StoredArrays:
    """Arrays of a folder; see :func:`skmetric._folder._arrays.read`."""
    opened = {name: _File(data / f"{name}.npy", written) for name, written in files.items()}
    for file in opened.values():
        if verify or file.size <= _arrays._SMALL:
            file.verify()
    arrays = {name: Mapped(file.values, file.verify, file.path) for name, file in opened.items()}
    return with_texts(arrays, types, verify)


class _File:
    """An array of a file, memory-mapped."""

    def __init__(self, path: Path, written: Written) -> None:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode):
            raise damaged(path, "it is a link, or no regular file: a folder holds files")
        self.path, self.size = path, found.st_size
        self._checksum = written.checksum
        try:
            values = np.load(path, mmap_mode="r", allow_pickle=False)
            self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        except FileNotFoundError:
            raise
        except Exception as error:  # of a damaged header NumPy raises whatever its parser does
            raise damaged(path, error) from error
        told = values.dtype.str, list(values.shape)
        if written.dtype is not None and told != (written.dtype, written.shape):
            raise ValueError(
                f"{path} holds {told[0]} {told[1]}, and manifest.json tells of {written.dtype} "
                f"{written.shape}: {REMEDY}"
            )
        self.values = values.view(np.ndarray)  # indexing a plain array gives plain arrays

    def verify(self) -> None:
        """Compare the file with its checksum, once."""
        if self._checksum is not None and zlib.crc32(self._bytes.data) != self._checksum:
            raise damaged(self.path, "its bytes do not have the checksum that manifest.json has")
        self._checksum = None
