"""The table that takes the place of another: filled with new embeddings while that one serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from skmetric.exceptions import IndexUnavailableError
from skmetric.search._index._checks import check_dimension
from skmetric.search._server._columns import ITEM_ID
from skmetric.search._server._store import Keys, Next

from ._design import Design, check_version
from ._postgres import Server
from ._schema import OURS, Schema, indexes_of, read_schema
from ._sql import Statements, encode, next_name, stored

_VERSION = "skmetric_version"  # the column that says which state of an item was embedded
_STAGING = "skmetric_next_staging"
_LOCK_TIME = "5s"  # that readers may have to wait behind a switch that itself waits
_PAUSES = (0.1, 0.5, 2.0)  # seconds before a switch that others stopped is tried again
_FACTS = """
    SELECT n.nspname::text, c.relkind::text, c.relrowsecurity, obj_description(c.oid, 'pg_class')::text,
    EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal),
    EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f'),
    EXISTS (SELECT FROM pg_inherits WHERE c.oid IN (inhparent, inhrelid))
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(%s)"""
_COLUMNS = """
    SELECT attname::text, format_type(atttypid, atttypmod)::text, attgenerated <> '' FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attname"""
_OVER_EMBEDDINGS = """
    SELECT DISTINCT i.indexrelid::regclass::text FROM pg_index AS i
    JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
    WHERE i.indrelid = to_regclass(%s) AND d.refobjid = i.indrelid AND a.attname = 'embedding'"""
_GRANTS = """
    SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type, is_grantable
    FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(%s) AND grantee <> relowner"""


@final
class NextTable(Next):
    """A table beside the one of a gallery, with the same columns and other embeddings.

    Each of its rows notes the version of the item, PostgreSQL's xmin, whose sample was embedded. So items
    that others enrol, replace or remove meanwhile are known, and the switch is made when there are none. It
    stays when the process is killed; a later call with the same embedder goes on with it.
    """

    def __init__(
        self,
        server: Server,
        statements: Statements,
        old: Schema,
        design: Design,
        text: str,
        after: Callable[[], None],
    ) -> None:
        """For the table of `statements`, whose schema is `old`; `after` is called once it is replaced."""
        self._server, self._sql, self._old = server, statements, old
        self._design, self._text, self._after = design, text, after
        self.title = server.name
        with server.transaction() as connection:
            facts = connection.execute(_FACTS, [self._sql.quoted]).fetchone()
            self._refuse(facts)
            self._next = self._sql.beside(facts[0], next_name(old.opened.number))
            self._columns = self._read_columns(connection, self._sql.quoted)
            if not self._lock(connection, "pg_try_advisory_lock"):
                raise ValueError(
                    f"{self.title}: another process gives this table new embeddings at this moment: wait for "
                    "it"
                )
        try:
            self._n_features = self._found()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let another process do the same."""
        with self._server.transaction() as connection:
            self._lock(connection, "pg_advisory_unlock")

    def waiting(self, after: int, n: int | None) -> tuple[Keys, list[str]]:
        """Keys above `after`, ascending, and versions of up to `n` items that have no new embedding."""
        done = "SELECT NULL::bigint AS id, NULL::text AS version WHERE FALSE"
        params: list[Any] = [after, n]
        if self._n_features is not None:
            done = f"SELECT id, {_VERSION} AS version FROM {{next}} WHERE id > %s"
            params = [after, *params]
        statement = self._sql.compose(
            "SELECT kept.id, kept.xmin::text FROM {table} AS kept LEFT JOIN "
            f"({done}) AS done ON done.id = kept.id AND done.version = kept.xmin::text "
            "WHERE kept.id > %s AND done.id IS NULL ORDER BY kept.id LIMIT %s",
            next=self._next.table,
        )
        rows = self._server.read(statement, params)
        return np.array([row[0] for row in rows], dtype=np.int64), [row[1] for row in rows]

    def put(self, keys: Keys, versions: list[str], embeddings: NDArray[np.floating]) -> None:
        """Keep new embeddings of items, with their labels and metadata; those changed since are left out."""
        if self._n_features is None:
            self._make(embeddings.shape[1])
        check_dimension(embeddings, self._n_features)  # type: ignore[arg-type]  # it is made
        records = encode(stored(embeddings, self._design.storage))
        data, size = records.tobytes(), records.itemsize
        kept = [name for name, _, is_generated in self._columns if not is_generated and name != "embedding"]
        with self._server.transaction() as connection:
            connection.execute(
                self._sql.raw(
                    f"CREATE TEMPORARY TABLE {_STAGING} (id bigint, version text, "
                    f"embedding {self._design.storage}({embeddings.shape[1]})) ON COMMIT DROP"
                )
            )
            statement = f"COPY {_STAGING} (id, version, embedding) FROM STDIN (FORMAT binary)"
            with connection.cursor() as cursor, cursor.copy(self._sql.raw(statement)) as copy:
                copy.set_types(["int8", "text", "bytea"])
                for place, (key, version) in enumerate(zip(keys.tolist(), versions, strict=True)):
                    copy.write_row((key, version, data[place * size + 4 : (place + 1) * size]))
            self._clear_the_way(connection, keys)
            insert = self._sql.compose(
                "INSERT INTO {next} ({names}, embedding, {version}) OVERRIDING SYSTEM VALUE "
                "SELECT {values}, staged.embedding, staged.version FROM {staging} AS staged "
                "JOIN {table} AS kept ON kept.id = staged.id AND kept.xmin::text = staged.version",
                next=self._next.table,
                names=self._sql.names(kept),
                values=self._sql.names(kept, of="kept"),
                version=self._sql.raw(_VERSION),
                staging=self._sql.raw(_STAGING),
            )
            connection.execute(insert, ())
            connection.execute(self._sql.raw(f"DROP TABLE {_STAGING}"))

    def finish(self) -> None:
        """Make the index over the new embeddings, if there is none; nobody waits for it."""
        if self._n_features is None or self._design.method is None:
            return
        with self._server.transaction() as connection:
            if indexes_of(connection, self._next.quoted):
                return
            precision = self._design.resolved(self._n_features, self._design.storage)
            for needed in (self._design.method, precision):
                check_version(self._old.version, needed, self.title)
            n_items = connection.execute(self._next.compose("SELECT count(*) FROM {table}"), ()).fetchone()[0]
            options = self._design.options(n_items)
            statement = self._next.index(self._design.method, precision, self._n_features, options)
            connection.execute(statement, ())

    def switch(self) -> bool:
        """Put it in the place of the old table, in one transaction; False if items have no new embedding.

        Writers wait while the two are compared, readers only for the renaming.
        """
        for pause in (*_PAUSES, None):
            try:
                return self._switch()
            except IndexUnavailableError as error:
                if pause is None or not self._server.was_stopped(error):
                    raise
            time.sleep(pause)
        raise AssertionError  # the last try has returned or raised

    def _switch(self) -> bool:
        with self._server.transaction() as connection:
            connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIME}'")
            self._run(connection, "LOCK TABLE {table} IN EXCLUSIVE MODE")
            now = read_schema(connection, self._sql.quoted, self.title)
            columns = self._read_columns(connection, self._sql.quoted)
            if now is None or now.opened.number != self._old.opened.number or columns != self._columns:
                raise ValueError(
                    f"{self.title} was made anew, or got other columns, while its items got new embeddings: "
                    "the table is as it was, call reembed again"
                )
            self._run(
                connection,
                "DELETE FROM {next} AS made WHERE NOT EXISTS "
                "(SELECT FROM {table} AS kept WHERE kept.id = made.id)",
            )
            if self._n_features is None:
                raise ValueError(f"{self.title}: others have removed all items meanwhile")
            waits = (
                "SELECT EXISTS (SELECT FROM {table} AS kept LEFT JOIN {next} AS made ON made.id = kept.id "
                f"AND made.{_VERSION} = kept.xmin::text WHERE made.id IS NULL)"
            )
            if self._run(connection, waits).fetchone()[0]:
                return False
            self._run(connection, f"ALTER TABLE {{next}} DROP COLUMN {_VERSION}")
            for column in ("id", "position"):
                statement = (
                    f"SELECT setval(pg_get_serial_sequence(%s, '{column}'), "
                    f"nextval(pg_get_serial_sequence(%s, '{column}')))"
                )
                connection.execute(statement, [self._next.quoted, self._sql.quoted])
            self._hand_over(connection)
            self._run(connection, "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            self._run(connection, "DROP TABLE {table}")
            self._run(connection, "ALTER TABLE {next} RENAME TO {table}")
        self._after()
        return True

    def _found(self) -> int | None:
        """Dimension of the table that an earlier call with this embedder has left; another is dropped."""
        with self._server.transaction() as connection:
            try:
                left = read_schema(connection, self._next.quoted, self.title)
                columns = [
                    column
                    for column in self._read_columns(connection, self._next.quoted)
                    if column[0] != _VERSION
                ]
            except ValueError:  # not as it was made
                left, columns = None, []
            is_same = left is not None and (left.opened.fingerprint, left.storage, columns) == (
                self._text,
                self._design.storage,
                self._with_embedding(left.n_features),
            )
            if not is_same:
                self._run(connection, "DROP TABLE IF EXISTS {next}")
                return None
        return left.n_features  # type: ignore[union-attr]  # it is the same

    def _make(self, n_features: int) -> None:
        self._design.check_dimensions(n_features)
        check_version(self._old.version, self._design.storage, self.title)
        with self._server.transaction() as connection:
            self._run(connection, "CREATE TABLE {next} (LIKE {table} INCLUDING ALL)")
            for (index,) in connection.execute(_OVER_EMBEDDINGS, [self._next.quoted]).fetchall():
                connection.execute(self._sql.raw(f"DROP INDEX {index}"))  # quoted by the server
            kind = f"{self._design.storage}({int(n_features)})"
            self._run(connection, f"ALTER TABLE {{next}} ALTER embedding TYPE {kind}")
            self._run(connection, f"ALTER TABLE {{next}} ADD {_VERSION} text")
            connection.execute(self._next.comment(OURS + self._text), ())
            self._columns = self._read_columns(connection, self._sql.quoted)
        self._n_features = n_features

    def _clear_the_way(self, connection: Any, keys: Keys) -> None:
        """Take rows out that stand where rows of these keys will be: of the same key, or the same id."""
        mine = keys.tolist()
        connection.execute(self._next.compose("DELETE FROM {table} WHERE id = ANY(%s::bigint[])"), [mine])
        if ITEM_ID in self._old.types:
            statement = self._sql.compose(
                "DELETE FROM {next} AS made USING {table} AS kept WHERE kept.id = ANY(%s::bigint[]) "
                f"AND made.{ITEM_ID} = kept.{ITEM_ID}",
                next=self._next.table,
            )
            connection.execute(statement, [mine])

    def _hand_over(self, connection: Any) -> None:
        """Owner and privileges of the old table, and of its counters, for the new one."""
        owner = connection.execute(
            "SELECT relowner::regrole::text, relowner = current_user::regrole FROM pg_class "
            "WHERE oid = to_regclass(%s)",
            [self._sql.quoted],
        ).fetchone()
        if not owner[1]:
            self._run(connection, f"ALTER TABLE {{next}} OWNER TO {_doubled(owner[0])}")
        pairs = [("TABLE", self._sql.quoted, self._next.quoted)]
        for column in ("id", "position"):
            sequences = connection.execute(
                "SELECT pg_get_serial_sequence(%s, %s), pg_get_serial_sequence(%s, %s)",
                [self._sql.quoted, column, self._next.quoted, column],
            ).fetchone()
            pairs.append(("SEQUENCE", *sequences))
        for kind, old, new in pairs:
            for grantee, privilege, is_grantable in connection.execute(_GRANTS, [old]).fetchall():
                more = " WITH GRANT OPTION" * is_grantable
                connection.execute(self._sql.raw(f"GRANT {privilege} ON {kind} {new} TO {grantee}{more}"))

    def _refuse(self, facts: tuple) -> None:
        """Refuse tables with what the next one would not have."""
        _, kind, is_secured, comment, has_triggers, has_keys, has_parts = facts
        reasons = {
            "partitions": kind != "r" or has_parts,
            "row level security": is_secured,
            "triggers": has_triggers,
            "foreign keys": has_keys,
            "a comment of somebody else, where the embedder is named": not (comment or OURS).startswith(OURS),
        }
        found = [reason for reason, is_there in reasons.items() if is_there]
        if found:
            raise ValueError(
                f"{self.title} has {' and '.join(found)}, which a table that takes its place would not have: "
                "fill a table of another name by fit with the new embedder, and rename both yourself"
            )

    def _with_embedding(self, n_features: int) -> list[tuple]:
        """Columns of the old table, with the new type of embedding."""
        kind = f"{self._design.storage}({n_features})"
        return [(name, kind if name == "embedding" else of, made) for name, of, made in self._columns]

    def _read_columns(self, connection: Any, table: str) -> list[tuple]:
        return connection.execute(_COLUMNS, [table]).fetchall()

    def _lock(self, connection: Any, function: str) -> bool:
        statement = f"SELECT {function}(hashtext('skmetric reembed'), hashtext(%s))"
        return connection.execute(statement, [self._sql.quoted]).fetchone()[0]

    def _run(self, connection: Any, text: str) -> Any:
        return connection.execute(self._sql.compose(text, next=self._next.table), ())


def _doubled(name: str) -> str:
    """A quoted name for a statement that is composed."""
    return name.replace("%", "%%").replace("{", "{{").replace("}", "}}")
