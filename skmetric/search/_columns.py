"""Labels and metadata as typed columns of a server: what is stored, what is asked of it."""

from collections.abc import Iterable

import numpy as np

# numpy's kind -> the type of a column, and the values that it holds
KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "real", "U": "text", "M": "time"}
DTYPES = {"boolean": bool, "integer": np.int64, "real": np.float64, "text": str, "time": "datetime64[us]"}
ITEM_ID = "item_id"  # the column in which a search keeps the ids of its user


def typed_columns(columns, n_items, reserved):
    """Check columns (dict of name to array) and return them as arrays of the types of `DTYPES`, with kinds."""
    arrays, kinds = {}, {}
    for name, values in (columns or {}).items():
        if name in reserved:
            raise ValueError(f"the index has a column {name!r} of its own: rename that column")
        if not name or len(name.encode()) > 63 or "\0" in name:
            raise ValueError(f"column {name!r}: names have 1 to 63 bytes, for which the servers have room")
        arrays[name], kinds[name] = _typed(name, np.asarray(values), n_items)
    return arrays, kinds


def _typed(name, values, n_items):
    if values.shape != (n_items,):
        raise ValueError(f"column {name!r} must be one value for each of the {n_items} items")
    if values.dtype.kind in "OT" and all(isinstance(value, str) for value in values):
        values = values.astype(str)
    kind = KINDS.get(values.dtype.kind)
    if kind is None:
        raise ValueError(
            f"column {name!r} must hold numbers, booleans, dates or text, one type; got {values.dtype}"
        )
    if kind == "time" and np.isnat(values).any():
        raise ValueError(f"column {name!r} has no date in row {np.flatnonzero(np.isnat(values))[0]}")
    if values.dtype == np.uint64 and len(values) and values.max() > np.iinfo(np.int64).max:
        raise ValueError(f"column {name!r} has a number beyond 64-bit integers: give it as text")
    if kind == "text" and any("\0" in value for value in values.tolist()):
        raise ValueError(f"column {name!r} has text with a NUL character, which servers cannot hold")
    return values.astype(DTYPES[kind]), kind


def match_kinds(arrays, kinds, stored):
    """Columns as those that are `stored` (dict of name to kind); integers may come where reals are."""
    if kinds.keys() != stored.keys():
        raise ValueError(f"columns must be {sorted(stored)}, as when first filled; got {sorted(kinds)}")
    for name, kind in kinds.items():
        if (kind, stored[name]) == ("integer", "real"):
            arrays[name] = arrays[name].astype(np.float64)
        elif kind != stored[name]:
            raise ValueError(f"column {name!r} holds {stored[name]}; got {kind}")
    return arrays


def conditions(where, stored):
    """Check a filter and return ``[(name, kind, values)]``: each column must equal one of its values."""
    unknown = sorted(set(where or {}) - set(stored))
    if unknown:
        raise ValueError(f"where names {unknown[0]!r}, which is no column: there are {sorted(stored)}")
    return [(name, stored[name], _values(name, value, stored[name])) for name, value in (where or {}).items()]


def _values(name, value, kind):
    """The values that a condition allows, as Python's."""
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes) and np.ndim(value) > 0
    values = np.asarray(list(value) if several else [value])
    if values.dtype.kind in "OT" and len(values) and all(isinstance(one, str) for one in values):
        values = values.astype(str)
    given = kind if not len(values) else KINDS.get(values.dtype.kind)
    if given != kind and (given, kind) not in (("integer", "real"), ("real", "integer")):
        raise ValueError(f"where[{name!r}] must be {kind}, as the column is; got {value!r}")
    if given == "real" and kind == "integer":
        values = values[values == np.floor(values)]  # no integer equals the others
    return values.astype(DTYPES[kind]).tolist()
