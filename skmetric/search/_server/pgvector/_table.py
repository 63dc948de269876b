"""The table of a PgVectorIndex: each change as one transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from skmetric.exceptions import IndexUnavailableError
from skmetric.search._columns._types import BOOLEAN, INTEGER, REAL, TEXT, TIME
from skmetric.search._index._checks import check_dimension
from skmetric.search._index._hits import in_order
from skmetric.search._server._columns import ITEM_ID, Columns, Types, match_types
from skmetric.search._server._remote import HOLDS_ITEMS
from skmetric.search._server._store import Items, Keys, Mode, Opened, check_opened

from ._design import Design, check_version
from ._next_table import NextTable
from ._schema import Schema, indexes_of, read_version, write_comment
from ._sql import copied, encode, next_name, stored
from ._table_reading import TableReading

# of binary COPY, whose values bear no types: a date goes as the 8 bytes that it is
_COPIED = {BOOLEAN: "bool", INTEGER: "int8", REAL: "float8", TEXT: "text", TIME: "int8"}
_PAUSES = (0.1, 0.3)  # seconds before a call that the server stopped for another is made again
_SCHEMA_OF = """
    SELECT n.nspname::text, c.oid::bigint FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(%s)"""


@final
class Table(TableReading):
    """Statements that change a table, over those that read it."""

    def fill(self, items: Items, design: Design, mode: Mode = "add", expected: Opened | None = None) -> None:
        """Store items in one transaction.

        Two that store the same ids in another order wait for each other, until the server stops one: that
        one lets the other go first, and finds its items when it tries again.
        """
        for pause in _PAUSES:
            try:
                self._fill(items, design, mode, expected)
                return
            except IndexUnavailableError as error:
                if not isinstance(error.__cause__, self._errors.DeadlockDetected):
                    raise
            time.sleep(pause)
        self._fill(items, design, mode, expected)

    def _fill(self, items: Items, design: Design, mode: Mode, expected: Opened | None) -> None:
        try:
            with self._server.transaction() as connection:
                made = self._make(connection, items, design, is_start=mode == "start")
                check_opened(expected, made.opened, self.title)
                check_dimension(items.embeddings, made.n_features)
                arrays = match_types(items.columns, items.types, made.types)
                items = items._replace(embeddings=stored(items.embeddings, made.storage))
                if items.ids is None:
                    items = items._replace(ids=self._draw(connection, len(items.embeddings)))
                ids: Keys = items.ids  # type: ignore[assignment]  # drawn above
                if mode == "replace":
                    in_order(self._locked(connection, ids), ids)
                write = self._replace if mode in ("upsert", "replace") else self._copy
                write(connection, items, arrays, made.types)
                # from here on nobody can put another table under the name: was it done before?
                known = self._after(connection, made, expected)
                if known.method is None and design.method is not None:
                    self._make_index(connection, known, design, len(ids))
                    known = self._after(connection, made, expected)
        except self._errors.UniqueViolation as error:
            raise ValueError(
                f"{_in_use(error)} is in the index already ({self.title}): remove it first"
            ) from None
        self._known = known

    def _after(self, connection: Any, before: Schema, expected: Opened | None) -> Schema:
        """The schema of the table that a transaction has changed."""
        known: Schema = self._read_schema(connection)  # type: ignore[assignment]  # it is there
        check_opened(expected or before.opened, known.opened, self.title)
        return known

    def describe(self, ids: Keys, columns: Columns, types: Types) -> None:
        with self._server.transaction() as connection:
            made = self._read_schema(connection)
            if made is None:
                raise KeyError(f"id {ids[0]} is not in the index")
            in_order(self._locked(connection, ids), ids)
            arrays = match_types(
                columns, types, {name: made.types[name] for name in types if name in made.types}
            )
            names = ["id", *types]
            connection.execute(self._sql.staging(names), ())
            self._copy_rows(connection, names, [ids.tolist()], ["int8"], arrays, made.types, is_staged=True)
            connection.execute(self._sql.describe(names), ())
            connection.execute(self._sql.drop_staging(), ())

    def remove(self, ids: Keys) -> None:
        with self._server.transaction() as connection:
            there = np.empty(0, dtype=np.int64)
            if self._read_schema(connection) is not None:
                there = self._locked(connection, ids)
            in_order(there, ids)
            if len(ids):
                connection.execute(
                    self._sql.compose("DELETE FROM {table} WHERE id = ANY(%s::bigint[])"), [ids.tolist()]
                )

    def new_ids(self, n_items: int) -> Keys:
        """Numbers of the sequence of ids, in one round trip but where ids were given from outside it."""
        self.schema()
        with self._server.transaction() as connection:
            return self._draw(connection, n_items)

    def reindex(self, design: Design) -> None:
        """Drop the index over embeddings, if there is one, and make that of the design."""
        schema = self.schema()
        with self._server.transaction() as connection:
            for index in indexes_of(connection, self._name()):
                connection.execute(self._sql.raw(f"DROP INDEX {index}"))  # quoted by the server
            n_items = connection.execute(self._sql.compose("SELECT count(*) FROM {table}"), ()).fetchone()[0]
            self._make_index(connection, schema, design, n_items)
            known = self._read_schema(connection)
        self._known = known

    def successor(self, design: Design, text: str, expected: Opened | None) -> NextTable:
        """The table that will take the place of this one, of embeddings by the embedder of a `text`."""
        self._known = None
        check_opened(expected, self.opened, self.title)
        return NextTable(self._server, self._sql, self.schema(), design, text, self._forget)

    def _forget(self) -> None:
        self._known = None

    def keep_fingerprint(self, text: str | None) -> None:
        """Write it as a comment on the table; comments of others, and tables of other owners, stay."""
        with self._server.transaction() as connection:
            write_comment(connection, self._name(), text, self._sql.comment)
            self._known = self._read_schema(connection)

    def drop(self) -> None:
        with self._server.transaction() as connection:
            schema = connection.execute(_SCHEMA_OF, [self._name()]).fetchone()
            if schema is not None:  # what a call of reembed that was killed has left
                left = self._sql.beside(schema[0], next_name(schema[1]))
                connection.execute(left.compose("DROP TABLE IF EXISTS {table}"), ())
            connection.execute(self._sql.compose("DROP TABLE IF EXISTS {table}"), ())
        self._known = None

    def _draw(self, connection: Any, n_items: int) -> Keys:
        """New ids. Where some came from outside, the counter is first moved beyond them, under a lock."""
        drawn, highest = self._next(connection, n_items)
        if len(drawn) and drawn[0] <= highest:
            self._lock(connection)
            drawn, highest = self._next(connection, n_items)
            if drawn[0] <= highest:
                statement = "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)"
                connection.execute(statement, [self._name(), highest])
                drawn, _ = self._next(connection, n_items)
        return drawn

    def _next(self, connection: Any, n_items: int) -> tuple[Keys, int]:
        """Numbers of the counter, and the highest id in the table."""
        statement = (
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')), (SELECT coalesce(max(id), -1) FROM {table}) "
            "FROM generate_series(1, %s)"
        )
        rows = connection.execute(self._sql.compose(statement), [self._name(), n_items]).fetchall()
        return np.sort(np.array([row[0] for row in rows], dtype=np.int64)), rows[0][1] if rows else -1

    def _locked(self, connection: Any, ids: Keys) -> Keys:
        """Which of the ids there are; nobody else changes these until the transaction ends."""
        statement = "SELECT id FROM {table} WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE"
        rows = connection.execute(self._sql.compose(statement), [ids.tolist()]).fetchall()
        return np.array([row[0] for row in rows], dtype=np.int64)

    def _lock(self, connection: Any) -> None:
        """Wait for others who make, start or number this table."""
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('skmetric'), hashtext(%s))", [self._name()])

    def _make(self, connection: Any, items: Items, design: Design, is_start: bool = False) -> Schema:
        """The schema of the table, which is made if it is not there; at a start it must have no items."""
        schema = self._read_schema(connection)
        if schema is None or is_start:
            self._lock(connection)  # one process makes it, others that come at the same time wait and find it
            schema = self._read_schema(connection)
        if schema is None:
            self._make_extension(connection)
            check_version(read_version(connection), design.storage, self.title)
            create = self._sql.create(items.embeddings.shape[1], items.types, design.storage)
            connection.execute(create, ())
            schema = self._read_schema(connection)
            assert schema is not None  # just made
            return schema
        if is_start and connection.execute(self._sql.compose("SELECT 1 FROM {table} LIMIT 1"), ()).fetchone():
            raise ValueError(f"{self.title} {HOLDS_ITEMS}")
        return schema

    def _make_extension(self, connection: Any) -> None:
        if read_version(connection):
            return
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('skmetric'), 0)")
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        except (self._errors.UndefinedFile, self._errors.FeatureNotSupported) as error:
            raise ValueError(
                f"{self.title}: the server has no pgvector. Install it there, 0.8 or later "
                "(https://github.com/pgvector/pgvector)"
            ) from error

    def _make_index(self, connection: Any, schema: Schema, design: Design, n_items: int) -> None:
        if design.method is None:
            return
        precision = design.resolved(schema.n_features, schema.storage)
        for needed in (design.method, precision):
            check_version(schema.version, needed, self.title)
        options = design.options(n_items)
        connection.execute(self._sql.index(design.method, precision, schema.n_features, options), ())

    def _copy(
        self, connection: Any, items: Items, arrays: Columns, types: Types, is_staged: bool = False
    ) -> None:
        """Binary COPY. Its values bear no types: a vector goes as the bytes that it is."""
        records = encode(items.embeddings)  # in float16 for a column of halfvec
        data, size = records.tobytes(), records.itemsize
        vectors = (data[start + 4 : start + size] for start in range(0, len(data), size))
        own = [items.ids.tolist(), vectors]  # type: ignore[union-attr]
        names = ["id", "embedding", *types]
        self._copy_rows(connection, names, own, ["int8", "bytea"], arrays, types, is_staged)

    def _copy_rows(
        self,
        connection: Any,
        names: Sequence[str],
        own: Sequence[Any],
        own_types: Sequence[str],
        arrays: Columns,
        types: Types,
        is_staged: bool,
    ) -> None:
        """Rows of the index's own columns, and of columns of a user by name."""
        users = names[len(own) :]
        columns = [copied(arrays[name], types[name]) for name in users]
        with connection.cursor() as cursor, cursor.copy(self._sql.copy(names, is_staged), ()) as copy:
            copy.set_types([*own_types, *(_COPIED[types[name]] for name in users)])
            for row in zip(*own, *columns, strict=True):
                copy.write_row(row)

    def _replace(self, connection: Any, items: Items, arrays: Columns, types: Types) -> None:
        names = ["id", "embedding", *types]
        connection.execute(self._sql.staging(names), ())
        self._copy(connection, items, arrays, types, is_staged=True)
        connection.execute(self._sql.upsert(names), ())
        connection.execute(self._sql.drop_staging(), ())


def _in_use(error: Any) -> str:
    """What a violated key was, by the server's words: Key (id)=(7) already exists."""
    detail = error.diag.message_detail or ""
    name, _, value = detail.partition("=(")
    name = name.removeprefix("Key (").removesuffix(")") or "an id"
    return f"{'id' if name == ITEM_ID else name} {value.removesuffix(') already exists.')}"
