"""Connections to PostgreSQL: one for each process and thread, opened when needed, errors in our words."""

import os
import threading
from contextlib import contextmanager
from typing import final

from skmetric._optional import import_optional
from skmetric.exceptions import IndexUnavailableError
from skmetric.search._server._secrets import parse_conninfo


@final
class Server:
    """A table on a server. Connections are never shared with a forked process and never pickled."""

    def __init__(self, conninfo, table):
        self._psycopg = import_optional("psycopg", extra="pgvector", purpose="PgVectorIndex")
        self._parts = parse_conninfo(conninfo)
        host = self._parts.get("host") or self._parts.get("hostaddr") or os.environ.get("PGHOST", "localhost")
        self.name = f"table {table!r} on {host}"
        self._open, self._types = {}, {}

    @contextmanager
    def transaction(self):
        """A connection inside a transaction: all of it comes to pass or nothing."""
        with self._explained():
            connection = self._connection()
            if not self._answers(connection):
                connection = self._connection()
            with connection.transaction():
                yield connection

    def read(self, query, params=(), settings=None, prepare=None):
        """Rows of a query, in one round trip; asked again where an idle connection has gone in between."""
        with self._explained():
            connection = self._connection()
            try:
                return self._rows(connection, query, params, settings, prepare)
            except self._psycopg.OperationalError:
                if not connection.closed:
                    raise
                return self._rows(self._connection(), query, params, settings, prepare)

    def close(self):
        """Close the connections of this process."""
        for process, thread in list(self._open):
            if process == os.getpid():
                self._open.pop((process, thread))[0].close()

    def __del__(self):
        if hasattr(self, "_open"):
            self.close()

    def __getstate__(self):
        raise TypeError("a connection to a server cannot be pickled")

    def _rows(self, connection, query, params, settings, prepare):
        if prepare is not None and prepare not in self._open[_me()][1]:
            prepare(connection)
            self._open[_me()][1][prepare] = True
        self._set(connection, settings or {})
        with connection.cursor(binary=True) as cursor:
            return cursor.execute(query, params).fetchall()

    def _set(self, connection, settings):
        """Settings of the session, sent only when they change."""
        known = self._open[_me()][1]
        changed = {name: value for name, value in settings.items() if known.get(name) != value}
        for name, value in changed.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        known.update(changed)

    def _connection(self):
        connection = self._open.get(_me(), [None])[0]
        if connection is not None and not connection.closed:
            return connection
        connection = self._psycopg.connect(
            **self._parts,
            autocommit=True,
            # plans for the values at hand: a plan for any k and any filter would often miss the index
            prepare_threshold=None,
        )
        self._open[_me()] = connection, {}
        self._set(connection, {"jit": "off"})  # compiling costs more than these queries take
        return connection

    def _answers(self, connection):
        try:
            connection.execute("")
        except self._psycopg.OperationalError:
            if not connection.closed:
                raise
        return not connection.closed

    @contextmanager
    def _explained(self):
        """Errors that name host and table, and no password."""
        psycopg = self._psycopg
        try:
            yield
        except psycopg.errors.DeadlockDetected as error:
            raise IndexUnavailableError(
                f"{self.name}: this call and one of another process waited for each other, and the server "
                "stopped this one: nothing of it was kept, call again"
            ) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise IndexUnavailableError(
                f"{self.name} cannot be reached or dropped the connection; of the call under way all was "
                f"kept or nothing, and further calls connect again. The server said: {_first_line(error)}"
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise PermissionError(f"{self.name}: {_first_line(error)}") from error
        except psycopg.DataError as error:
            raise ValueError(f"{self.name}: {_first_line(error)}") from error


def _me():
    return os.getpid(), threading.get_ident()


def _first_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[0]
