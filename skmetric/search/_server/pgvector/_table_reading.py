"""What is read of the table of a PgVectorIndex: its schema, searches, and items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from skmetric._optional import import_optional
from skmetric.exceptions import IndexUnavailableError
from skmetric.search._columns._types import INTEGER, REAL, ColumnType
from skmetric.search._columns._where import Condition
from skmetric.search._index._checks import check_dimension
from skmetric.search._index._hits import Hits, in_order
from skmetric.search._server._columns import Columns, Types, as_column
from skmetric.search._server._store import Keys, Opened, Store, check_opened

from ._postgres import Server
from ._schema import Schema, read_comment, read_schema
from ._sql import Statements, VectorArray, decode, register

_TIMES = 3  # that a read is made where the table is replaced meanwhile
_Found = TypeVar("_Found")


class Looking(NamedTuple):
    """How a search looks: through the index of the table or at all items."""

    is_indexed: bool
    depth: int  # candidates of each query that are ranked by the embeddings kept
    settings: dict[str, Any]  # of the session


class TableReading(Store):
    """Statements that read on a server. What it knows of the schema, it has read there."""

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

    @property
    def opened(self) -> Opened:
        return self.schema().opened

    def schema(self) -> Schema:
        """The schema; a ValueError if there is no table."""
        if self._known is None:
            with self._server.transaction() as connection:
                self._known = self._read_schema(connection)
        if self._known is None:
            raise ValueError(f"the index is empty: add embeddings first ({self.title} is not there)")
        return self._known

    def look_up(
        self,
        embeddings: NDArray[np.floating],
        k: int,
        names: Sequence[str],
        conditions: Sequence[Condition],
        among: Keys | None,
        options: Callable[[Schema, int], Looking],
        is_ranked: bool,
        expected: Opened | None = None,
    ) -> Hits:
        """Hits of all queries; where an index did not find enough, by comparing with all.

        `options` says how a search looks that is asked for so many neighbours in a table of that schema.
        """
        filter_, params = self._sql.found(conditions, among)

        def ask(schema: Schema) -> tuple[list[tuple], set[int]]:
            check_dimension(embeddings, schema.n_features)
            looking = options(schema, k)

            def rows_of(embeddings: NDArray[np.floating], is_indexed: bool) -> list[tuple]:
                statement = self._sql.query(filter_, schema, is_indexed, names, schema.types, is_ranked)
                bound = [VectorArray(embeddings), *params, looking.depth if is_indexed else k, k]
                settings = looking.settings if is_indexed else {}
                return self._server.read(statement, bound, settings, prepare=register)

            rows = rows_of(embeddings, looking.is_indexed)
            if looking.is_indexed:
                found = np.bincount([row[0] - 1 for row in rows], minlength=len(embeddings))
                short = np.flatnonzero(found < k)
                if len(short):
                    more: Any = (
                        (short[row[0] - 1] + 1, *row[1:]) for row in rows_of(embeddings[short], False)
                    )
                    rows = [row for row in rows if found[row[0] - 1] == k]
                    rows = sorted([*rows, *more], key=lambda row: row[0])
            return rows, {row[2] for row in rows}

        rows = self._in_one_table(ask, names, expected)
        kinds = [INTEGER, INTEGER, INTEGER, REAL]
        queries, ids, _, distances, *columns = self._as_arrays(rows, kinds, names)
        return Hits(queries - 1, ids, distances, dict(zip(names, columns, strict=True)))

    def vectors(self, ids: Keys | None, expected: Opened | None = None) -> NDArray[np.float32]:
        where = "ORDER BY position" if ids is None else "WHERE id = ANY(%s::bigint[])"
        statement = self._sql.compose(f"SELECT id, tableoid::bigint, embedding FROM {{table}} {where}")
        params = [] if ids is None else [ids.tolist()]

        def ask(schema: Schema) -> tuple[tuple[list[tuple], Schema], set[int]]:
            rows = self._server.read(statement, params)
            return (rows, schema), {row[1] for row in rows}

        rows, schema = self._in_one_table(ask, (), expected)
        vectors = _decoded([row[2] for row in rows], schema)
        if ids is None:
            return vectors
        order = in_order(np.array([row[0] for row in rows], dtype=np.int64), ids)
        return _read_only(vectors[order])

    def columns(
        self, ids: Keys | None, names: Sequence[str] | None = None, conditions: Sequence[Condition] = ()
    ) -> tuple[Keys, Columns]:
        names = list(self.types) if names is None else names
        ids, columns, _ = self._read(names, False, *self._sql.found(conditions, ids))
        return ids, columns

    def contents(
        self,
        names: Sequence[str],
        with_vectors: bool = True,
        conditions: Sequence[Condition] = (),
        expected: Opened | None = None,
    ) -> tuple[Keys, Columns, NDArray[np.float32] | None]:
        """Ids, columns and embeddings of all items, as they are at one moment, in order of their ids."""
        return self._read(names, with_vectors, *self._sql.found(conditions), expected)

    def tally(self, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
        def ask(schema: Schema) -> tuple[list[tuple], set[int]]:
            statement = "SELECT {names}, count(*) FROM {table} GROUP BY 1"
            names = self._sql.values([name], schema.types)
            return self._server.read(self._sql.compose(statement, names=names)), set()

        rows = self._in_one_table(ask, [name])
        values, counts = self._as_arrays([row[::-1] for row in rows], [INTEGER], [name])[::-1]
        order = np.argsort(values, kind="stable")
        return values[order], counts[order]

    def known(self, ids: Keys) -> Keys:
        return self._read([], False, *self._sql.found((), ids))[0]

    def fingerprint(self) -> str | None:
        """The comment on the table, if `keep_fingerprint` wrote it."""
        with self._server.transaction() as connection:
            return read_comment(connection, self._name())

    def count(self) -> int:
        with self._server.transaction() as connection:
            if self._read_schema(connection) is None:
                return 0
            return connection.execute(self._sql.compose("SELECT count(*) FROM {table}"), ()).fetchone()[0]

    def _read(
        self,
        names: Sequence[str],
        with_vectors: bool,
        filter_: Any,
        params: Sequence[Any],
        expected: Opened | None = None,
    ) -> tuple[Keys, Columns, NDArray[np.float32] | None]:
        """Ids, ascending, columns and, where asked for, embeddings."""
        chosen = ["id", *names, *["embedding"] * with_vectors]

        def ask(schema: Schema) -> tuple[tuple[list[tuple], Schema], set[int]]:
            statement = self._sql.compose(
                "SELECT tableoid::bigint, {names} FROM {table} {filter} ORDER BY id",
                names=self._sql.values(chosen, schema.types),
                filter=filter_,
            )
            rows = self._server.read(statement, params)
            return (rows, schema), {row[0] for row in rows}

        rows, schema = self._in_one_table(ask, names, expected)
        vectors = None
        if with_vectors:
            vectors = _decoded([row[-1] for row in rows], schema)
            rows = [row[:-1] for row in rows]
        _, ids, *columns = self._as_arrays(rows, [INTEGER, INTEGER], names)
        return ids, dict(zip(names, columns, strict=True)), vectors

    def _in_one_table(
        self,
        ask: Callable[[Schema], tuple[_Found, set[int]]],
        names: Iterable[str],
        expected: Opened | None = None,
    ) -> _Found:
        """What `ask` reads of the table with that schema; of the one that has come under the name, if any.

        `ask` says too which tables have answered: one, or none where there were no rows.
        """
        for _ in range(_TIMES):
            schema = self.schema()
            check_opened(expected, schema.opened, self.title)
            try:
                if not set(names) <= set(schema.types):
                    raise ValueError(
                        f"{self.title} was dropped or made anew with other columns since it was opened: open "
                        "it again"
                    )
                found, answered = ask(schema)
            except ValueError:
                if not self._is_another(schema):
                    raise
                continue
            if answered <= schema.answering:
                return found
            self._known = None
        raise IndexUnavailableError(
            f"{self.title} was made anew again and again during this call: call again"
        )

    def _is_another(self, before: Schema) -> bool:
        """Whether another table has come under the name; what is known of one that is gone is forgotten."""
        with self._server.transaction() as connection:
            self._known = self._read_schema(connection)
        return self._known is not None and self._known.opened.number != before.opened.number

    def _as_arrays(
        self, rows: Sequence[tuple], kinds: Sequence[ColumnType], names: Sequence[str]
    ) -> list[NDArray[Any]]:
        """Columns of rows: first those of `kinds`, then those of the names."""
        kinds = [*kinds, *(self.types[name] for name in names)]
        columns = zip(*rows, strict=True) if rows else [()] * len(kinds)
        return [as_column(column, kind) for column, kind in zip(columns, kinds, strict=True)]

    def _name(self) -> str:
        return self._sql.quoted

    def _read_schema(self, connection: Any) -> Schema | None:
        return read_schema(connection, self._name(), self.title)


def _decoded(values: Sequence[bytes], schema: Schema) -> NDArray[np.float32]:
    return _read_only(decode(values, schema.n_features, schema.storage))


def _read_only(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    vectors.flags.writeable = False
    return vectors
