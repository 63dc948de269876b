"""Filters on columns: ``where={"shop": "A", "price": slice(None, 20)}``."""

from datetime import date
from numbers import Real
from typing import NamedTuple

import numpy as np

_KIND_OF_DTYPE = {"b": "a boolean", "i": "a number", "u": "a number", "f": "a number", "M": "a date"}


class Condition(NamedTuple):
    """What one column must be: one of `values`, or, where these are None, from `low` to `high`.

    Values are plain Python ones, dates numpy.datetime64. An end of None is open; both ends are included.
    """

    column: str
    values: tuple | None
    low: object = None
    high: object = None

    def passes(self, values):
        """Mask of the values of the column that meet the condition."""
        if self.values is not None:
            return np.logical_or.reduce([values == value for value in self.values])
        mask = np.ones(len(values), dtype=bool)
        if self.low is not None:
            mask &= values >= self.low
        if self.high is not None:
            mask &= values <= self.high
        return mask


def conditions(where, dtypes):
    """Conditions of a filter, checked against the dtypes of the columns that there are.

    Parameters
    ----------
    where : dict of str to value, list, tuple, set, ndarray or slice
        A value; several, any of which will do; or ``slice(low, high)``, both ends included.
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
    >>> conditions({"shop": ["A", "B"]}, {"shop": np.dtype("U1")})
    [Condition(column='shop', values=('A', 'B'), low=None, high=None)]
    """
    if not isinstance(where, dict) or not where:
        raise ValueError(f"where must be a dict of columns and the values they must have; got {where!r}")
    unknown = [name for name in where if name not in dtypes]
    if unknown:
        raise ValueError(f"where names a column {unknown[0]!r} that is not there: there are {_list(dtypes)}")
    return [_condition(name, asked, dtypes) for name, asked in where.items()]


def _condition(name, asked, dtypes):
    if isinstance(asked, slice):
        if asked.step is not None or (asked.start is None and asked.stop is None):
            raise ValueError(f"where[{name!r}] must be slice(low, high) with one end or both; got {asked}")
        ends = [None if end is None else _value(name, end, dtypes) for end in (asked.start, asked.stop)]
        return Condition(name, None, *ends)
    several = asked.tolist() if isinstance(asked, np.ndarray) and asked.dtype.kind != "M" else asked
    several = list(several) if isinstance(several, list | tuple | set | frozenset | np.ndarray) else [several]
    if not several:
        raise ValueError(f"where[{name!r}] lists no value: nothing can pass")
    return Condition(name, tuple(_value(name, value, dtypes) for value in several))


def _value(name, value, dtypes):
    """A value as a plain one of its column's type."""
    if isinstance(value, np.generic) and not isinstance(value, np.datetime64):
        value = value.item()
    wanted = _KIND_OF_DTYPE.get(np.dtype(dtypes[name]).kind, "text")
    if _kind(value) != wanted:
        raise ValueError(
            f"where[{name!r}] is compared with {wanted}; got {value!r}. Columns: {_list(dtypes)}"
        )
    return np.datetime64(value) if wanted == "a date" else value


def _kind(value):
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, Real):
        return "a number"
    if isinstance(value, date | np.datetime64):
        return "a date"
    return "text" if isinstance(value, str) else "of no type that columns have"


def _list(dtypes):
    kinds = {name: _KIND_OF_DTYPE.get(np.dtype(dtype).kind, "text") for name, dtype in dtypes.items()}
    return ", ".join(f"{name!r} ({kind.split()[-1]})" for name, kind in kinds.items()) or "no columns"
