"""Labels and metadata as typed columns of a server: what servers keep beside embeddings."""

import numpy as np

# numpy's kind -> the type of a column, and the values that it holds
KINDS = {"b": "boolean", "i": "integer", "u": "integer", "f": "real", "U": "text", "M": "time"}
DTYPES = {"boolean": bool, "integer": np.int64, "real": np.float64, "text": str, "time": "datetime64[us]"}
ITEM_ID = "item_id"  # the column in which a search keeps the ids of its user


def typed_columns(columns, n_items, reserved):
    """Check columns (dict of name to array) and return arrays of the types of `DTYPES`, with kinds."""
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


def dtypes_of(kinds):
    """Columns by dtype, as filters are checked against."""
    return {name: np.dtype(DTYPES[kind]) for name, kind in kinds.items()}


def plain(value):
    """A value of a filter as the drivers take it."""
    return value.astype("datetime64[us]").item() if isinstance(value, np.datetime64) else value
