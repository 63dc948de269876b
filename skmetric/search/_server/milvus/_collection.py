"""The collection of a MilvusIndex: its schema, requests, filters as Milvus writes them."""

import os
from contextlib import contextmanager
from typing import NamedTuple, final

import numpy as np

from skmetric._optional import import_optional
from skmetric.exceptions import IndexUnavailableError
from skmetric.search._index._checks import check_dimension
from skmetric.search._index._hits import Hits, in_order
from skmetric.search._index._where import Condition
from skmetric.search._server._columns import DTYPES, ITEM_ID, match_kinds
from skmetric.search._server._remote import HOLDS_ITEMS, batches, clock
from skmetric.search._server._secrets import masked

OWN = ("id", "position", "embedding")
_TYPES = {"boolean": "BOOL", "integer": "INT64", "real": "DOUBLE", "text": "VARCHAR"}
_TEXT_BYTES = 65_535
_REQUEST_BYTES = 8 << 20  # a request may have 64 MB
_IDS, _QUERIES = 8192, 1000  # of one request; clusters answer with up to 16,384 rows
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Schema(NamedTuple):
    """What the collection looks like."""

    n_features: int
    kinds: dict


@final
class Collection:
    """Requests about one collection; each process has its own connection."""

    def __init__(self, uri, name, token):
        self.address = uri, name, token
        self._milvus = import_optional("pymilvus", extra="milvus", purpose="MilvusIndex")
        self._name, self._client_of, self._known = name, None, None
        self.title = f"collection {name!r} on {masked(uri)}"

    def schema(self):
        """Dimension and kinds of columns; a ValueError if there is no collection."""
        schema = self._read_schema()
        if schema is None:
            raise ValueError(f"the index is empty: add embeddings first ({self.title} is not there)")
        return schema

    def fill(self, ids, embeddings, arrays, kinds, index, mode):
        """Store items; for the modes see `SharedIndex._fill`. Checks come first, and are no lock."""
        with self._client() as client:
            schema = self._read_schema()
            if schema is None:
                self._make(client, embeddings.shape[1], kinds, index)
                schema = self._read_schema()
            if mode == "start" and self.count():
                raise ValueError(f"{self.title} {HOLDS_ITEMS}")
            check_dimension(embeddings, schema.n_features)
            arrays = match_kinds(dict(arrays), kinds, schema.kinds)
            ids = self.new_ids(len(embeddings)) if ids is None else ids
            self._check_ids(ids, arrays, mode)
            columns = {name: _sent(name, arrays[name], kind) for name, kind in schema.kinds.items()}
            columns |= {"id": ids.tolist(), "position": clock.draw(len(ids)).tolist()}
            send = client.upsert if mode in ("upsert", "replace") else client.insert
            for part in batches(len(ids), _REQUEST_BYTES // (4 * schema.n_features + 256)):
                rows = zip(*(values[part] for values in columns.values()), embeddings[part], strict=True)
                send(self._name, [dict(zip([*columns, "embedding"], row, strict=True)) for row in rows])

    def _check_ids(self, ids, arrays, mode):
        """Refuse ids that are in use, the index's own or those of a search, or that are not there."""
        known = self.known(ids)
        if mode == "replace":
            in_order(known, ids)
        if mode == "add" and len(known):
            raise ValueError(f"id {known[0]} is in the index already ({self.title}): remove it first")
        if ITEM_ID not in arrays:
            return
        own = set(ids.tolist())
        for part in batches(len(ids), _IDS):
            among = Condition(ITEM_ID, tuple(arrays[ITEM_ID][part].tolist()))
            used = self._rows(["id", ITEM_ID], None, expression([among]))
            used = [row[ITEM_ID] for row in used if row["id"] not in own]
            if used:
                raise ValueError(f"id {used[0]} is in the index already ({self.title}): remove it first")

    def known(self, ids):
        """Which of the ids there are."""
        return np.array([row["id"] for row in self._rows(["id"], ids)], dtype=np.int64)

    def remove(self, ids):
        """Delete items, all or none."""
        in_order(self.known(ids) if self._read_schema() else np.empty(0, dtype=np.int64), ids)
        with self._client() as client:
            for part in batches(len(ids), _IDS):
                client.delete(self._name, ids=ids[part].tolist())

    def look_up(self, embeddings, k, names, conditions, among, params, is_ranked):
        """Hits of each embedding."""
        queries, distances, ids, entities = [], [], [], []
        with self._client() as client:
            for part in batches(len(embeddings), _QUERIES):
                found = client.search(
                    self._name,
                    data=list(embeddings[part].astype(np.float32)),
                    limit=k,
                    output_fields=list(names),
                    filter=expression(conditions, among),
                    search_params={"metric_type": "L2", "params": params},
                    consistency_level="Strong",
                )
                for query, hits in enumerate(found, part.start):
                    queries += [query] * len(hits)
                    distances += [hit["distance"] for hit in hits]  # squared
                    ids += [hit["id"] for hit in hits]
                    entities += [hit["entity"] for hit in hits] if names else []
        distances = np.sqrt(np.maximum(np.array(distances, dtype=float), 0))
        ids = np.array(ids, dtype=np.int64)
        if is_ranked:
            ids = self._places(ids)
        return Hits(np.array(queries, dtype=int), ids, distances, self._as_arrays(entities, names))

    def vectors(self, ids):
        """Embeddings in the order of `ids`, or of coming."""
        n_features = self.schema().n_features
        rows = self._rows(["id", "position", "embedding"], ids)
        values = np.array([row["embedding"] for row in rows], dtype=np.float32).reshape(-1, n_features)
        if ids is None:
            order = np.argsort([row["position"] for row in rows], kind="stable")
        else:
            order = in_order(np.array([row["id"] for row in rows], dtype=np.int64), ids)
        values = values[order]
        values.flags.writeable = False
        return values

    def columns(self, ids, names=None, conditions=()):
        """Ids, ascending, and columns."""
        names = list(self.schema().kinds) if names is None else names
        rows = self._rows(["id", *names], ids, expression(conditions))
        rows = sorted(rows, key=lambda row: row["id"])
        return np.array([row["id"] for row in rows], dtype=np.int64), self._as_arrays(rows, names)

    def contents(self, names, with_vectors=True):
        """Ids, columns and embeddings of all items, in the order in which they came."""
        n_features = self.schema().n_features
        rows = self._rows(["id", "position", *names, *["embedding"] * with_vectors], None)
        rows = sorted(rows, key=lambda row: (row["position"], row["id"]))
        ids, vectors = np.array([row["id"] for row in rows], dtype=np.int64), None
        if with_vectors:
            vectors = np.array([row["embedding"] for row in rows], dtype=np.float32).reshape(-1, n_features)
        return ids, self._as_arrays(rows, names), vectors

    def tally(self, name):
        """Values of a column, sorted, and the number of items of each; fetched, for Milvus cannot group."""
        self.schema()
        return np.unique(self._as_arrays(self._rows([name], None), [name])[name], return_counts=True)

    def new_ids(self, n_items):
        """Random numbers: Milvus has no counter."""
        drawn = np.frombuffer(os.urandom(8 * n_items), dtype=np.int64) & np.iinfo(np.int64).max
        return drawn if len(np.unique(drawn)) == n_items else self.new_ids(n_items)

    def count(self):
        """Number of items."""
        if self._read_schema() is None:
            return 0
        with self._client() as client:
            rows = client.query(self._name, output_fields=["count(*)"], consistency_level="Strong")
            return int(rows[0]["count(*)"])

    def drop(self):
        """Drop the collection."""
        with self._client() as client:
            client.drop_collection(self._name)

    def close(self):
        """Close the connection of this process; an embedded file is let go, for a lock holds it till then."""
        if self._client_of is not None and self._client_of[0] == os.getpid():
            self._client_of[1].close()
            if self.address[0].endswith(".db"):
                lite = import_optional("milvus_lite.server_manager", extra="milvus", purpose="MilvusIndex")
                lite.server_manager_instance.release_server(self.address[0])
        self._client_of = None

    def _places(self, ids):
        """Place of each id among all items; -1 for those that were removed since they were found."""
        order = self.contents([], with_vectors=False)[0]
        place_of = dict(zip(order.tolist(), range(len(order)), strict=True))
        return np.array([place_of.get(i, -1) for i in ids.tolist()], dtype=np.int64)

    def _as_arrays(self, rows, names):
        """Columns of rows."""
        kinds = self.schema().kinds if names else {}
        return {name: np.array([row[name] for row in rows], dtype=DTYPES[kinds[name]]) for name in names}

    def _rows(self, names, ids, filter_=""):
        """Rows of items, in no order. Pages of a server end at 16,384 rows: all go by ranges of ids."""
        with self._client() as client:
            if ids is not None:
                found = (
                    self._ask(client, names, f"id in {ids[part].tolist()}")
                    for part in batches(len(ids), _IDS)
                )
                return [row for page in found for row in page]
            rows = []
            iterator = client.query_iterator(
                self._name, batch_size=1000, filter=filter_, output_fields=names, consistency_level="Strong"
            )
            while page := iterator.next():
                rows += page
            iterator.close()
            return rows

    def _ask(self, client, names, filter_):
        return client.query(self._name, filter=filter_, output_fields=names, consistency_level="Strong")

    def _read_schema(self):
        with self._client() as client:
            if not client.has_collection(self._name):
                return None
            fields = {field["name"]: field for field in client.describe_collection(self._name)["fields"]}
        if not set(OWN) <= set(fields):
            raise ValueError(f"{self.title} was not made by MilvusIndex: choose another name")
        kinds = {name: _kind(field) for name, field in fields.items() if name not in OWN}
        return Schema(int(fields["embedding"]["params"]["dim"]), kinds)

    def _make(self, client, n_features, kinds, index):
        types = self._milvus.DataType
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", types.INT64, is_primary=True)
        schema.add_field("position", types.INT64)
        schema.add_field("embedding", types.FLOAT_VECTOR, dim=n_features)
        for name, kind in kinds.items():
            length = {"max_length": _TEXT_BYTES} if kind == "text" else {}
            if kind not in _TYPES:
                raise ValueError(f"MilvusIndex has no dates: give column {name!r} as text or numbers")
            schema.add_field(name, types[_TYPES[kind]], **length)
        params = client.prepare_index_params()
        params.add_index("embedding", metric_type="L2", **index)
        client.create_collection(self._name, schema=schema, index_params=params, consistency_level="Strong")

    @contextmanager
    def _client(self):
        """The client of this process, and errors that name host and collection."""
        try:
            if self._client_of is None or self._client_of[0] != os.getpid():
                uri, _, token = self.address
                client = self._milvus.MilvusClient(uri, token=token or "")
                if client.has_collection(self._name):
                    client.load_collection(self._name)  # a file that was closed holds it released
                self._client_of = os.getpid(), client
            yield self._client_of[1]
        except self._milvus.MilvusException as error:
            message = str(error.message).strip().splitlines()[0]
            raise IndexUnavailableError(f"{self.title} did not do it; Milvus said: {message}") from error


def expression(conditions, among=None):
    """A filter as Milvus writes it, with values quoted: the embedded file takes no bound values."""
    parts = []
    for condition in conditions:
        if condition.values is not None:
            parts.append(f"{condition.column} in [{', '.join(map(literal, condition.values))}]")
        for end, sign in ((condition.low, ">="), (condition.high, "<=")):
            if end is not None:
                parts.append(f"{condition.column} {sign} {literal(end)}")
    if among is not None:
        parts.append(f"id in {among.tolist()}")
    return " and ".join(parts)


def literal(value):
    """A number, boolean or text as Milvus writes it."""
    if isinstance(value, str):
        return '"' + "".join(_ESCAPES.get(letter, letter) for letter in value) + '"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _kind(field):
    names = {"BOOL": "boolean", "INT64": "integer", "DOUBLE": "real", "VARCHAR": "text"}
    return names[field["type"].name]


def _sent(name, values, kind):
    if kind == "text":
        long = [value for value in values.tolist() if len(value.encode()) > _TEXT_BYTES]
        if long:
            raise ValueError(
                f"column {name!r} has text of more than {_TEXT_BYTES} bytes, which Milvus cannot hold"
            )
    return values.tolist()
