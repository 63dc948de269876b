"""Who runs which image, where several processes fill one folder: each image goes through a network once.

An image is claimed by a file beside its entry, which names an owner: a file that the process touches every
few seconds. A claim whose owner has not been touched for a while is of a process that was killed, and counts
no longer. Times are those of the file system, so that machines need not agree on the time; where its clock
was set back, an owner that is not touched while another process waits counts as dead too. All of this only
saves work: two processes that run the same image after all write the same entry.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

_BEAT = 2.0  # seconds between two signs of life
_DEAD = 30.0  # seconds without one


class Claims:
    """Claims of this thread on entries of a folder; all of them end with the block.

    Parameters
    ----------
    folder : Path
        Of the entries. Where nothing can be written to it, every claim is granted.
    """

    def __init__(self, folder: Path) -> None:
        self._owner = folder / "running" / uuid.uuid4().hex
        self._mine: set[Path] = set()
        self._signs: dict[
            Path, tuple[float, float]
        ] = {}  # of others: last time, and when it was first met here
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        try:
            self._owner.parent.mkdir(parents=True, exist_ok=True)
            self._owner.touch()
        except OSError:
            self._ended.set()
        else:
            self._heart.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release(list(self._mine))
        if not self._ended.is_set():
            self._ended.set()
            self._heart.join()
        _delete(self._owner)

    def take(self, entry: Path) -> bool:
        """Claim an entry; False if a process that is alive has it."""
        if self._ended.is_set():
            return True
        claim = _claim_on(entry)
        for _ in range(2):
            try:
                claim.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                if self._is_alive(claim):
                    return False
                try:
                    claim.unlink(missing_ok=True)
                except OSError:  # of a user whose files this one may not delete: do not wait for the dead
                    return True
            except OSError:
                return True
            else:
                with os.fdopen(handle, "w") as stream:
                    stream.write(self._owner.name)
                self._mine.add(entry)
                return True
        return False

    def release(self, entries: Iterable[Path]) -> None:
        """Give claims of this thread back."""
        for entry in entries:
            if entry in self._mine:
                self._mine.discard(entry)
                _delete(_claim_on(entry))

    def _is_alive(self, claim: Path) -> bool:
        """Whether the owner of a claim gave a sign of life not long ago."""
        try:
            name = claim.read_text()
            sign = self._owner.with_name(name) if name else claim  # a claim that is being written has no name
            last = sign.stat().st_mtime
            is_recent = self._owner.stat().st_mtime - last < _DEAD
        except OSError:  # it ended this moment
            return False
        now = time.monotonic()
        known, since = self._signs.get(sign, (None, now))
        if known != last:
            self._signs[sign] = last, (since := now)
        return is_recent and now - since < _DEAD

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            try:
                os.utime(self._owner)
            except OSError:  # the folder was deleted: so are the claims
                return


def pause() -> None:
    """Wait a moment for others."""
    time.sleep(0.05)


def _delete(file: Path) -> None:
    with suppress(OSError):
        file.unlink()


def _claim_on(entry: Path) -> Path:
    return entry.with_name(f".{entry.name}.claim")
