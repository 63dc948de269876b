"""What the table of a PgVectorIndex looks like, read from the server's catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from skmetric.search._server._columns import Types

from ._sql import OWN, TYPES

_TYPE_OF = {name: kind for kind, name in TYPES.items()}
_SCHEMA = """
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)::text,
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' FROM pg_attribute AS a
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_INDEX = """
    SELECT am.amname::text, array_to_string(c.reloptions, ',')::text,
    c.oid::regclass::text FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS am ON am.oid = c.relam
    WHERE i.indrelid = to_regclass(%s) AND am.amname IN ('hnsw', 'ivfflat')"""


_COMMENT = """
    SELECT pg_has_role(relowner, 'USAGE'), obj_description(oid, 'pg_class')::text
    FROM pg_class WHERE oid = to_regclass(%s)"""
_OURS = "skmetric embedder: "  # how a comment begins that is not somebody else's


class Schema(NamedTuple):
    """What the table looks like. `method` is that of its index, or None."""

    n_features: int
    types: Types
    method: str | None
    lists: int


def read_schema(connection: Any, table: str, name: str) -> Schema | None:
    """The schema of a table, whose quoted name is bound; None if it is not there. `name` is for messages.

    Columns that may be NULL or have a default are left alone: somebody else has added them.
    """
    rows = connection.execute(_SCHEMA, [table]).fetchall()
    if not rows:
        return None
    found = {column: kind for column, kind, _ in rows}
    size = found.get("embedding", "").removeprefix("vector(").removesuffix(")")
    if not set(OWN) <= set(found) or not size.isdigit():
        raise ValueError(f"{name} was not made by PgVectorIndex: choose another name")
    needed = {column: kind for column, kind, is_needed in rows if is_needed and column not in OWN}
    for column, kind in needed.items():
        if kind not in _TYPE_OF:
            raise ValueError(
                f"{name} has a column {column!r} of type {kind} that must not be empty, and PgVectorIndex "
                "has no values for it: give it a default, or let it be NULL"
            )
    types = {column: _TYPE_OF[kind] for column, kind in needed.items()}
    n_features = int(size)
    method, lists = None, 1
    for found, options, _ in connection.execute(_INDEX, [table]).fetchall():
        method = found
        lists = int(dict(o.split("=") for o in options.split(",")).get("lists", 1)) if options else 1
    return Schema(n_features, types, method, lists)


def read_comment(connection: Any, table: str) -> str | None:
    """What `write_comment` wrote about a table; None if nothing."""
    found = connection.execute(_COMMENT, [table]).fetchone()
    text = found[1] if found else None
    return text.removeprefix(_OURS) if text is not None and text.startswith(_OURS) else None


def write_comment(connection: Any, table: str, text: str | None, statement: Callable[[str], Any]) -> None:
    """Write a comment on a table, or take it off, unless it is another's table or has another's comment.

    `statement` gives the statement with a literal in it: COMMENT takes no parameters.
    """
    found = connection.execute(_COMMENT, [table]).fetchone()
    if found is None or not found[0] or not (found[1] or _OURS).startswith(_OURS):
        return
    connection.execute(statement("" if text is None else _OURS + text), ())  # an empty one is none


def indexes_of(connection: Any, table: str) -> list[str]:
    """Names of the indexes over embeddings, quoted."""
    return [index for *_, index in connection.execute(_INDEX, [table]).fetchall()]
