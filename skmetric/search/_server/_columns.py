"""Labels and metadata as typed columns of a server: what servers keep beside embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric.search._columns._types import (
    INTEGER,
    MAX_EXACT,
    REAL,
    TEXT,
    ColumnType,
    as_text,
    check_name,
    shown,
    type_of,
)
from skmetric.search._columns._values import column_of

ITEM_ID = "item_id"  # the column in which a search keeps the ids of its user
LABEL = "label"
MAX_NAME = 63  # bytes of a name of a column; PostgreSQL cuts longer ones
Columns = dict[str, NDArray[Any]]
Types = dict[str, ColumnType]


def typed_columns(
    columns: Mapping[str, Any] | None, n_items: int, reserved: tuple[str, ...]
) -> tuple[Columns, Types]:
    """Check columns (dict of name to array); return arrays of the types that servers keep, and the types."""
    arrays, types = {}, {}
    for name, values in (columns or {}).items():
        check_name(name)
        if name in reserved:
            raise ValueError(f"{name!r} is the name of a column that the index itself uses: rename yours")
        if len(name.encode()) > MAX_NAME:
            raise ValueError(
                f"column {name!r}: names have 1 to {MAX_NAME} bytes, for which the servers have room"
            )
        arrays[name], types[name] = _typed(name, values, n_items)
    return arrays, types


def _typed(name: str, values: Any, n_items: int) -> tuple[NDArray[Any], ColumnType]:
    array = column_of(f"column {name!r}", values)
    if array.shape != (n_items,):
        raise ValueError(f"column {name!r} must be one value for each of the {n_items} items")
    kind = type_of(array.dtype)
    if array.dtype == np.uint64 and len(array) and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"column {name!r} has a number beyond 64-bit integers: give it as text")
    return array if kind is TEXT else array.astype(kind.dtype), kind


def match_types(arrays: Columns, types: Types, stored: Types) -> Columns:
    """Columns as those that are `stored`; integers may come where reals are."""
    if types.keys() != stored.keys():
        raise ValueError(f"columns must be {sorted(stored)}, as when first filled; got {sorted(types)}")
    arrays = dict(arrays)
    for name, kind in types.items():
        if (kind, stored[name]) == (INTEGER, REAL):
            beyond = np.flatnonzero((arrays[name] > MAX_EXACT) | (arrays[name] < -MAX_EXACT))
            if len(beyond):
                raise ValueError(
                    f"column {name!r} holds real numbers, which do not tell {arrays[name][beyond[0]]} in row "
                    f"{beyond[0]} from its neighbours: give numbers up to 2**53, or keep the column as text"
                )
            arrays[name] = arrays[name].astype(np.float64)
        elif kind is not stored[name]:
            raise ValueError(f"column {name!r} holds {stored[name].name}; got {kind.name}")
    return arrays


def as_column(values: list[Any] | tuple[Any, ...], kind: ColumnType) -> NDArray[Any]:
    """Values that a driver gave as an array in the form that users get; None is NaN or NaT."""
    if kind is TEXT:
        return shown(as_text("" if value is None else value for value in values))
    return np.array(values, dtype=kind.dtype)


def dtypes_of(types: Mapping[str, ColumnType]) -> dict[str, np.dtype]:
    """Columns by dtype, as filters are checked against."""
    return {name: kind.dtype for name, kind in types.items()}
