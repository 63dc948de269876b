"""Values that users give for a column, as one array of one type: nothing is rounded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._types import BOOLEAN, MAX_EXACT, REAL, TEXT, TIME, ColumnType, as_text, check_text

_TYPES = "numbers, booleans, dates or text"
_INT64, _UINT64 = np.iinfo(np.int64), np.iinfo(np.uint64)


def column_of(what: str, values: Any, stored: ColumnType | None = None) -> NDArray[Any]:
    """An array of numbers, booleans, dates (datetime64[us]) or text (Python strings).

    Parameters
    ----------
    what : str
        The column, for messages: ``"metadata 'price'"``.
    values : array-like of shape (n_items,)
        An array, a list, a column of pandas, polars or pyarrow.
    stored : ColumnType, default=None
        The type of a column in which all is missing.

    Returns
    -------
    ndarray of shape (n_items,)
        Missing numbers are NaN, missing dates NaT. Integers stay integers where none is missing.

    Raises
    ------
    ValueError
        On mixed types, on text and booleans that are missing, and on numbers that would be rounded.
    """
    if isinstance(getattr(values, "dtype", None), np.dtype) and not isinstance(values, np.ma.MaskedArray):
        array = np.asarray(values)
        if array.dtype.kind in "biuf":
            return array
        if array.dtype.kind == "M":
            check_years(array, what)
            return array.astype("datetime64[us]")
    if getattr(values, "ndim", 1) != 1:
        raise ValueError(f"{what} must be a column, of one axis; got {values.ndim}")
    return _of_one_type(what, listed(values), stored)


def listed(values: Any) -> list[Any]:
    """Values as a list of Python's, None where a column of pandas, polars or pyarrow has none."""
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(values, method):
            found = getattr(values, method)()
            return found if isinstance(found, list) else [found]
    return list(values)


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas' NA."""
    if value is None or type(value).__name__ == "NAType":
        return True
    return isinstance(value, Real | date | np.datetime64) and bool(value != value)


def check_years(values: NDArray[np.datetime64], what: str) -> None:
    """Refuse dates outside the years 1 to 9999, which neither Python nor the servers have."""
    years = values.astype("datetime64[Y]").astype(np.int64) + 1970
    out = ~np.isnat(values) & ((years < 1) | (years > 9999))
    if out.any():
        row = int(np.flatnonzero(out)[0])
        raise ValueError(f"{what} has the date {values[row]} in row {row}: years go from 1 to 9999")


def _of_one_type(what: str, values: list[Any], stored: ColumnType | None) -> NDArray[Any]:
    missing = [row for row, value in enumerate(values) if is_missing(value)]
    gone = set(missing)
    plurals = {_plural(value) for row, value in enumerate(values) if row not in gone}
    if not plurals and stored is not None:
        plurals = {stored.plural}
    known = {kind.plural for kind in (BOOLEAN, REAL, TIME, TEXT)}
    if len(plurals) != 1 or not plurals <= known:
        if any(
            value is not None and not isinstance(value, str | bytes) and hasattr(value, "__len__")
            for value in values
        ):
            raise ValueError(f"{what} must be a column, of one axis; got 2")
        got = " and ".join(sorted(plurals)) or "no value"
        raise ValueError(f"{what} must be of one type: {_TYPES}; got {got}")
    plural = plurals.pop()
    if missing and plural in (TEXT.plural, BOOLEAN.plural):
        instead = "'' or a word of yours" if plural == TEXT.plural else "False, or numbers with NaN"
        raise ValueError(f"{what} has no value in row {missing[0]}: give {instead}")
    if plural == TEXT.plural:
        texts = [os.fspath(value) for value in values]
        check_text(texts, what)
        return as_text(texts)
    if plural == TIME.plural:
        return _dates(what, values, gone)
    if plural == BOOLEAN.plural:
        return np.array(values, dtype=bool)
    return _numbers(what, values, gone)


def _dates(what: str, values: Sequence[Any], gone: set[int]) -> NDArray[np.datetime64]:
    if any(getattr(value, "tzinfo", None) is not None for value in values):
        raise ValueError(f"{what} has dates of a time zone: convert them to UTC without one")
    nat = np.datetime64("NaT")
    for row, value in enumerate(values):
        if isinstance(value, np.datetime64) and row not in gone:
            check_years(np.array([value]), f"{what}, from row {row} on,")
    return np.array(
        [nat if row in gone else value for row, value in enumerate(values)], dtype="datetime64[us]"
    )


def _numbers(what: str, values: Sequence[Any], gone: set[int]) -> NDArray[Any]:
    whole = {row: int(value) for row, value in enumerate(values) if isinstance(value, Integral)}
    if len(whole) == len(values) and values:
        low, high = min(whole.values()), max(whole.values())
        if low >= _INT64.min and high <= _INT64.max:
            return np.array(list(whole.values()), dtype=np.int64)
        if low >= 0 and high <= _UINT64.max:
            return np.array(list(whole.values()), dtype=np.uint64)
        row = next(row for row, value in whole.items() if not _INT64.min <= value <= _INT64.max)
        raise ValueError(
            f"{what} has {whole[row]} in row {row}, beyond 64-bit integers: give the column as text"
        )
    beyond = [row for row, value in whole.items() if abs(value) > MAX_EXACT]
    if beyond:
        row = beyond[0]
        beside = f"a missing value in row {min(gone)}" if gone else "numbers that are not whole"
        raise ValueError(
            f"{what} has {whole[row]} in row {row} beside {beside}, so that it would be rounded: a column of "
            "integers beyond 2**53 must be whole and complete, or text"
        )
    return np.array(
        [np.nan if row in gone else float(value) for row, value in enumerate(values)], dtype=float
    )


def fitting(what: str, new: NDArray[Any], old: NDArray[Any]) -> NDArray[Any]:
    """New numbers of a column that `old` has begun, in a form in which neither of them is rounded."""
    if not {new.dtype.kind, old.dtype.kind} <= set("iuf") or "f" not in np.result_type(new, old).kind:
        return new
    if new.dtype.kind in "iu" and old.dtype.kind in "iu":  # int64 and uint64
        limits = np.iinfo(old.dtype)
        if len(new) and (int(new.min()) < limits.min or int(new.max()) > limits.max):
            raise ValueError(
                f"{what} is {old.dtype} since fit, too small for {new.max()}: give the column as text"
            )
        return new.astype(old.dtype)
    for values, when in ((new, "now"), (old, "since fit")):
        if values.dtype.kind in "iu" and len(values):
            beyond = (values > MAX_EXACT) | (values < -MAX_EXACT if values.dtype.kind == "i" else False)
            if beyond.any():
                raise ValueError(
                    f"{what} has {values[beyond][0]} {when}, which would be rounded beside missing values or "
                    "numbers that are not whole: give the column as text"
                )
    return new


def _plural(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return BOOLEAN.plural
    if isinstance(value, Real):
        return REAL.plural
    if isinstance(value, date | np.datetime64):
        return TIME.plural
    return TEXT.plural if isinstance(value, str | os.PathLike) else type(value).__name__
