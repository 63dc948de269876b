"""Arrays that grow at the end and shrink anywhere, one copy of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

_SPARE = 1.5  # capacity over length; untouched pages of an empty buffer take no memory


@final
class GrowingArray:
    """Rows in a buffer with room at its end: appending costs amortised O(rows added).

    :meth:`appended` and :meth:`kept` make the changed array beside this one, which stays as it is, also where
    both share a buffer: whoever holds the old array may go on with it. :meth:`append` and :meth:`keep` put
    the changed rows in the place of the old ones by one assignment.

    The dtype widens where new values need it (longer text, float64 among float32). A buffer that came from
    a memory-mapped file is copied when it first changes.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._held = _Buffer(_with_room(values, len(values)), len(values)), len(values)

    @classmethod
    def of_file(cls, values: NDArray[Any], check: Callable[[], None] | None = None) -> GrowingArray:
        """Wrap rows, as of a memory-mapped file, without a copy; `check` is called before their first use."""
        return cls._of(_Buffer(values, len(values), check), len(values))

    @classmethod
    def of_texts(cls, n_rows: int, read: Callable[[], NDArray[np.object_]]) -> GrowingArray:
        """Text, as Python strings, that `read` gives when they are first needed."""
        return cls._of(_Buffer(None, n_rows, read=read), n_rows)

    @classmethod
    def _of(cls, buffer: _Buffer, length: int) -> GrowingArray:
        array = cls.__new__(cls)
        array._held = buffer, length
        return array

    def __len__(self) -> int:
        return self._held[1]

    @property
    def values(self) -> NDArray[Any]:
        """The rows, as a view."""
        buffer, length = self._held
        buffer.verify()
        return buffer.rows[:length]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows, which are not read for it."""
        return self._held[0].dtype

    @property
    def writeable(self) -> bool:
        """Whether the buffer is its own: that of a file is not."""
        return bool(self._held[0].rows.flags.writeable)

    def appended(self, values: NDArray[Any]) -> GrowingArray:
        """These rows, and more at the end."""
        buffer, length = self._held
        end = length + len(values)
        dtype = np.result_type(buffer.dtype, values.dtype)
        if dtype != buffer.dtype or not buffer.has_room(length, end):
            buffer = _Buffer(_with_room(self.values, end, dtype), length)
        buffer.write(length, values)
        return self._of(buffer, end)

    def kept(self, mask: NDArray[np.bool_]) -> GrowingArray:
        """The rows where the mask is True, in their order: a copy of them."""
        values, length = self.values, int(np.count_nonzero(mask))
        rows = np.empty(_shape(values, length), dtype=values.dtype)
        np.compress(mask, values, axis=0, out=rows[:length])
        return self._of(_Buffer(rows, length), length)

    def append(self, values: NDArray[Any]) -> None:
        """Add rows at the end."""
        self._held = self.appended(values)._held

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the rows where the mask `kept` is False."""
        self._held = self.kept(kept)._held

    def __getstate__(self) -> dict[str, Any]:
        values = self.values.copy()
        return {"_buffer": values, "_length": len(values)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._held = _Buffer(state["_buffer"], state["_length"]), state["_length"]


@final
class _Buffer:
    """Rows of which the first `used` belong to some array; those behind them may be written once.

    Of text in a folder `rows` is None and `read` gives them.
    """

    def __init__(
        self,
        rows: NDArray[Any] | None,
        used: int,
        check: Callable[[], None] | None = None,
        read: Callable[[], NDArray[Any]] | None = None,
    ) -> None:
        self._rows, self._used, self._check, self._read = rows, used, check, read

    @property
    def rows(self) -> NDArray[Any]:
        """All rows, which are read now if they were not yet."""
        read = self._read  # once: another thread may come in between
        if read is not None:
            self._rows = read()
            self._read = None
        assert self._rows is not None
        return self._rows

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows."""
        return np.dtype(object) if self._read is not None else self.rows.dtype

    def has_room(self, start: int, end: int) -> bool:
        """Whether an array that ends at `start` can go on to `end`: no other has done so before."""
        return self._used == start and end <= len(self.rows) and self.rows.flags.writeable

    def write(self, start: int, values: NDArray[Any]) -> None:
        """Write rows behind those in use."""
        self._used = start + len(values)
        self.rows[start : self._used] = values

    def verify(self) -> None:
        """Call the check of the file that the rows came from, until it has passed once."""
        check = self._check  # once: another thread may come in between
        if check is not None:
            check()
            self._check = None


def _with_room(values: NDArray[Any], length: int, dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
    buffer = np.empty(_shape(values, length), dtype=values.dtype if dtype is None else dtype)
    buffer[: len(values)] = values
    return buffer


def _shape(values: NDArray[Any], length: int) -> tuple[int, ...]:
    return (int(length * _SPARE) + 64, *values.shape[1:])
