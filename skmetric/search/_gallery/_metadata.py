"""Columns that users give with items: of one type each, with paths among them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._input._groups import check_groups
from skmetric.search._columns._types import check_name, shown, type_of
from skmetric.search._columns._values import column_of

PATH = "path"
GROUPS = "groups"  # what an item must not be compared with: items of its class and of the same value here
_TAKEN = ("query", "rank", "id", "distance", "label")  # by the table of a lookup


def check_metadata(
    metadata: Any, n_items: int, stored: Mapping[str, np.dtype] | None = None
) -> dict[str, NDArray[Any]]:
    """Columns of a dict or a DataFrame as arrays of numbers, booleans, dates (datetime64[us]) or text.

    Those `stored` already (dict of name to dtype) tell the type of a column in which all is missing.
    """
    types = {name: type_of(dtype) for name, dtype in (stored or {}).items()}
    columns = {}
    for key, values in _columns(metadata).items():
        name = str(key)
        check_name(name)
        if name in columns:
            kind = type(key).__name__
            raise ValueError(f"metadata has two columns named {name!r}, as text and as a {kind}: rename one")
        if name in _TAKEN:
            raise ValueError(f"metadata {name!r}: lookups add a column of this name, rename yours")
        columns[name] = column_of(f"metadata {name!r}", values, types.get(name))
        if columns[name].shape != (n_items,):
            raise ValueError(f"metadata {name!r} must be one value for each of the {n_items} items")
    return columns


def check_kind(name: str, new: NDArray[Any], old: NDArray[Any]) -> None:
    """Refuse values of another type than a column has; one number may come where another is."""
    if type_of(new.dtype).plural != type_of(old.dtype).plural:
        raise ValueError(f"metadata {name!r} is {shown(old).dtype} since fit; got {shown(new).dtype}")


def with_paths(metadata: Any, X: Any) -> Any:
    """Metadata with a column of paths where `X` holds some, unless the user gave that column."""
    columns = _columns(metadata)
    if PATH not in columns and _are_paths(X):
        return {PATH: [os.fspath(item) for item in X], **columns}
    return metadata


def with_groups(metadata: Any, groups: Any, X: Any, stored: bool | None = None) -> Any:
    """Metadata with a column of groups, if there are groups.

    `stored` says whether the items that are there have groups: all have or none; None if there are no items.
    """
    columns = _columns(metadata)
    if groups is None:
        if stored and GROUPS not in columns:
            raise ValueError(
                "the items of the gallery have groups: give groups= for the new items too, one for each"
            )
        return metadata
    if GROUPS in columns:
        raise ValueError(
            f"groups= and a column {GROUPS!r} of metadata are both given, and are the same: leave one out"
        )
    if stored is False:
        raise ValueError("the items of the gallery have no groups: leave out groups=, or fit with groups")
    return {**columns, GROUPS: check_groups(groups, n_rows(X))}


def n_rows(X: Any) -> int | None:
    """Number of samples where it can be told without reading them; None for none."""
    shape = getattr(X, "shape", ())
    return (shape[0] if shape else len(X) if hasattr(X, "__len__") else 0) or None


def _columns(metadata: Any) -> dict[Any, Any]:
    if metadata is None:
        return {}
    names = metadata.keys() if hasattr(metadata, "keys") else getattr(metadata, "columns", None)
    if hasattr(metadata, "column_names"):  # a table of pyarrow, whose `columns` are the values
        names = metadata.column_names
    if names is None:
        raise ValueError(
            f"metadata must be a dict of columns or a DataFrame; got {type(metadata).__name__}: "
            "pandas.DataFrame makes one of a list of records"
        )
    return {name: metadata[name] for name in names}


def _are_paths(X: Any) -> bool:
    """Whether `X` is a sequence of paths: path-like objects, or text that names files."""
    if not isinstance(X, list | tuple) and (getattr(X, "ndim", 0) != 1 or X.dtype.kind not in "OUT"):
        return False
    return all(isinstance(x, os.PathLike) or (isinstance(x, str) and _is_file(x)) for x in X) and len(X) > 0


def _is_file(text: str) -> bool:
    try:
        return os.path.isfile(text)
    except ValueError:  # of NUL, or of a lone surrogate
        return False
