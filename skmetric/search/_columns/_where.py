"""Filters on columns: ``where={"shop": "A", "price": slice(None, 20), "sold": Not(None)}``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._checks import as_array

from ._not import Not
from ._types import BOOLEAN, INTEGER, REAL, TEXT, TIME, ColumnType, text_fault, type_of

_YEARS = 1, 9999  # of dates, as Python and the servers have them


class Condition(NamedTuple):
    """What one column must be: one of `values`, or, where these are None, from `low` to `high`.

    Values are plain Python ones that a column can hold exactly, dates numpy.datetime64[us]. An end of None is
    open; both ends are included; with two open ends every value passes, and no value passes where `values` is
    empty. An item without a value passes only with `or_missing`, and never where the condition is `negated`.
    """

    column: str
    type: ColumnType
    values: tuple | None
    low: Any = None
    high: Any = None
    or_missing: bool = False
    negated: bool = False

    def passes(self, values: NDArray) -> NDArray[np.bool_]:
        """Mask of the values of the column that meet the condition."""
        missing, met = self.type.missing(values), self._met(values)
        if self.negated:
            return ~met & ~missing
        return (met & ~missing) | (missing & self.or_missing)

    def _met(self, values: NDArray) -> NDArray[np.bool_]:
        if self.values is not None:
            return np.logical_or.reduce(
                [values == value for value in self.values], axis=0, initial=False
            ) | np.zeros(len(values), dtype=bool)
        mask = np.ones(len(values), dtype=bool)
        with np.errstate(over="ignore"):  # of 1e300 against float32
            if self.low is not None:
                mask &= np.asarray(values >= self.low, dtype=bool)
            if self.high is not None:
                mask &= np.asarray(values <= self.high, dtype=bool)
        return mask


def conditions(where: Mapping[str, Any], dtypes: Mapping[str, Any]) -> list[Condition]:
    """Conditions of a filter, checked against the dtypes of the columns that there are.

    Parameters
    ----------
    where : dict of str to value, list, slice, None or Not
        A value; several, any of which will do; ``slice(low, high)``, both ends included; None for items
        without a value, also in a list; or `Not` of these.
    dtypes : dict of str to dtype
        Columns.

    Returns
    -------
    list of Condition
        All of which an item must meet.

    Raises
    ------
    ValueError
        If a column is unknown or a value of another type than its column.

    Examples
    --------
    >>> import numpy as np
    >>> found = conditions({"shop": Not(["A", "B"])}, {"shop": np.dtype("U1")})
    >>> found[0].values, found[0].negated
    (('A', 'B'), True)
    """
    if not isinstance(where, Mapping) or not where:
        raise ValueError(f"where must be a dict of columns and the values they must have; got {where!r}")
    unknown = [name for name in where if name not in dtypes]
    if unknown:
        named = unknown[0][:40] if isinstance(unknown[0], str) else unknown[0]
        raise ValueError(f"where names a column {named!r} that is not there: there are {_list(dtypes)}")
    return [_condition(name, asked, dtypes) for name, asked in where.items()]


def _condition(name: str, asked: Any, dtypes: Mapping[str, Any]) -> Condition:
    if isinstance(asked, Not):
        if isinstance(asked.value, Not):
            raise ValueError(f"where[{name!r}] is Not of Not: give the value itself")
        return _condition(name, asked.value, dtypes)._replace(negated=True)
    kind = type_of(dtypes[name])
    if isinstance(asked, slice):
        if asked.step is not None or (asked.start is None and asked.stop is None):
            raise ValueError(
                f"where[{name!r}] must be slice(low, high) with one end or both; got {asked}. Not(None) "
                "finds all that have a value"
            )
        ends = [None if end is None else _checked(name, end, dtypes) for end in (asked.start, asked.stop)]
        return _range(name, kind, ends[0], ends[1], dtypes[name])
    several = _several(asked)
    if not several:
        raise ValueError(f"where[{name!r}] lists no value: nothing can pass")
    checked = [_checked(name, value, dtypes) for value in several if not _is_none(value)]
    exact = [_exactly(value, kind, dtypes[name]) for value in checked]
    values = tuple(value for value in exact if value is not None)
    return Condition(name, kind, values, or_missing=any(map(_is_none, several)))


def _several(asked: Any) -> list:
    asked = as_array(asked)  # of a tensor
    if isinstance(asked, np.ndarray) and not asked.ndim:
        asked = asked[()]
    if isinstance(asked, str | bytes | Mapping) or not isinstance(asked, Iterable):
        return [asked]
    return list(asked)


def _is_none(value: Any) -> bool:
    return value is None or type(value).__name__ == "NAType"


def _checked(name: str, value: Any, dtypes: Mapping[str, Any]) -> Any:
    """A value as a plain one, or what is wrong with it."""
    value = as_array(value)
    if isinstance(value, np.generic | np.ndarray) and not np.ndim(value) and value.dtype.kind not in "mM":
        value = value.item()
    wanted = type_of(dtypes[name]).noun
    if _noun(value) != wanted:
        hint = ": Not goes around a list, not into it" if isinstance(value, Not) else ""
        raise ValueError(
            f"where[{name!r}] is compared with {wanted}; got {value!r}{hint}. Columns: {_list(dtypes)}"
        )
    if wanted in ("a number", "a date") and value != value:
        raise ValueError(f"where[{name!r}] has {value!r}, which equals nothing: None finds what is missing")
    if wanted == "a date":
        return _date(name, value)
    if wanted == "text":
        if text_fault(value):
            raise ValueError(f"where[{name!r}] has {text_fault(value)} in {value[:40]!r}, as no column has")
        return str(value)
    return value


def _date(name: str, value: Any) -> np.datetime64:
    if isinstance(value, datetime) and value.tzinfo is not None:
        raise ValueError(f"where[{name!r}] has a date of a time zone, {value}: convert it to UTC without one")
    value = np.datetime64(value)
    year = int(value.astype("datetime64[Y]").astype(np.int64)) + 1970
    if not _YEARS[0] <= year <= _YEARS[1]:
        raise ValueError(f"where[{name!r}] has the date {value}: years go from {_YEARS[0]} to {_YEARS[1]}")
    return value


def _exactly(value: Any, kind: ColumnType, dtype: Any) -> Any:
    """The value in the column's type; None where no value of that type equals it."""
    if kind is INTEGER:
        low, high = _limits(dtype)
        return int(value) if low <= value <= high and value == int(value) else None
    if kind is REAL:
        return _as_float(value) if _as_float(value) == value else None
    if kind is TIME:
        return value.astype("datetime64[us]") if value.astype("datetime64[us]") == value else None
    return value


def _range(name: str, kind: ColumnType, low: Any, high: Any, dtype: Any) -> Condition:
    """A range whose ends are values that the column can hold."""
    if kind is BOOLEAN:
        ends = (False if low is None else low), (True if high is None else high)
        return Condition(name, kind, tuple(v for v in (False, True) if ends[0] <= v <= ends[1]))
    if kind is INTEGER:
        return _range_of_integers(name, low, high, dtype)
    if kind is REAL:
        low, high = None if low is None else _up(low), None if high is None else _down(high)
    if kind is TIME:
        low = None if low is None else _to_microseconds(low, is_low=True)
        high = None if high is None else _to_microseconds(high, is_low=False)
    return Condition(name, kind, None, low, high)


def _range_of_integers(name: str, low: Any, high: Any, dtype: Any) -> Condition:
    least, most = _limits(dtype)
    nothing = Condition(name, INTEGER, ())
    if low is not None:
        if low > most:
            return nothing
        low = None if low <= least else math.ceil(low)
    if high is not None:
        if high < least:
            return nothing
        high = None if high >= most else math.floor(high)
    return Condition(name, INTEGER, None, low, high)


def _limits(dtype: Any) -> tuple[int, int]:
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return math.inf if value > 0 else -math.inf


def _up(value: Any) -> float:
    """The least float that is not below a number."""
    number = _as_float(value)
    return number if number >= value else math.nextafter(number, math.inf)


def _down(value: Any) -> float:
    """The largest float that is not above a number."""
    number = _as_float(value)
    return number if number <= value else math.nextafter(number, -math.inf)


def _to_microseconds(value: np.datetime64, is_low: bool) -> np.datetime64:
    rounded = value.astype("datetime64[us]")
    step = np.timedelta64(1, "us")
    if is_low:
        return rounded + step if rounded < value else rounded
    return rounded - step if rounded > value else rounded


def _noun(value: Any) -> str:
    if isinstance(value, bool):
        return BOOLEAN.noun
    if isinstance(value, Real):
        return REAL.noun
    if isinstance(value, date | np.datetime64):
        return TIME.noun
    return TEXT.noun if isinstance(value, str) else "of no type that columns have"


def _list(dtypes: Mapping[str, Any]) -> str:
    nouns = {name: type_of(dtype).noun.split()[-1] for name, dtype in dtypes.items()}
    return ", ".join(f"{name!r} ({noun})" for name, noun in nouns.items()) or "no columns"
