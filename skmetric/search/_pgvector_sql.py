"""What PgVectorIndex sends: statements with quoted names and bound parameters, vectors in binary."""

from typing import final

import numpy as np

from skmetric._optional import import_optional

from ._columns import ITEM_ID, plain

OWN = ("id", "position", "embedding")
TYPES = {
    "boolean": "boolean",
    "integer": "bigint",
    "real": "double precision",
    "text": "text",
    "time": "timestamp without time zone",
}
MAX_DIMENSIONS = 16_000  # of type vector
MAX_INDEXED, MAX_INDEXED_HALF = 2000, 4000  # of HNSW and IVFFlat over vector, and over halfvec


@final
class Statements:
    """SQL about one table of embeddings."""

    def __init__(self, table):
        self._sql = import_optional("psycopg.sql", extra="pgvector", purpose="PgVectorIndex")
        self.table = self._identifier(table)
        self.quoted = self._sql.Identifier(table).as_string()

    def compose(self, text, **parts):
        """A statement with its names put in, quoted."""
        return self._sql.SQL(text).format(table=self.table, **parts)

    def _identifier(self, name):
        """A name, quoted."""
        if "%" in name:
            raise ValueError(f"{name!r} has a percent sign, which psycopg takes for a parameter: rename it")
        return self._sql.Identifier(name)

    def raw(self, text):
        """A statement as it stands."""
        return self._sql.SQL(text)

    def names(self, names):
        """Names of columns, quoted."""
        return self._sql.SQL(", ").join(map(self._identifier, names))

    def create(self, n_features, kinds):
        """The table: positions keep the order in which items came."""
        sql = self._sql
        columns = [
            sql.SQL("{} " + TYPES[kind] + " NOT NULL").format(self._identifier(name))
            for name, kind in kinds.items()
        ]
        if ITEM_ID in kinds:
            columns.append(sql.SQL("UNIQUE ({})").format(self._identifier(ITEM_ID)))
        return self.compose(
            "CREATE TABLE {table} (id bigint PRIMARY KEY, position bigint GENERATED ALWAYS AS IDENTITY "
            "(MINVALUE 0 START 0), embedding vector({n_features}) NOT NULL{columns})",
            n_features=sql.Literal(n_features),
            columns=sql.SQL("").join(sql.SQL(", ") + column for column in columns),
        )

    def copy(self, names, into=None):
        """COPY of rows in binary, into the table or another."""
        into = self.table if into is None else self._identifier(into)
        return self._sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(into, self.names(names))

    def staging(self, names):
        """A table for the rows of one transaction."""
        return self.compose(
            "CREATE TEMPORARY TABLE skmetric_staging ON COMMIT DROP AS SELECT {names} FROM {table} LIMIT 0",
            names=self.names(names),
        )

    def upsert(self, names):
        """Move rows from the staging table; rows of known ids are replaced and keep their position."""
        sets = self._sql.SQL(", ").join(
            self._sql.SQL("{0} = EXCLUDED.{0}").format(self._identifier(name))
            for name in names
            if name != "id"
        )
        return self.compose(  # in order of ids, so that two of these at once do not wait for each other
            "INSERT INTO {table} ({names}) SELECT {names} FROM skmetric_staging ORDER BY id "
            "ON CONFLICT (id) DO UPDATE SET {sets}",
            names=self.names(names),
            sets=sets,
        )

    def operand(self, n_features):
        """The text of what is indexed and compared: half precision where an index has no room for more."""
        return "{}" if n_features <= MAX_INDEXED else f"{{}}::halfvec({n_features})"

    def index(self, method, n_features, options):
        """The index over embeddings."""
        sql = self._sql
        kind = "vector" if n_features <= MAX_INDEXED else "halfvec"
        options = sql.SQL(", ").join(
            sql.SQL(f"{name} = {{}}").format(sql.Literal(n)) for name, n in options.items()
        )
        return self.compose(
            f"CREATE INDEX ON {{table}} USING {method} (({self.operand(n_features)}) {kind}_l2_ops) "
            "WITH ({options})".replace("{}", "embedding"),
            options=options,
        )

    def query(self, found, n_features, indexed, depth):
        """Nearest items of all queries in one statement; candidates of an index are rescored exactly.

        The parameters are the queries, those of the filter, `depth` and k. `found` is the filter.
        """
        if indexed:
            near = f"{self.operand(n_features)} <-> {self.operand(n_features)}"
            near = near.format("embedding", "query.embedding")
        else:  # a sum is in no index: the server must compare all
            near = "(embedding <-> query.embedding) + 0.0"
        tie = "" if indexed else ", position"
        return self.compose(
            "SELECT query.row, near.id, near.distance "
            "FROM unnest(%s) WITH ORDINALITY AS query(embedding, row) "
            "CROSS JOIN LATERAL (SELECT id, distance, position FROM (SELECT id, position, "
            "embedding <-> query.embedding AS distance FROM {table} {found} "
            f"ORDER BY {near}{tie} LIMIT %s) AS candidate ORDER BY distance, position LIMIT %s) AS near "
            "ORDER BY query.row, near.distance, near.position",
            found=found,
        )

    def found(self, conditions, among=None):
        """The WHERE of a filter, and its parameters."""
        sql, clauses, params = self._sql, [], []
        for condition in conditions:
            column = self._identifier(condition.column)
            if condition.values is not None:
                clauses.append(sql.SQL("{} = ANY(%s)").format(column))
                params.append([plain(value) for value in condition.values])
            for end, sign in ((condition.low, ">="), (condition.high, "<=")):
                if end is not None:
                    clauses.append(sql.SQL(f"{{}} {sign} %s").format(column))
                    params.append(plain(end))
        if among is not None:
            clauses.append(sql.SQL("id = ANY(%s::bigint[])"))
            params.append(among.tolist())
        return sql.SQL("WHERE " * bool(clauses)) + sql.SQL(" AND ").join(clauses), params


def vector_dtype(n_features):
    """A vector as PostgreSQL sends and takes it: its length in bytes, dimension, a spare, the values."""
    return np.dtype([("size", ">i4"), ("n", ">i2"), ("spare", ">i2"), ("values", ">f4", n_features)])


def encode(embeddings):
    """Embeddings as records of `vector_dtype`."""
    records = np.zeros(len(embeddings), dtype=vector_dtype(embeddings.shape[1]))
    records["size"], records["n"] = records.itemsize - 4, embeddings.shape[1]
    records["values"] = embeddings
    return records


def decode(values, n_features):
    """Embeddings of values in binary, without their size."""
    dtype = np.dtype([("n", ">i2"), ("spare", ">i2"), ("values", ">f4", n_features)])
    return np.frombuffer(b"".join(values), dtype=dtype)["values"].astype(np.float32)


class VectorArray:
    """Embeddings to be bound as one parameter of type ``vector[]``, in binary."""

    def __init__(self, embeddings):
        self.embeddings = embeddings


def register(connection):
    """Teach a connection to send a `VectorArray`."""
    psycopg = import_optional("psycopg", extra="pgvector", purpose="PgVectorIndex")
    info = psycopg.types.TypeInfo.fetch(connection, "vector")

    class Dumper(psycopg.adapt.Dumper):
        format = psycopg.pq.Format.BINARY
        oid = info.array_oid

        def dump(self, value):
            records = encode(value.embeddings)
            head = np.array([1, 0, info.oid, len(records), 1], dtype=">i4")
            return head.tobytes() + records.tobytes()

    connection.adapters.register_dumper(VectorArray, Dumper)
