"""Arrays that grow at the end and shrink anywhere, one copy of the data."""

from typing import final

import numpy as np

_SPARE = 1.5  # capacity over length; untouched pages of an empty buffer take no memory


@final
class GrowingArray:
    """Rows in one buffer with room at its end: appending costs amortised O(rows added).

    The dtype widens where new values need it (longer text, float64 among float32). A buffer that came from
    a memory-mapped file is copied when it first changes.
    """

    def __init__(self, values):
        self._buffer = _with_room(values, len(values))
        self._length = len(values)

    @classmethod
    def of_file(cls, values):
        """Wrap rows, as of a memory-mapped file, without a copy."""
        array = cls.__new__(cls)
        array._buffer, array._length = values, len(values)
        return array

    def __len__(self):
        return self._length

    @property
    def values(self):
        """The rows, as a view that the next change may overwrite."""
        return self._buffer[: self._length]

    @property
    def writeable(self):
        """Whether the buffer is its own: that of a file is not."""
        return self._buffer.flags.writeable

    def append(self, values):
        """Add rows at the end."""
        end = self._length + len(values)
        dtype = np.result_type(self._buffer.dtype, values.dtype)
        if end > len(self._buffer) or dtype != self._buffer.dtype or not self._buffer.flags.writeable:
            self._buffer = _with_room(self.values, end, dtype)
        self._buffer[self._length : end] = values
        self._length = end

    def keep(self, kept):
        """Drop the rows where the mask `kept` is False; the others close ranks in their order."""
        if not self._buffer.flags.writeable:
            self._buffer = _with_room(self.values, self._length)
        end = int(np.argmin(kept)) if not kept.all() else self._length
        for start in range(end, self._length, 4096):
            block = self._buffer[start : min(start + 4096, self._length)]
            block = block[kept[start : start + len(block)]]  # a copy: writing behind it is safe
            self._buffer[end : end + len(block)] = block
            end += len(block)
        self._length = end

    def __getstate__(self):
        return {"_buffer": self.values.copy(), "_length": self._length}


def _with_room(values, length, dtype=None):
    shape = (int(length * _SPARE) + 64, *values.shape[1:])
    buffer = np.empty(shape, dtype=values.dtype if dtype is None else dtype)
    buffer[: len(values)] = values
    return buffer
