"""Features kept in a folder: an image goes through a network once, in whatever order or process it comes.

An entry is one file, named by a digest of the network, of what is done to an image and of the image:
so entries are never stale, and writing one needs no lock. Processes share the images that are missing.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray
from torch import nn

from skmetric._images._images import Images
from skmetric._torch import pack_module
from skmetric._warning import warn

from ._claims import Claims, pause

__all__ = ["BLOCK", "FeatureCache", "digest_of_network"]

BLOCK = 512  # images that are run between two writings: what an interruption may lose


def digest_of_network(module: nn.Module) -> str:
    """Digest of a network's parts and weights, the same in each process."""
    try:
        packed = pack_module(module)
        packed.skeleton.eval()  # as it runs, whatever mode it is in
        return joblib.hash(packed, hash_name="sha1")
    except Exception as error:  # pickle raises what a module's own code raises
        raise ValueError(
            f"cache= needs a network that can be pickled, to tell it from others; {type(module).__name__} "
            f"cannot: {error}"
        ) from error


class FeatureCache:
    """Features of images in a folder.

    Parameters
    ----------
    folder : str or path-like
        Made if it is not there.
    context : str
        All that features depend on beside the image.

    Raises
    ------
    OSError
        If the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str], context: str) -> None:
        self._folder, self._context = Path(folder), hashlib.sha256(context.encode()).digest()

    def check_writable(self) -> None:
        """Refuse a folder that nothing can be written to, before a network runs in vain."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise OSError(
                error.errno, f"cache={str(self._folder)!r} cannot be written to: {error.strerror}"
            ) from error

    def features(
        self,
        images: Images | Any,
        run: Callable[[list[int]], NDArray[np.float32]],
        anew: Callable[[], NDArray[np.float32]],
        n_threads: int,
    ) -> NDArray[np.float32]:
        """Features of all images, of which only those that are not kept are run.

        Parameters
        ----------
        images : Images or Texts
            Checked.
        run : callable
            From row numbers to features (n_rows, n_features); gets each row once at most.
        anew : callable
            Gives the features of all images, if some that are kept do not fit the others.
        n_threads : int
            Threads that read files.

        Returns
        -------
        ndarray of shape (n, n_features), float32
            In the order of the rows.
        """
        n = len(images.rows)
        with ThreadPoolExecutor(n_threads) as pool:
            files = list(pool.map(lambda i: self._file(images, i), range(n)))
            first = {file: i for i, file in reversed(list(enumerate(files)))}  # a row of each different image
            found = dict(zip(first, pool.map(_read, first), strict=True))
        missing = [i for file, i in sorted(first.items(), key=lambda item: item[1]) if found[file] is None]
        problem = self._fill(found, files, missing, run) if missing else None
        if problem:
            warn(f"cache={str(self._folder)!r} cannot be written to ({problem}): features are not kept")
        widths = {len(features) for features in found.values() if features is not None}
        if len(widths) > 1:  # an entry that was replaced by another of the same form
            return anew()
        return np.stack([features for file in files if (features := found[file]) is not None])

    def _fill(
        self,
        found: dict[Path, NDArray[np.float32] | None],
        files: list[Path],
        missing: list[int],
        run: Callable[[list[int]], NDArray[np.float32]],
    ) -> str | None:
        """Run the rows that are missing, and wait for those that another process runs; why none is kept."""
        problem = None
        with Claims(self._folder) as claims:
            while missing:
                rows = list(islice((i for i in missing if claims.take(files[i])), BLOCK))
                rows = [i for i in rows if not self._came(found, files[i])]  # between the look and the claim
                for i, features in zip(rows, run(rows) if rows else (), strict=True):
                    found[files[i]] = features
                    problem = problem or _write(files[i], features)
                claims.release(files[i] for i in missing)
                waited_for = [i for i in missing if found[files[i]] is None]
                missing = [i for i in waited_for if not self._came(found, files[i])]
                if missing and len(rows) == 0:
                    pause()
        return problem

    def _came(self, found: dict[Path, NDArray[np.float32] | None], file: Path) -> bool:
        found[file] = _read(file)
        return found[file] is not None

    def _file(self, images: Images, i: int) -> Path:
        """Where the features of row `i` are kept, by what is in the image."""
        digest = hashlib.sha256(self._context)
        for part in _content(images, i):
            digest.update(part)
        name = digest.hexdigest()
        return self._folder / name[:2] / name[2:]


def _content(images: Any, i: int) -> Iterator[Any]:
    """What tells an image from others: bytes of a file, or shape and values of an array."""
    if images.kind == "text":
        yield images.rows[i].encode("utf-8", "surrogatepass")  # also half a pair, of which JSON may be cut
        return
    if images.kind == "path":
        yield b"file"
        yield Path(images.rows[i]).read_bytes()
        return
    pixels = np.ascontiguousarray(images.pixels([i])[0])
    yield f"{pixels.dtype.str} {pixels.shape}".encode()
    yield pixels.data


def _read(file: Path) -> NDArray[np.float32] | None:
    """Features of an entry; None if there is none or it is damaged."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    checksum, values = content[:4], content[4:]
    if len(values) == 0 or len(values) % 4 or zlib.crc32(values) != int.from_bytes(checksum, "little"):
        return None
    return np.frombuffer(values, "<f4").astype(np.float32)


def _write(file: Path, features: NDArray[np.float32]) -> str | None:
    """Write an entry as a whole or not at all; the reason if it cannot be."""
    values = features.astype("<f4").tobytes()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(zlib.crc32(values).to_bytes(4, "little") + values)
            os.replace(name, file)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        return error.strerror or str(error)
    return None
