"""Columns that users give with items: of one type each, with paths among them."""

import os
from datetime import date
from numbers import Real

import numpy as np

from skmetric.search._index._columns import type_of

_PLAIN = "biufU"  # kinds of arrays that are kept as they are
_TYPES = "numbers, booleans, dates or text"
_KIND_OF_DTYPE = {"b": "booleans", "i": "numbers", "u": "numbers", "f": "numbers", "M": "dates", "U": "text", "O": "text"}
PATH = "path"
_TAKEN = ("query", "rank", "id", "distance", "label")  # by the table of a lookup


def check_metadata(metadata, n_items, stored=None):
    """Columns of a dict or a DataFrame as arrays of numbers, booleans, dates (datetime64[us]) or text.

    Those `stored` already (dict of name to dtype) tell the type of a column in which all is missing.
    """
    dtypes = stored or {}
    columns = {
        str(name): _column(str(name), values, dtypes.get(str(name)))
        for name, values in _columns(metadata).items()
    }
    for name, values in columns.items():
        if name in _TAKEN:
            raise ValueError(f"metadata {name!r}: a lookup has a column {name!r} of its own, rename yours")
        if values.shape != (n_items,):
            raise ValueError(f"metadata {name!r} must be one value for each of the {n_items} items")
    return columns


def check_kind(name, new, old):
    """Refuse values of another type than a column has; one number may stand for another."""
    numbers = "iuf"
    if type_of(new) is not type_of(old) and not (new.kind in numbers and old.kind in numbers):
        raise ValueError(f"metadata {name!r} is {old} since fit; got {new}")


def with_paths(metadata, X):
    """Metadata with a column of paths where `X` holds some, unless the user gave that column."""
    columns = _columns(metadata)
    if PATH not in columns and _are_paths(X):
        return {PATH: [os.fspath(item) for item in X], **columns}
    return metadata


def _columns(metadata):
    if metadata is None:
        return {}
    names = metadata.keys() if hasattr(metadata, "keys") else getattr(metadata, "columns", None)
    if names is None:
        raise ValueError(
            f"metadata must be a dict of columns or a DataFrame; got {type(metadata).__name__}: "
            "pandas.DataFrame makes one of a list of records"
        )
    return {name: metadata[name] for name in names}


def _are_paths(X):
    """Whether `X` is a sequence of paths: path-like objects, or text that names files."""
    if not isinstance(X, list | tuple) and (getattr(X, "ndim", 0) != 1 or X.dtype.kind not in "OUT"):
        return False
    is_file = os.path.isfile
    return all(isinstance(x, os.PathLike) or (isinstance(x, str) and is_file(x)) for x in X) and len(X) > 0


def _column(name, values, stored):
    if hasattr(values, "dtype"):
        values = np.asarray(values)
        if values.dtype.kind in _PLAIN:
            return values
        if values.dtype.kind == "M":
            return values.astype("datetime64[us]")
    values = np.asarray(values, dtype=object)
    if values.ndim != 1:
        raise ValueError(f"metadata {name!r} must be a column, of one axis; got {values.ndim}")
    return _of_one_type(name, values.tolist(), stored)


def _of_one_type(name, values, stored):
    """An array of Python values; what is missing is NaN among numbers and NaT among dates."""
    missing = [row for row, value in enumerate(values) if _is_missing(value)]
    gone = set(missing)
    kinds = {_kind(value) for row, value in enumerate(values) if row not in gone}
    if not kinds and stored is not None:
        kinds = {_KIND_OF_DTYPE[stored.kind]}
    if len(kinds) != 1 or not kinds <= {"numbers", "booleans", "dates", "text"}:
        got = " and ".join(sorted(kinds)) or "no value"
        raise ValueError(f"metadata {name!r} must be of one type: {_TYPES}; got {got}")
    kind = kinds.pop()
    if missing and kind in ("text", "booleans"):
        instead = "'' or a word of yours" if kind == "text" else "False, or numbers with NaN"
        raise ValueError(f"metadata {name!r} has no value in row {missing[0]}: give {instead}")
    if kind == "text":
        return np.array([os.fspath(value) for value in values], dtype=str)
    if kind != "dates":
        return np.array([np.nan if row in gone else value for row, value in enumerate(values)])
    if any(getattr(value, "tzinfo", None) is not None for value in values):
        raise ValueError(f"metadata {name!r} has dates of a time zone: convert them to UTC without one")
    return np.array(
        [np.datetime64("NaT") if row in gone else value for row, value in enumerate(values)],
        dtype="datetime64[us]",
    )


def _is_missing(value):
    return value is None or type(value).__name__ == "NAType" or (_kind(value) != "text" and value != value)


def _kind(value):
    if isinstance(value, bool | np.bool_):
        return "booleans"
    if isinstance(value, Real):
        return "numbers"
    if isinstance(value, date | np.datetime64):
        return "dates"
    return "text" if isinstance(value, str | os.PathLike) else type(value).__name__
