"""What new items must be like: ids, labels and metadata against those that a gallery has."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric.search._columns._types import as_text, check_text, text_fault
from skmetric.search._columns._values import fitting, is_missing, listed

from ._labels import is_text
from ._metadata import check_kind, check_metadata


class Layout(NamedTuple):
    """What items are like: whether the ids that users gave are text, whether labels are, and columns."""

    has_text_ids: bool | None  # None without ids of the user
    has_text_labels: bool | None  # None without labels
    columns: dict[str, NDArray[Any]]  # those that are there; of a server empty ones of its types

    def check(
        self, n_items: int, ids: Any, labels: NDArray[Any] | None, metadata: Any, is_update: bool = False
    ) -> tuple[NDArray[Any] | None, NDArray[Any] | None, dict[str, NDArray[Any]]]:
        """Return ids, labels and columns of new items as arrays, or say what is wrong with them."""
        if not is_update and (self.has_text_ids is None) != (ids is None):
            raise ValueError(
                "ids must be given each time or never: at fit they were" + " not" * (ids is not None)
            )
        if (self.has_text_labels is None) != (labels is None):
            had = (
                "without labels: refit to give some"
                if self.has_text_labels is None
                else "with labels: give y"
            )
            raise ValueError(f"the gallery was fitted {had}")
        if ids is not None:
            ids = check_user_ids(ids, n_items)
            if is_text(ids) != bool(self.has_text_ids):
                raise ValueError("ids must be all integers or all text: those at fit were of the other kind")
        if labels is not None and is_text(labels) != self.has_text_labels:
            raise ValueError(
                "y holds labels of another type than at fit, text on one side only: convert them to one"
            )
        columns = check_metadata(metadata, n_items, {name: old.dtype for name, old in self.columns.items()})
        if columns.keys() != self.columns.keys():
            raise ValueError(
                f"metadata must have the columns given at fit, {sorted(self.columns)}; got {sorted(columns)}"
            )
        return ids, labels, self.fitted(columns)

    def described(self, n_items: int, metadata: Any) -> dict[str, NDArray[Any]]:
        """New values of some of the columns, one or more."""
        columns = check_metadata(metadata, n_items, {name: old.dtype for name, old in self.columns.items()})
        unknown = sorted(columns.keys() - self.columns.keys())
        if unknown or not columns:
            raise ValueError(
                f"metadata must have columns given at fit, {sorted(self.columns)}; got {sorted(columns)}"
            )
        return self.fitted(columns)

    def fitted(self, columns: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """New values of some columns in the types of those that are there; nothing is rounded."""
        for name, values in columns.items():
            check_kind(name, values, self.columns[name])
        return {
            name: fitting(f"metadata {name!r}", values, self.columns[name])
            for name, values in columns.items()
        }


def check_user_ids(ids: Any, n_items: int) -> NDArray[Any]:
    """Ids as an array of int64 or of Python strings, each once, or what is wrong with them."""
    if isinstance(ids, str | bytes) or getattr(ids, "ndim", 1) != 1:
        shape = np.shape(ids)
        raise ValueError(f"ids must be one for each of the {n_items} items; got shape {shape}")
    values = listed(ids)
    if len(values) != n_items:
        raise ValueError(f"ids must be one for each of the {n_items} items; got shape {(len(values),)}")
    missing = next((row for row, value in enumerate(values) if is_missing(value)), None)
    if missing is not None:
        raise ValueError(f"ids has no id in row {missing}: give one to each item, or none at all")
    if values and all(isinstance(value, str) for value in values):
        check_text(values, "ids")
        array = as_text(values)
    elif all(_is_integer(value) for value in values):
        beyond = [value for value in values if not -(2**63) <= value < 2**63]
        if beyond:
            raise ValueError(f"id {beyond[0]} is beyond 64-bit integers: give ids as text")
        array = np.array([int(value) for value in values], dtype=np.int64)
    else:
        kinds = sorted({type(value).__name__ for value in values})
        raise ValueError(f"ids must be integers or text, all of one kind; got {', '.join(kinds)}")
    refuse_duplicates(values)
    return array


def asked_ids(ids: Any, named_by: str | None = None) -> list[int | str]:
    """Ids of items that are asked for, one or several, as Python values; a KeyError if one can be no id.

    `named_by` is the parameter of a call that changes nothing; None is that of one that does.
    """
    what, end = (named_by, "") if named_by else ("ids", ": nothing was changed")
    if isinstance(ids, str | bytes | Integral) or not (hasattr(ids, "__iter__") or hasattr(ids, "tolist")):
        ids = [ids]
    values = listed(ids)
    for value in values:
        if not isinstance(value, str) and not _is_integer(value):
            raise KeyError(f"{what} has {value!r}, and ids are integers or text{end}")
        if isinstance(value, str) and text_fault(value):
            raise KeyError(f"{what} has {value[:40]!r} with {text_fault(value)}, as no id has{end}")
    return [value if isinstance(value, str) else int(value) for value in values]


def refuse_unknown(unknown: Sequence[Any], named_by: str | None = None) -> None:
    """Refuse ids that no item has; for `named_by` see `asked_ids`."""
    if not unknown:
        return
    more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
    if named_by is None:
        raise KeyError(f"id {unknown[0]!r} is not in the gallery{more}: nothing was changed")
    raise KeyError(f"{named_by} has id {unknown[0]!r}{more}, which no item of the gallery has: see ids_")


def refuse_duplicates(ids: Sequence[Any], named_by: str | None = None) -> None:
    """Refuse a list in which an id comes twice."""
    if len(set(ids)) < len(ids):
        seen: set[Any] = set()
        twice = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        where = f" in {named_by}" if named_by else ""
        raise ValueError(f"id {twice!r} comes more than once{where}: ids name one item each")


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
