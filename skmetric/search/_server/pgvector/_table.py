"""The table of a PgVectorIndex: its schema, and each call as one transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from skmetric._optional import import_optional
from skmetric.exceptions import IndexUnavailableError
from skmetric.search._columns._types import BOOLEAN, INTEGER, REAL, TEXT, TIME, ColumnType
from skmetric.search._columns._where import Condition
from skmetric.search._index._checks import check_dimension
from skmetric.search._index._hits import Hits, in_order
from skmetric.search._server._columns import ITEM_ID, Columns, Types, as_column, match_types
from skmetric.search._server._remote import HOLDS_ITEMS
from skmetric.search._server._store import Items, Keys, Mode, Store

from ._postgres import Server
from ._schema import Schema, indexes_of, read_comment, read_schema, write_comment
from ._sql import Statements, VectorArray, copied, decode, encode, register

# of binary COPY, whose values bear no types: a date goes as the 8 bytes that it is
_COPIED = {BOOLEAN: "bool", INTEGER: "int8", REAL: "float8", TEXT: "text", TIME: "int8"}
_PAUSES = (0.1, 0.3)  # seconds before a call that the server stopped for another is made again
_SPARE = 4  # times k candidates where those of the index are ranked in half precision
Design = Callable[[int], tuple[str | None, dict[str, int]]]


@final
class Table(Store):
    """Statements run on a server. What it knows of the schema, it has read there."""

    def __init__(self, conninfo: str, table: str) -> None:
        self.address = conninfo, table
        self._sql = Statements(table)
        self._server = Server(conninfo, table)
        self.title = self._server.name
        self._errors = import_optional("psycopg.errors", extra="pgvector", purpose="PgVectorIndex")
        self._known: Schema | None = None

    @property
    def n_features(self) -> int:
        return self.schema().n_features

    @property
    def types(self) -> Types:
        return self.schema().types

    def schema(self) -> Schema:
        """The schema; a ValueError if there is no table."""
        if self._known is None:
            with self._server.transaction() as connection:
                self._known = self._read_schema(connection)
        if self._known is None:
            raise ValueError(f"the index is empty: add embeddings first ({self.title} is not there)")
        return self._known

    def fill(self, items: Items, design: Design, mode: Mode = "add") -> None:
        """Store items in one transaction.

        Two that store the same ids in another order wait for each other, until the server stops one: that
        one lets the other go first, and finds its items when it tries again.
        """
        for pause in _PAUSES:
            try:
                self._fill(items, design, mode)
                return
            except IndexUnavailableError as error:
                if not isinstance(error.__cause__, self._errors.DeadlockDetected):
                    raise
            time.sleep(pause)
        self._fill(items, design, mode)

    def _fill(self, items: Items, design: Design, mode: Mode) -> None:
        try:
            with self._server.transaction() as connection:
                made = self._make(connection, items, is_start=mode == "start")
                check_dimension(items.embeddings, made.n_features)
                arrays = match_types(items.columns, items.types, made.types)
                if items.ids is None:
                    items = items._replace(ids=self._draw(connection, len(items.embeddings)))
                ids: Keys = items.ids  # type: ignore[assignment]  # drawn above
                if mode == "replace":
                    in_order(self._locked(connection, ids), ids)
                write = self._replace if mode in ("upsert", "replace") else self._copy
                write(connection, items, arrays, made.types)
                if self._read_schema(connection).method is None:  # type: ignore[union-attr]
                    self._make_index(connection, made, design(len(ids)))
                known = self._read_schema(connection)
        except self._errors.UniqueViolation as error:
            raise ValueError(
                f"{_in_use(error)} is in the index already ({self.title}): remove it first"
            ) from None
        self._known = known

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

    def look_up(
        self,
        embeddings: NDArray[np.floating],
        k: int,
        names: Sequence[str],
        conditions: Sequence[Condition],
        among: Keys | None,
        options: tuple[bool, dict[str, Any]],
        is_ranked: bool,
    ) -> Hits:
        """Hits of all queries; where an index did not find enough, by comparing with all."""
        is_indexed, settings = options
        filter_, params = self._sql.found(conditions, among)
        n_features, types = self.n_features, self.types
        depth = k if self._sql.operand(n_features) == "{}" else _SPARE * k

        def ask(embeddings: NDArray[np.floating], is_indexed: bool) -> list[tuple]:
            statement = self._sql.query(filter_, n_features, is_indexed, names, types, is_ranked)
            bound = [VectorArray(embeddings), *params, depth if is_indexed else k, k]
            return self._ask(statement, bound, settings if is_indexed else {}, prepare=register)

        rows = ask(embeddings, is_indexed)
        if is_indexed:
            found = np.bincount([row[0] - 1 for row in rows], minlength=len(embeddings))
            short = np.flatnonzero(found < k)
            if len(short):
                more: Any = ((short[row[0] - 1] + 1, *row[1:]) for row in ask(embeddings[short], False))
                rows = [row for row in rows if found[row[0] - 1] == k]
                rows = sorted([*rows, *more], key=lambda row: row[0])
        queries, ids, distances, *columns = self._as_arrays(rows, [INTEGER, INTEGER, REAL], names)
        return Hits(queries - 1, ids, distances, dict(zip(names, columns, strict=True)))

    def vectors(self, ids: Keys | None) -> NDArray[np.float32]:
        n_features = self.n_features
        if ids is None:
            rows = self._ask(self._sql.compose("SELECT embedding FROM {table} ORDER BY position"))
            return _decoded([row[0] for row in rows], n_features)
        statement = "SELECT id, embedding FROM {table} WHERE id = ANY(%s::bigint[])"
        rows = self._ask(self._sql.compose(statement), [ids.tolist()])
        order = in_order(np.array([row[0] for row in rows], dtype=np.int64), ids)
        return _decoded([rows[row][1] for row in order], n_features)

    def columns(
        self, ids: Keys | None, names: Sequence[str] | None = None, conditions: Sequence[Condition] = ()
    ) -> tuple[Keys, Columns]:
        names = list(self.types) if names is None else names
        ids, columns, _ = self._read(names, False, *self._sql.found(conditions, ids))
        return ids, columns

    def contents(
        self, names: Sequence[str], with_vectors: bool = True, conditions: Sequence[Condition] = ()
    ) -> tuple[Keys, Columns, NDArray[np.float32] | None]:
        """Ids, columns and embeddings of all items, as they are at one moment, in order of their ids."""
        return self._read(names, with_vectors, *self._sql.found(conditions))

    def tally(self, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
        statement = "SELECT {names}, count(*) FROM {table} GROUP BY 1"
        rows = self._ask(self._sql.compose(statement, names=self._sql.values([name], self.types)))
        values, counts = self._as_arrays([row[::-1] for row in rows], [INTEGER], [name])[::-1]
        order = np.argsort(values, kind="stable")
        return values[order], counts[order]

    def new_ids(self, n_items: int) -> Keys:
        """Numbers of the sequence of ids, in one round trip but where ids were given from outside it."""
        self.schema()
        with self._server.transaction() as connection:
            return self._draw(connection, n_items)

    def known(self, ids: Keys) -> Keys:
        return self._read([], False, *self._sql.found((), ids))[0]

    def reindex(self, design: Design) -> None:
        """Drop the index over embeddings, if there is one, and make that of the design."""
        schema = self.schema()
        with self._server.transaction() as connection:
            for index in indexes_of(connection, self._name()):
                connection.execute(self._sql.raw(f"DROP INDEX {index}"))  # quoted by the server
            n_items = connection.execute(self._sql.compose("SELECT count(*) FROM {table}"), ()).fetchone()[0]
            self._make_index(connection, schema, design(n_items))
            known = self._read_schema(connection)
        self._known = known

    def fingerprint(self) -> str | None:
        """The comment on the table, if `keep_fingerprint` wrote it."""
        with self._server.transaction() as connection:
            return read_comment(connection, self._name())

    def keep_fingerprint(self, text: str | None) -> None:
        """Write it as a comment on the table; comments of others, and tables of other owners, stay."""
        with self._server.transaction() as connection:
            write_comment(connection, self._name(), text, self._sql.comment)

    def drop(self) -> None:
        with self._server.transaction() as connection:
            connection.execute(self._sql.compose("DROP TABLE IF EXISTS {table}"), ())
        self._known = None

    def count(self) -> int:
        with self._server.transaction() as connection:
            if self._read_schema(connection) is None:
                return 0
            return connection.execute(self._sql.compose("SELECT count(*) FROM {table}"), ()).fetchone()[0]

    def _read(
        self, names: Sequence[str], with_vectors: bool, filter_: Any, params: Sequence[Any]
    ) -> tuple[Keys, Columns, NDArray[np.float32] | None]:
        """Ids, ascending, columns and, where asked for, embeddings."""
        chosen = ["id", *names, *["embedding"] * with_vectors]
        statement = self._sql.compose(
            "SELECT {names} FROM {table} {filter} ORDER BY id",
            names=self._sql.values(chosen, self.types if names else {}),
            filter=filter_,
        )
        rows = self._ask(statement, params)
        vectors = None
        if with_vectors:
            vectors = _decoded([row[-1] for row in rows], self.n_features)
            rows = [row[:-1] for row in rows]
        ids, *columns = self._as_arrays(rows, [INTEGER], names)
        return ids, dict(zip(names, columns, strict=True)), vectors

    def _ask(self, statement: Any, params: Sequence[Any] = (), *args: Any, **options: Any) -> list[tuple]:
        """Rows of a query; what is known of a table that was dropped meanwhile is forgotten."""
        try:
            return self._server.read(statement, params, *args, **options)
        except ValueError as error:
            if isinstance(error.__cause__, self._errors.UndefinedTable | self._errors.UndefinedColumn):
                self._known = None
            raise

    def _as_arrays(
        self, rows: Sequence[tuple], kinds: Sequence[ColumnType], names: Sequence[str]
    ) -> list[NDArray[Any]]:
        """Columns of rows: first those of `kinds`, then those of the names."""
        kinds = [*kinds, *(self.types[name] for name in names)]
        columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
        return [as_column(column, kind) for column, kind in zip(columns, kinds, strict=True)]

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

    def _name(self) -> str:
        return self._sql.quoted

    def _read_schema(self, connection: Any) -> Schema | None:
        return read_schema(connection, self._name(), self.title)

    def _make(self, connection: Any, items: Items, is_start: bool = False) -> Schema:
        """The schema of the table, which is made if it is not there; at a start it must have no items."""
        schema = self._read_schema(connection)
        if schema is None or is_start:
            self._lock(connection)  # one process makes it, others that come at the same time wait and find it
            schema = self._read_schema(connection)
        if schema is None:
            self._make_extension(connection)
            connection.execute(self._sql.create(items.embeddings.shape[1], items.types), ())
            return Schema(items.embeddings.shape[1], items.types, None, 1)
        if is_start and connection.execute(self._sql.compose("SELECT 1 FROM {table} LIMIT 1"), ()).fetchone():
            raise ValueError(f"{self.title} {HOLDS_ITEMS}")
        return schema

    def _make_extension(self, connection: Any) -> None:
        if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'vector'").fetchone():
            return
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('skmetric'), 0)")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")

    def _make_index(self, connection: Any, schema: Schema, design: tuple[str | None, dict[str, int]]) -> None:
        method, options = design
        if method is not None:
            connection.execute(self._sql.index(method, schema.n_features, options), ())

    def _copy(
        self, connection: Any, items: Items, arrays: Columns, types: Types, is_staged: bool = False
    ) -> None:
        """Binary COPY. Its values bear no types: a vector goes as the bytes that it is."""
        records = encode(items.embeddings)
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


def _decoded(values: Sequence[bytes], n_features: int) -> NDArray[np.float32]:
    vectors = decode(values, n_features)
    vectors.flags.writeable = False
    return vectors
