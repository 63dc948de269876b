"""Connections to PostgreSQL: one for each process and thread, opened when needed, errors in our words."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, final

from skmetric._optional import import_optional
from skmetric.exceptions import IndexUnavailableError
from skmetric.search._server._secrets import parse_conninfo, scrub, secrets_of, shown_host


@final
class Server:
    """A table on a server. Connections are never shared with a forked process and never pickled."""

    def __init__(self, conninfo: str, table: str) -> None:
        self._psycopg = import_optional("psycopg", extra="pgvector", purpose="PgVectorIndex")
        self._parts = parse_conninfo(conninfo)
        self._secrets = [*secrets_of(self._parts), os.environ.get("PGPASSWORD", "")]
        self.name = f"table {table!r} on {shown_host(self._parts, os.environ.get('PGHOST', 'localhost'))}"
        self._open: dict[tuple[int, int], tuple[Any, dict]] = {}

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A connection inside a transaction: all of it is kept or nothing."""
        with self._explained():
            connection = self._connection()
            if not self._answers(connection):
                connection = self._connection()
            with self._given_up(connection), connection.transaction():
                yield connection

    def read(
        self,
        query: Any,
        params: Sequence[Any] = (),
        settings: Mapping[str, Any] | None = None,
        prepare: Callable[[Any], None] | None = None,
    ) -> list[tuple]:
        """Rows of a query, in one round trip; asked again where an idle connection has gone in between."""
        with self._explained():
            connection = self._connection()
            try:
                return self._rows(connection, query, params, settings, prepare)
            except self._psycopg.OperationalError:
                if not connection.closed:
                    raise
                return self._rows(self._connection(), query, params, settings, prepare)

    def was_stopped(self, error: IndexUnavailableError) -> bool:
        """Whether a call ended because it and another waited for each other, or it for too long."""
        errors = self._psycopg.errors
        return isinstance(error.__cause__, errors.DeadlockDetected | errors.LockNotAvailable)

    def close(self) -> None:
        """Close the connections of this process."""
        for process, thread in list(self._open):
            if process == os.getpid():
                self._open.pop((process, thread))[0].close()

    def __del__(self) -> None:
        if hasattr(self, "_open"):
            self.close()

    def __getstate__(self) -> NoReturn:
        raise TypeError("a connection to a server cannot be pickled")

    def _rows(
        self,
        connection: Any,
        query: Any,
        params: Sequence[Any],
        settings: Mapping[str, Any] | None,
        prepare: Callable[[Any], None] | None,
    ) -> list[tuple]:
        with self._given_up(connection):
            if prepare is not None and prepare not in self._open[_me()][1]:
                prepare(connection)
                self._open[_me()][1][prepare] = True
            self._set(connection, settings or {})
            with connection.cursor(binary=True) as cursor:
                return cursor.execute(query, params).fetchall()

    @contextmanager
    def _given_up(self, connection: Any) -> Iterator[None]:
        """Close a connection whose statement was left in the middle, as by an alarm: it can do no other."""
        try:
            yield
        except BaseException:
            if connection.info.transaction_status != self._psycopg.pq.TransactionStatus.IDLE:
                connection.close()
            raise

    def _set(self, connection: Any, settings: Mapping[str, Any]) -> None:
        """Settings of the session, sent only when they change."""
        known = self._open[_me()][1]
        changed = {name: value for name, value in settings.items() if known.get(name) != value}
        for name, value in changed.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        known.update(changed)

    def _connection(self) -> Any:
        connection = self._open.get(_me(), (None, {}))[0]
        if connection is not None and not connection.closed:
            return connection
        connection = self._psycopg.connect(
            **self._parts,
            autocommit=True,
            # plans for the values at hand: a plan for any k and any filter would often miss the index
            prepare_threshold=None,
        )
        self._open[_me()] = connection, {}
        with self._given_up(connection):
            self._set(connection, {"jit": "off"})  # compiling costs more than these queries take
        return connection

    def _answers(self, connection: Any) -> bool:
        with self._given_up(connection):
            try:
                connection.execute("")
            except self._psycopg.OperationalError:
                if not connection.closed:
                    raise
        return not connection.closed

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors that name host and table, and no password."""
        psycopg = self._psycopg
        try:
            yield
        except psycopg.Error as error:
            scrub(error, self._secrets)
            said = _first_line(error)
            if isinstance(error, psycopg.errors.DeadlockDetected):
                raise IndexUnavailableError(
                    f"{self.name}: this call and one of another process waited for each other, and the "
                    "server stopped this one: nothing of it was kept, call again"
                ) from error
            if isinstance(error, psycopg.errors.LockNotAvailable):
                raise IndexUnavailableError(
                    f"{self.name}: another session holds the table for longer than this call waits: nothing "
                    f"was changed, call again. The server said: {said}"
                ) from error
            if isinstance(error, psycopg.errors.QueryCanceled):
                raise IndexUnavailableError(
                    f"{self.name}: the server stopped the call and kept nothing of it. It said: {said}"
                ) from error
            if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                raise IndexUnavailableError(
                    f"{self.name} cannot be reached or dropped the connection; the call under way was kept "
                    f"whole or not at all, and the next call connects again. The server said: {said}"
                ) from error
            if isinstance(error, psycopg.errors.InsufficientPrivilege):
                raise PermissionError(f"{self.name}: {said}") from error
            if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
                raise ValueError(
                    f"{self.name} was dropped or made anew with other columns since it was opened: "
                    "open it again"
                ) from error
            if isinstance(error, psycopg.errors.UniqueViolation):
                raise  # Table tells which id it is
            raise ValueError(f"{self.name}: the server refused the request: {said}") from error


def _me() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
