"""Columns as fields of a collection: types, names that Milvus takes, values, filters in its language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric.search._columns._types import BOOLEAN, INTEGER, REAL, TEXT, TIME, ColumnType
from skmetric.search._columns._where import Condition
from skmetric.search._server._columns import Types

OWN = ("id", "position", "embedding")
TYPES = {BOOLEAN: "BOOL", INTEGER: "INT64", REAL: "DOUBLE", TEXT: "VARCHAR", TIME: "INT64"}
TEXT_BYTES = 65_535
_TYPE_OF = {name: kind for kind, name in TYPES.items() if kind is not TIME}
_MAX_NAME = 255
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ENCODED = re.compile(r"skmetric_(name|time)_((?:[0-9a-f]{2})+)")
_WORDS = {"and", "or", "not", "in", "like", "true", "false", "exists", "is", "null", "isnull", "isnotnull"}
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PRESENT = {
    REAL: "({0} <= 0 or {0} > 0)",
    TIME: f"({{0}} > {np.iinfo(np.int64).min + 1})",
}  # not NaN, not NaT
_ALL, _NONE = "id >= 0", "id < 0"  # ids are 0 or more


def check_collection(name: object) -> None:
    """Refuse names that Milvus does not take, or that files and clusters take differently."""
    if not isinstance(name, str) or not _PLAIN.fullmatch(name) or len(name) > _MAX_NAME:
        raise ValueError(
            f"collection={name!r}: the name of a collection has 1 to {_MAX_NAME} letters of A to Z, digits "
            "and underscores, and does not begin with a digit"
        )


def field_of(name: str, kind: ColumnType) -> str:
    """The field of a column. Dates are integers to Milvus; a filter can name only fields with plain names."""
    if kind is TIME:
        return f"skmetric_time_{name.encode().hex()}"
    is_plain = _PLAIN.fullmatch(name) and name.lower() not in _WORDS and not _ENCODED.fullmatch(name)
    return name if is_plain else f"skmetric_name_{name.encode().hex()}"


def fields_of(types: Types) -> dict[str, str]:
    """The fields of columns, by name of the column."""
    return {name: field_of(name, kind) for name, kind in types.items()}


def columns_of(fields: Sequence[Mapping[str, Any]], title: str) -> tuple[Types, dict[str, str]]:
    """Columns of a collection, and the fields that hold them; those that others added are left alone.

    These are the ones that may be null or have a default.
    """
    types, held_in = {}, {}
    for field in fields:
        if field["name"] in OWN or field.get("nullable") or field.get("default_value") is not None:
            continue
        encoded = _ENCODED.fullmatch(field["name"])
        name = bytes.fromhex(encoded[2]).decode() if encoded else field["name"]
        kind = TIME if encoded and encoded[1] == "time" else _TYPE_OF.get(field["type"].name)
        if kind is None:
            raise ValueError(
                f"{title} has a field {name!r} of type {field['type'].name} that must not be null, and "
                "MilvusIndex has no values for it: give it a default, or let it be null"
            )
        types[name], held_in[name] = kind, field["name"]
    return types, held_in


def sent(name: str, values: NDArray[Any], kind: ColumnType) -> list[Any]:
    """Values of a column as Milvus takes them."""
    if kind is TIME:
        return values.astype("datetime64[us]").view(np.int64).tolist()
    if kind is TEXT:
        for row, value in enumerate(values.tolist()):
            if len(value.encode()) > TEXT_BYTES:
                raise ValueError(
                    f"column {name!r} has text of more than {TEXT_BYTES} bytes in row {row}, which Milvus "
                    "cannot hold: shorten it, or keep its path"
                )
    return values.tolist()


def received(values: Sequence[Any], kind: ColumnType) -> Any:
    """Values of a field as `as_column` takes them."""
    return np.array(values, dtype=np.int64).view("datetime64[us]") if kind is TIME else values


def expression(conditions: Sequence[Condition], among: NDArray[np.int64] | None = None) -> str:
    """A filter on fields as Milvus writes it, with values quoted: the embedded file takes no bound values."""
    parts = [_written(condition) for condition in conditions]
    if among is not None:
        parts.append(f"id in {among.tolist()}")
    return " and ".join(parts)


def _written(condition: Condition) -> str:
    """A condition; a column without a value meets none but that it is missing."""
    field = condition.column
    met = _met(field, condition)
    present = _PRESENT[condition.type].format(field) if condition.type in _PRESENT else _ALL
    if condition.negated:
        return f"({present} and not ({met}))"
    if condition.or_missing:
        return f"(({present} and ({met})) or not {present})" if present != _ALL else f"({met})"
    return f"({present} and ({met}))"


def _met(field: str, condition: Condition) -> str:
    if condition.values is not None:
        finite = [value for value in condition.values if value not in (np.inf, -np.inf)]
        finite += [-value for value in finite if isinstance(value, float) and value == 0]  # 0.0 is not -0.0 here
        parts = [f"{field} in [{', '.join(map(literal, finite))}]"] * bool(finite)
        parts += [f"{field} {_infinite(value)}" for value in condition.values if value in (np.inf, -np.inf)]
        return " or ".join(parts) or _NONE
    ends = ((condition.low, ">="), (condition.high, "<="))
    parts = [_end(field, sign, end) for end, sign in ends if end is not None]
    return " and ".join(parts) or _ALL


def _end(field: str, sign: str, end: Any) -> str:
    if end not in (np.inf, -np.inf):
        return f"{field} {sign} {literal(end)}"
    return f"{field} {_infinite(end)}" if (end > 0) == (sign == ">=") else _ALL


def _infinite(value: float) -> str:
    """Equal to infinity, for which Milvus has no word: beyond the largest number."""
    largest = float(np.finfo(np.float64).max)
    return f"> {largest!r}" if value > 0 else f"< {-largest!r}"


def literal(value: Any) -> str:
    """A number, boolean, date or text as Milvus writes it."""
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(letter, letter) for letter in value) + '"'
    if isinstance(value, np.datetime64):
        return str(int(value.astype("datetime64[us]").astype(np.int64)))
    return str(value).lower() if isinstance(value, bool) else repr(value)
