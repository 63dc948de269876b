"""What the table of a PgVectorIndex looks like, read from the server's catalogue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from skmetric.search._server._columns import Types
from skmetric.search._server._store import Opened

from ._design import OPERATORS, STORAGES, Version, version_of
from ._sql import OWN, TYPES

_TYPE_OF = {name: kind for kind, name in TYPES.items()}
_PRECISION_OF = {operators: precision for precision, operators in OPERATORS.items()}
_SCHEMA = """
    WITH RECURSIVE parts(number) AS (SELECT to_regclass(%s)::oid UNION ALL
    SELECT inhrelid FROM pg_inherits JOIN parts ON inhparent = number)
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)::text,
    a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attrelid::bigint,
    obj_description(a.attrelid, 'pg_class')::text,
    (SELECT extversion FROM pg_extension WHERE extname = 'vector')::text,
    ARRAY(SELECT number::bigint FROM parts) FROM pg_attribute AS a
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_INDEX = """
    SELECT am.amname::text, array_to_string(c.reloptions, ',')::text,
    o.opcname::text, c.oid::regclass::text FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS am ON am.oid = c.relam
    JOIN pg_opclass AS o ON o.oid = i.indclass[0]
    WHERE i.indrelid = to_regclass(%s) AND am.amname IN ('hnsw', 'ivfflat')"""


_COMMENT = """
    SELECT pg_has_role(relowner, 'USAGE'), obj_description(oid, 'pg_class')::text
    FROM pg_class WHERE oid = to_regclass(%s)"""
OURS = "skmetric embedder: "  # how a comment begins that is not somebody else's


class Schema(NamedTuple):
    """What the table looks like. `method` and `precision` are those of its index, if it has one."""

    n_features: int
    types: Types
    method: str | None
    lists: int
    precision: str
    storage: str  # type of the column
    version: Version  # of pgvector
    opened: Opened
    answering: frozenset[int]  # numbers of the table and of its partitions, if it has some


def read_schema(connection: Any, table: str, name: str) -> Schema | None:
    """The schema of a table, whose quoted name is bound; None if it is not there. `name` is for messages.

    Columns that may be NULL or have a default are left alone: somebody else has added them.
    """
    rows = connection.execute(_SCHEMA, [table, table]).fetchall()
    if not rows:
        return None
    found = {column: kind for column, kind, *_ in rows}
    storage, _, size = found.get("embedding", "").removesuffix(")").partition("(")
    if not set(OWN) <= set(found) or storage not in STORAGES.values() or not size.isdigit():
        raise ValueError(f"{name} was not made by PgVectorIndex: choose another name")
    needed = {column: kind for column, kind, is_needed, *_ in rows if is_needed and column not in OWN}
    for column, kind in needed.items():
        if kind not in _TYPE_OF:
            raise ValueError(
                f"{name} has a column {column!r} of type {kind} that must not be empty, and PgVectorIndex "
                "has no values for it: give it a default, or let it be NULL"
            )
    types = {column: _TYPE_OF[kind] for column, kind in needed.items()}
    method, lists, precision = None, 1, "full"
    for found_method, options, operators, _ in _indexes(connection, table):
        method, precision = found_method, _PRECISION_OF[operators]
        lists = int(dict(o.split("=") for o in options.split(",")).get("lists", 1)) if options else 1
    *_, oid, comment, version, answering = rows[0]
    opened = Opened(oid, _unwrapped(comment))
    index = (method, lists, precision)
    return Schema(int(size), types, *index, storage, version_of(version), opened, frozenset(answering))


def read_version(connection: Any) -> Version:
    """The version of pgvector in this database; empty where it is not installed."""
    found = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    return version_of(found[0] if found else None)


def read_comment(connection: Any, table: str) -> str | None:
    """What `write_comment` wrote about a table; None if nothing."""
    found = connection.execute(_COMMENT, [table]).fetchone()
    return _unwrapped(found[1]) if found else None


def write_comment(connection: Any, table: str, text: str | None, statement: Callable[[str], Any]) -> None:
    """Write a comment on a table, or take it off, unless it is another's table or has another's comment.

    `statement` gives the statement with a literal in it: COMMENT takes no parameters.
    """
    found = connection.execute(_COMMENT, [table]).fetchone()
    if found is None or not found[0] or not (found[1] or OURS).startswith(OURS):
        return
    connection.execute(statement("" if text is None else OURS + text), ())  # an empty one is none


def indexes_of(connection: Any, table: str) -> list[str]:
    """Names of the indexes over embeddings, quoted."""
    return [index for *_, index in _indexes(connection, table)]


def _indexes(connection: Any, table: str) -> list[tuple]:
    """Indexes that searches use; those of other distances are somebody else's."""
    rows = connection.execute(_INDEX, [table]).fetchall()
    return [row for row in rows if row[2] in _PRECISION_OF]


def _unwrapped(comment: str | None) -> str | None:
    return comment.removeprefix(OURS) if comment is not None and comment.startswith(OURS) else None
