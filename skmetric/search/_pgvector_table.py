"""The table of a PgVectorIndex: its schema, and each call as one transaction."""

from typing import NamedTuple, final

import numpy as np

from skmetric._optional import import_optional
from skmetric.retrieval import Neighbors

from ._columns import DTYPES, match_kinds
from ._pgvector_sql import OWN, TYPES, Statements, VectorArray, decode, encode, register
from ._postgres import Server
from ._remote import check_found, gather, in_order
from ._requests import check_dimension

_KIND_OF = {name: kind for kind, name in TYPES.items()}
_COPIED = {"boolean": "bool", "integer": "int8", "real": "float8", "text": "text", "time": "timestamp"}
_SPARE = 4  # times k candidates where those of the index are ranked in half precision
_SCHEMA = """
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod)::text FROM pg_attribute AS a
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
_INDEX = """
    SELECT am.amname::text, coalesce(c.reltuples, 0)::float8, array_to_string(c.reloptions, ',')::text,
    c.oid::regclass::text FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS am ON am.oid = c.relam
    WHERE i.indrelid = to_regclass(%s) AND am.amname IN ('hnsw', 'ivfflat')"""


class Items(NamedTuple):
    """What is to be stored, checked."""

    ids: np.ndarray
    embeddings: np.ndarray
    columns: dict
    kinds: dict


class Schema(NamedTuple):
    """What the table looks like. `method` is that of its index, or None."""

    n_features: int
    kinds: dict
    method: str | None
    lists: int


@final
class Table:
    """Statements run on a server. What it knows of the schema, it has read there."""

    def __init__(self, conninfo, table):
        self.address = conninfo, table
        self._server, self._sql = Server(conninfo, table), Statements(table)
        self._errors = import_optional("psycopg.errors", extra="pgvector", purpose="PgVectorIndex")
        self._known = None

    @property
    def name(self):
        """Table and host, for messages."""
        return self._server.name

    def schema(self):
        """The schema; a ValueError if there is no table."""
        if self._known is None:
            with self._server.transaction() as connection:
                self._known = self._read_schema(connection)
        if self._known is None:
            raise ValueError(f"the index is empty: add embeddings first ({self.name} is not there)")
        return self._known

    def fill(self, items, design, replace=False):
        """Add items, or replace those whose ids are in use."""
        try:
            with self._server.transaction() as connection:
                made = self._make(connection, items)
                check_dimension(items.embeddings, made.n_features)
                arrays = match_kinds(dict(items.columns), items.kinds, made.kinds)
                (self._replace if replace else self._copy)(connection, items, arrays, made.kinds)
                if self._read_schema(connection).method is None:
                    self._make_index(connection, made, design(len(items.ids)))
                known = self._read_schema(connection)
        except self._errors.UniqueViolation as error:
            raise ValueError(
                f"{_in_use(error)} is in the index already ({self.name}): remove it first"
            ) from None
        self._known = known

    def remove(self, ids):
        """Delete items, all or none."""
        with self._server.transaction() as connection:
            gone = []
            if self._read_schema(connection) is not None:
                statement = self._sql.compose("DELETE FROM {table} WHERE id = ANY(%s::bigint[]) RETURNING id")
                gone = connection.execute(statement, [ids.tolist()]).fetchall()
            in_order(np.array([row[0] for row in gone], dtype=np.int64), ids)

    def nearest(self, embeddings, k, conditions, among, is_indexed, settings):
        """Neighbours; those that an index did not find enough of, by comparing with all."""
        if among is not None:
            in_order(self._ids(among), among)
        ask = self._asker(k, conditions, among, settings)
        found = ask(embeddings, is_indexed)
        if is_indexed:
            short = np.ones(len(found.indices), dtype=bool)
            if found.indices.shape[1] == k:
                short = (found.indices < 0).any(axis=1)
            if short.any():
                found = _with_rows(found, short, ask(embeddings[short], False))
        return check_found(found, k, self.count, bool(conditions) or among is not None)

    def _asker(self, k, conditions, among, settings):
        filter_, params = self._sql.found(conditions, among)
        n_features = self.schema().n_features
        depth = k if self._sql.operand(n_features) == "{}" else _SPARE * k

        def ask(embeddings, is_indexed):
            statement = self._sql.query(filter_, n_features, is_indexed, depth)
            bound = [VectorArray(embeddings), *params, depth if is_indexed else k, k]
            rows = self._server.read(statement, bound, settings if is_indexed else {}, prepare=register)
            query, ids, distances = zip(*rows, strict=True) if rows else ((), (), ())
            query = np.array(query, dtype=np.int64) - 1
            return gather(
                query, np.array(distances, dtype=float), np.array(ids, dtype=np.int64), len(embeddings)
            )

        return ask

    def vectors(self, ids):
        """Embeddings in the order of `ids`, or of coming."""
        n_features = self.schema().n_features
        if ids is None:
            rows = self._server.read(self._sql.compose("SELECT embedding FROM {table} ORDER BY position"))
            values = decode([row[0] for row in rows], n_features)
        else:
            statement = "SELECT id, embedding FROM {table} WHERE id = ANY(%s::bigint[])"
            rows = self._server.read(self._sql.compose(statement), [ids.tolist()])
            order = in_order(np.array([row[0] for row in rows], dtype=np.int64), ids)
            values = decode([row[1] for row in rows], n_features)[order]
        values.flags.writeable = False
        return values

    def columns(self, ids):
        """Ids, ascending, and columns."""
        kinds = self.schema().kinds
        names = ["id", *kinds]
        where = "" if ids is None else "WHERE id = ANY(%s::bigint[]) "
        statement = self._sql.compose(
            f"SELECT {{names}} FROM {{table}} {where}ORDER BY id", names=self._sql.names(names)
        )
        rows = self._server.read(statement, [] if ids is None else [ids.tolist()])
        values = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        arrays = [
            np.array(column, dtype=DTYPES[kind])
            for column, kind in zip(values[1:], kinds.values(), strict=True)
        ]
        return np.array(values[0], dtype=np.int64), dict(zip(kinds, arrays, strict=True))

    def new_ids(self, n_items):
        """Numbers of the sequence behind the positions."""
        self.schema()
        statement = "SELECT nextval(pg_get_serial_sequence(%s, 'position')) FROM generate_series(1, %s)"
        rows = self._server.read(statement, [self._name(), n_items])
        return np.sort(np.array([row[0] for row in rows], dtype=np.int64))

    def reindex(self, design):
        """Drop the index over embeddings, if there is one, and make that of the design."""
        schema = self.schema()
        with self._server.transaction() as connection:
            for *_, index in connection.execute(_INDEX, [self._name()]).fetchall():
                connection.execute(self._sql.raw(f"DROP INDEX {index}"))  # quoted by the server, as regclass
            n_items = connection.execute(self._sql.compose("SELECT count(*) FROM {table}"), ()).fetchone()[0]
            self._make_index(connection, schema, design(n_items))
            known = self._read_schema(connection)
        self._known = known

    def drop(self):
        """Drop the table."""
        with self._server.transaction() as connection:
            connection.execute(self._sql.compose("DROP TABLE IF EXISTS {table}"), ())
        self._known = None

    def count(self):
        """Number of items."""
        with self._server.transaction() as connection:
            if self._read_schema(connection) is None:
                return 0
            return connection.execute(self._sql.compose("SELECT count(*) FROM {table}"), ()).fetchone()[0]

    def _ids(self, ids):
        statement = self._sql.compose("SELECT id FROM {table} WHERE id = ANY(%s::bigint[])")
        return np.array([row[0] for row in self._server.read(statement, [ids.tolist()])], dtype=np.int64)

    def _name(self):
        return self._sql.quoted

    def _read_schema(self, connection):
        rows = dict(connection.execute(_SCHEMA, [self._name()]).fetchall())
        if not rows:
            return None
        try:
            n_features = int(rows["embedding"].removeprefix("vector(").removesuffix(")"))
            kinds = {name: _KIND_OF[kind] for name, kind in rows.items() if name not in OWN}
            if not set(OWN) <= set(rows):
                raise KeyError
        except (KeyError, ValueError):
            raise ValueError(f"{self.name} was not made by PgVectorIndex: choose another name") from None
        method, lists = None, 1
        for name, _, options, _ in connection.execute(_INDEX, [self._name()]).fetchall():
            method = name
            lists = int(dict(o.split("=") for o in options.split(",")).get("lists", 1)) if options else 1
        return Schema(n_features, kinds, method, lists)

    def _make(self, connection, items):
        """The schema of the table, which is made if it is not there."""
        schema = self._read_schema(connection)
        if schema is None:
            # one process makes it, others that come at the same time wait and find it
            connection.execute(
                "SELECT pg_advisory_xact_lock(hashtext('skmetric'), hashtext(%s))", [self._name()]
            )
            schema = self._read_schema(connection)
        if schema is None:
            self._make_extension(connection)
            connection.execute(self._sql.create(items.embeddings.shape[1], items.kinds), ())
            schema = Schema(items.embeddings.shape[1], items.kinds, None, 1)
        return schema

    def _make_extension(self, connection):
        if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
            return
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('skmetric'), 0)")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")

    def _make_index(self, connection, schema, design):
        method, options = design
        if method is not None:
            connection.execute(self._sql.index(method, schema.n_features, options), ())

    def _copy(self, connection, items, arrays, kinds, into=None):
        """Binary COPY. Its values have no types of their own: a vector goes as the bytes that it is."""
        names = ["id", "embedding", *kinds]
        statement = self._sql.copy(names, into)
        records = encode(items.embeddings)
        data, size = records.tobytes(), records.itemsize
        vectors = (data[start + 4 : start + size] for start in range(0, len(data), size))
        columns = [arrays[name].tolist() for name in kinds]
        with connection.cursor() as cursor, cursor.copy(statement, ()) as copy:
            copy.set_types(["int8", "bytea", *(_COPIED[kind] for kind in kinds.values())])
            for row in zip(items.ids.tolist(), vectors, *columns, strict=True):
                copy.write_row(row)

    def _replace(self, connection, items, arrays, kinds):
        names = ["id", "embedding", *kinds]
        connection.execute(self._sql.staging(names), ())
        self._copy(connection, items, arrays, kinds, into="skmetric_staging")
        connection.execute(self._sql.upsert(names), ())
        connection.execute("DROP TABLE skmetric_staging")


def _in_use(error):
    """What a violated key was, by the server's words: Key (id)=(7) already exists."""
    detail = error.diag.message_detail or ""
    name, _, value = detail.partition("=(")
    return (
        f"{name.removeprefix('Key (').removesuffix(')') or 'an id'} {value.removesuffix(') already exists.')}"
    )


def _with_rows(found, rows, others):
    """Neighbours with some rows replaced."""
    shape = len(found.indices), max(found.indices.shape[1], others.indices.shape[1])
    merged = Neighbors(np.full(shape, np.inf), np.full(shape, -1, dtype=np.int64))
    for into, old, new in zip(merged, found, others, strict=True):
        into[:, : old.shape[1]] = old
        into[rows, : new.shape[1]] = new
    return merged
