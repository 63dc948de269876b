"""The types that columns of labels, ids and metadata may have, the same in memory and on every server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import is_cheap

MAX_EXACT = 2**53  # beyond, float64 does not tell one integer from the next


class ColumnType(NamedTuple):
    """What a column holds. Each server maps `name` to one of its types, once."""

    name: str
    noun: str  # of one value, in errors
    plural: str
    dtype: np.dtype  # in which servers give values back, text aside: `shown`
    kinds: str  # of numpy arrays

    def missing(self, values: NDArray) -> NDArray[np.bool_]:
        """Mask of the rows without a value: NaN among numbers, NaT among dates; other types have none."""
        if self is REAL:
            return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)
        return np.isnat(values) if self is TIME else np.zeros(len(values), dtype=bool)

    def __reduce__(self) -> tuple:
        return _named, (self.name,)  # one object of each type, after unpickling too


BOOLEAN = ColumnType("boolean", "a boolean", "booleans", np.dtype(bool), "b")
INTEGER = ColumnType("integer", "a number", "numbers", np.dtype(np.int64), "iu")
REAL = ColumnType("real", "a number", "numbers", np.dtype(np.float64), "f")
TEXT = ColumnType("text", "text", "text", np.dtype(object), "UTO")
TIME = ColumnType("time", "a date", "dates", np.dtype("datetime64[us]"), "M")
COLUMN_TYPES = {kind.name: kind for kind in (BOOLEAN, INTEGER, REAL, TEXT, TIME)}


def _named(name: str) -> ColumnType:
    return COLUMN_TYPES[name]


def type_of(dtype: np.dtype) -> ColumnType:
    """The type of a column by the dtype of its array."""
    return next(kind for kind in COLUMN_TYPES.values() if np.dtype(dtype).kind in kind.kinds)


def check_text(values: Iterable[str], what: str) -> None:
    """Refuse text that servers and files cannot hold: NUL, lone surrogates. `what` names the column."""
    for row, value in enumerate(values):
        fault = text_fault(value)
        if fault:
            raise ValueError(f"{what} has text with {fault} in row {row}, {value[:40]!r}: take it out")


def text_fault(value: str) -> str | None:
    """What is wrong with a text, in words."""
    if "\0" in value:
        return "a NUL character"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "a lone surrogate (which is no character)"
    return None


def check_name(name: object) -> None:
    """Refuse names of columns that no backend can keep."""
    if not isinstance(name, str) or not name:
        raise ValueError(f"column {name!r}: a name of a column is text of one character or more")
    if fault := text_fault(name):
        raise ValueError(f"column {name[:40]!r}: the name has {fault}: rename it")


def as_text(values: Iterable[str]) -> NDArray[np.object_]:
    """Text as an array of Python strings: one long text costs its own length, not that of all rows."""
    values = [str(value) for value in values]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def shown(values: NDArray) -> NDArray:
    """Text in the form that users get: fixed-width, or Python strings where one long text makes that dear."""
    if values.dtype != object:
        return values
    lengths = [len(value) for value in values.tolist()]
    return values.astype(str) if is_cheap(max(lengths, default=0), len(lengths), sum(lengths)) else values


def concatenated(parts: list[NDArray]) -> NDArray:
    """Parts of a column as one: some may be text in a fixed width, and others Python strings."""
    if any(part.dtype == object for part in parts):
        parts = [part.astype(object) for part in parts]
    return np.concatenate(parts)
