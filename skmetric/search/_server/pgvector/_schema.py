"""What the table of a PgVectorIndex looks like, read from the server's catalogue."""

from typing import NamedTuple

from ._sql import OWN, TYPES

_KIND_OF = {name: kind for kind, name in TYPES.items()}
_SCHEMA = """
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)::text FROM pg_attribute AS a
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_INDEX = """
    SELECT am.amname::text, array_to_string(c.reloptions, ',')::text,
    c.oid::regclass::text FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS am ON am.oid = c.relam
    WHERE i.indrelid = to_regclass(%s) AND am.amname IN ('hnsw', 'ivfflat')"""


class Schema(NamedTuple):
    """What the table looks like. `method` is that of its index, or None."""

    n_features: int
    kinds: dict
    method: str | None
    lists: int


def read_schema(connection, table, name):
    """The schema of a table, whose quoted name is bound; None if it is not there. `name` is for messages."""
    rows = dict(connection.execute(_SCHEMA, [table]).fetchall())
    if not rows:
        return None
    try:
        n_features = int(rows["embedding"].removeprefix("vector(").removesuffix(")"))
        kinds = {name: _KIND_OF[kind] for name, kind in rows.items() if name not in OWN}
        if not set(OWN) <= set(rows):
            raise KeyError
    except (KeyError, ValueError):
        raise ValueError(f"{name} was not made by PgVectorIndex: choose another name") from None
    method, lists = None, 1
    for found, options, _ in connection.execute(_INDEX, [table]).fetchall():
        method = found
        lists = int(dict(o.split("=") for o in options.split(",")).get("lists", 1)) if options else 1
    return Schema(n_features, kinds, method, lists)


def indexes_of(connection, table):
    """Names of the indexes over embeddings, quoted."""
    return [index for *_, index in connection.execute(_INDEX, [table]).fetchall()]
