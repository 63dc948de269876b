"""The collection of a MilvusIndex: its schema and its requests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from skmetric._optional import check_version, import_optional
from skmetric.exceptions import IndexUnavailableError
from skmetric.search._columns._types import TEXT
from skmetric.search._columns._where import Condition
from skmetric.search._index._checks import check_dimension
from skmetric.search._index._hits import Hits, in_order
from skmetric.search._server._columns import ITEM_ID, Columns, Types, as_column, match_types
from skmetric.search._server._remote import HOLDS_ITEMS, batches, batches_of, clock
from skmetric.search._server._secrets import masked_uri, scrub, secrets_of_uri, split_uri
from skmetric.search._server._store import Items, Keys, Mode, Opened, Store, check_opened

from ._fields import (
    OWN,
    TEXT_BYTES,
    TYPES,
    check_collection,
    columns_of,
    expression,
    fields_of,
    received,
    sent,
)

_REQUEST_BYTES = 8 << 20  # a request may have 64 MB
_FINGERPRINT = "skmetric.embedder"  # name of a property
_IDS, _QUERIES = 8192, 1000  # of one request; clusters answer with up to 16,384 rows
_ROWS = 1000  # of one answer, which may have 256 MB: a row may have much text
LEAST = {"pymilvus": "3.0", "milvus-lite": "3.2.2"}  # of a file: older ones find wrong rows, silently


class Schema(NamedTuple):
    """What the collection looks like."""

    n_features: int
    types: Types
    fields: dict[str, str]  # that hold the columns, by name of the column
    opened: Opened | None = None  # None before the collection is made

    def of(self, names: Sequence[str]) -> list[str]:
        """Fields of columns."""
        return [self.fields[name] for name in names]

    def expression(self, conditions: Sequence[Condition], among: Keys | None = None) -> str:
        """A filter as Milvus writes it."""
        named = [condition._replace(column=self.fields[condition.column]) for condition in conditions]
        return expression(named, among)


@final
class Collection(Store):
    """Requests about one collection; each process has its own connection."""

    def __init__(self, uri: str, name: str, token: str | None) -> None:
        check_collection(name)
        self._place, self._token = split_uri(uri, token)
        self._secrets = secrets_of_uri(uri, token)
        self.address = uri, name, token
        self._milvus = import_optional("pymilvus", extra="milvus", purpose="MilvusIndex")
        if self._place.endswith(".db"):
            for distribution, least in LEAST.items():
                check_version(distribution, least, extra="milvus", purpose="MilvusIndex in a file")
        self._name = name
        self._client_of: tuple[int, Any] | None = None
        self.title = f"collection {name!r} on {masked_uri(uri)}"

    @property
    def n_features(self) -> int:
        return self.schema().n_features

    @property
    def types(self) -> Types:
        return self.schema().types

    @property
    def opened(self) -> Opened:
        return self.schema().opened  # type: ignore[return-value]  # it is there

    def schema(self, expected: Opened | None = None) -> Schema:
        """Dimension and columns; a ValueError if there is no collection, or not the `expected` one."""
        schema = self._read_schema()
        if schema is None:
            raise ValueError(f"the index is empty: add embeddings first ({self.title} is not there)")
        check_opened(expected, schema.opened, self.title)  # type: ignore[arg-type]  # as it was read
        return schema

    def fill(
        self, items: Items, design: Mapping[str, Any], mode: Mode, expected: Opened | None = None
    ) -> None:
        """Store items. Checks come first, and are no lock."""
        n_features = items.embeddings.shape[1]
        with self._client() as client:
            schema = self._read_schema()
            if schema is not None:
                check_opened(expected, schema.opened, self.title)  # type: ignore[arg-type]  # as it was read
                check_dimension(items.embeddings, schema.n_features)
                if mode == "start" and self.count():
                    raise ValueError(f"{self.title} {HOLDS_ITEMS}")
            made = Schema(n_features, items.types, fields_of(items.types)) if schema is None else schema
            arrays = match_types(items.columns, items.types, made.types)
            columns = {made.fields[name]: sent(name, arrays[name], kind) for name, kind in made.types.items()}
            if schema is None:
                self._make(client, made, design)
            ids = self.new_ids(len(items.embeddings)) if items.ids is None else items.ids
            if schema is not None or mode == "replace":
                self._check_ids(ids, arrays, mode)  # a new collection has none
            self._send(client, mode in ("upsert", "replace"), ids, items.embeddings, columns)

    def describe(self, ids: Keys, columns: Columns, types: Types) -> None:
        """Replace columns: whole rows are fetched and sent again, for the embedded file replaces no less."""
        schema = self.schema()
        arrays = match_types(
            columns, types, {name: schema.types[name] for name in types if name in schema.types}
        )
        fields = list(schema.fields.values())
        with self._client() as client:
            rows = self._rows(["id", "position", "embedding", *fields], ids)
            order = in_order(np.array([row["id"] for row in rows], dtype=np.int64), ids)
            rows = [rows[place] for place in order]
            held = {field: [row[field] for row in rows] for field in ("position", *fields)}
            held |= {schema.fields[name]: sent(name, arrays[name], schema.types[name]) for name in types}
            embeddings = np.array([row["embedding"] for row in rows], dtype=np.float32)
            self._send(client, True, ids, embeddings, held)

    def _send(
        self,
        client: Any,
        is_upsert: bool,
        ids: Keys,
        embeddings: NDArray[np.floating],
        columns: Mapping[str, list[Any]],
    ) -> None:
        """Rows, in requests of some megabytes."""
        columns = {"position": clock.draw(len(ids)).tolist(), **columns, "id": ids.tolist()}
        send = client.upsert if is_upsert else client.insert
        sizes = 4 * embeddings.shape[1] + 256 + _text_bytes(columns, len(ids))
        for part in batches_of(sizes, _REQUEST_BYTES):
            rows = zip(*(values[part] for values in columns.values()), embeddings[part], strict=True)
            send(self._name, [dict(zip([*columns, "embedding"], row, strict=True)) for row in rows])

    def _check_ids(self, ids: Keys, arrays: Columns, mode: Mode) -> None:
        """Refuse ids that are in use, the index's own or those of a search, or that are not there."""
        known = self.known(ids)
        if mode == "replace":
            in_order(known, ids)
        if mode == "add" and len(known):
            raise ValueError(f"id {known[0]} is in the index already ({self.title}): remove it first")
        if ITEM_ID not in arrays:
            return
        own = set(ids.tolist())
        schema = self.schema()
        for part in batches(len(ids), _IDS):
            among = Condition(ITEM_ID, schema.types[ITEM_ID], tuple(arrays[ITEM_ID][part].tolist()))
            used = self._rows(["id", ITEM_ID], None, schema.expression([among]))
            used = [row[ITEM_ID] for row in used if row["id"] not in own]
            if used:
                raise ValueError(f"id {used[0]} is in the index already ({self.title}): remove it first")

    def known(self, ids: Keys) -> Keys:
        return np.array([row["id"] for row in self._rows(["id"], ids)], dtype=np.int64)

    def remove(self, ids: Keys) -> None:
        in_order(self.known(ids) if self._read_schema() else np.empty(0, dtype=np.int64), ids)
        with self._client() as client:
            for part in batches(len(ids), _IDS):
                client.delete(self._name, ids=ids[part].tolist())

    def look_up(
        self,
        embeddings: NDArray[np.floating],
        k: int,
        names: Sequence[str],
        conditions: Sequence[Condition],
        among: Keys | None,
        options: Mapping[str, Any],
        is_ranked: bool,
        expected: Opened | None = None,
    ) -> Hits:
        queries, found_distances, found_ids, entities = [], [], [], []
        schema = self.schema(expected)
        check_dimension(embeddings, schema.n_features)
        filter_ = schema.expression(conditions, among)
        with self._client() as client:
            for part in batches(len(embeddings), _QUERIES):
                found = client.search(
                    self._name,
                    data=list(embeddings[part].astype(np.float32)),
                    limit=k,
                    output_fields=schema.of(names),
                    filter=filter_,
                    search_params={"metric_type": "L2", "params": options},
                    consistency_level="Strong",
                )
                for query, hits in enumerate(found, part.start):
                    queries += [query] * len(hits)
                    found_distances += [hit["distance"] for hit in hits]  # squared
                    found_ids += [hit["id"] for hit in hits]
                    entities += [hit["entity"] for hit in hits] if names else []
        distances = np.sqrt(np.maximum(np.array(found_distances, dtype=float), 0))
        ids = np.array(found_ids, dtype=np.int64)
        if is_ranked:
            ids = self._places(ids)
        return Hits(np.array(queries, dtype=int), ids, distances, _as_arrays(entities, names, schema))

    def vectors(self, ids: Keys | None, expected: Opened | None = None) -> NDArray[np.float32]:
        n_features = self.schema(expected).n_features
        rows = self._rows(["id", "position", "embedding"], ids)
        values = np.array([row["embedding"] for row in rows], dtype=np.float32).reshape(-1, n_features)
        if ids is None:
            order = np.argsort([row["position"] for row in rows], kind="stable")
        else:
            order = in_order(np.array([row["id"] for row in rows], dtype=np.int64), ids)
        values = values[order]
        values.flags.writeable = False
        return values

    def columns(
        self, ids: Keys | None, names: Sequence[str] | None = None, conditions: Sequence[Condition] = ()
    ) -> tuple[Keys, Columns]:
        schema = self.schema()
        names = list(schema.types) if names is None else names
        rows = self._rows(["id", *schema.of(names)], ids, schema.expression(conditions))
        rows = sorted(rows, key=lambda row: row["id"])
        return np.array([row["id"] for row in rows], dtype=np.int64), _as_arrays(rows, names, schema)

    def contents(
        self,
        names: Sequence[str],
        with_vectors: bool = True,
        conditions: Sequence[Condition] = (),
        expected: Opened | None = None,
    ) -> tuple[Keys, Columns, NDArray[np.float32] | None]:
        """Ids, columns and embeddings of all items, in the order in which they came."""
        schema = self.schema(expected)
        fields = ["id", "position", *schema.of(names), *["embedding"] * with_vectors]
        rows = self._rows(fields, None, schema.expression(conditions))
        rows = sorted(rows, key=lambda row: (row["position"], row["id"]))
        ids, vectors = np.array([row["id"] for row in rows], dtype=np.int64), None
        if with_vectors:
            values = np.array([row["embedding"] for row in rows], dtype=np.float32)
            vectors = values.reshape(-1, schema.n_features)
        return ids, _as_arrays(rows, names, schema), vectors

    def tally(self, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Values of a column, sorted, and the number of items of each; fetched, for Milvus cannot group."""
        schema = self.schema()
        values = _as_arrays(self._rows(schema.of([name]), None), [name], schema)[name]
        return np.unique(values, return_counts=True)

    def new_ids(self, n_items: int) -> Keys:
        """Random numbers: Milvus has no counter."""
        drawn = np.frombuffer(os.urandom(8 * n_items), dtype=np.int64) & np.iinfo(np.int64).max
        return drawn if len(np.unique(drawn)) == n_items else self.new_ids(n_items)

    def count(self) -> int:
        if self._read_schema() is None:
            return 0
        with self._client() as client:
            rows = client.query(self._name, output_fields=["count(*)"], consistency_level="Strong")
            return int(rows[0]["count(*)"])

    def fingerprint(self) -> str | None:
        """A property of the collection."""
        with self._client() as client:
            found = client.describe_collection(self._name).get("properties") or {}
        return found.get(_FINGERPRINT) or None

    def keep_fingerprint(self, text: str | None) -> None:
        """Set a property of the collection; where a version of Milvus takes none, there is no fingerprint."""
        with suppress(IndexUnavailableError, AttributeError), self._client() as client:
            client.alter_collection_properties(self._name, properties={_FINGERPRINT: text or ""})

    def drop(self) -> None:
        with self._client() as client:
            client.drop_collection(self._name)

    def close(self) -> None:
        """Close the connection of this process; an embedded file is let go, for a lock holds it till then."""
        if self._client_of is not None and self._client_of[0] == os.getpid():
            self._client_of[1].close()
            if self._place.endswith(".db"):
                lite = import_optional("milvus_lite.server_manager", extra="milvus", purpose="MilvusIndex")
                lite.server_manager_instance.release_server(self._place)
        self._client_of = None

    def _places(self, ids: Keys) -> Keys:
        """Place of each id among all items; -1 for those that were removed since they were found."""
        order = self.contents([], with_vectors=False)[0]
        place_of = dict(zip(order.tolist(), range(len(order)), strict=True))
        return np.array([place_of.get(i, -1) for i in ids.tolist()], dtype=np.int64)

    def _rows(self, names: Sequence[str], ids: Keys | None, filter_: str = "") -> list[dict[str, Any]]:
        """Rows of items, in any order. A server gives 16,384 rows at most: all are read by ranges of ids.

        A Milvus Lite file sorts all items for each range. There the ids are read first, and then rows by
        their ids, for which it does not read the other items.
        """
        with self._client() as client:
            if ids is None and self._place.endswith(".db"):
                met = self._ask(client, ["id"], filter_ or "id >= 0")
                ids, filter_ = np.array([row["id"] for row in met], dtype=np.int64), ""
            if ids is not None:
                found = (
                    self._ask(
                        client, names, f"id in {ids[part].tolist()}" + f" and ({filter_})" * bool(filter_)
                    )
                    for part in batches(len(ids), _IDS if list(names) == ["id"] else _ROWS)
                )
                return [row for page in found for row in page]
            rows: list[dict[str, Any]] = []
            iterator = client.query_iterator(
                self._name,
                batch_size=1000,
                filter=filter_,
                output_fields=list(names),
                consistency_level="Strong",
            )
            while page := iterator.next():
                rows += page
            iterator.close()
            return rows

    def _ask(self, client: Any, names: Sequence[str], filter_: str) -> list[dict[str, Any]]:
        return client.query(self._name, filter=filter_, output_fields=list(names), consistency_level="Strong")

    def _read_schema(self) -> Schema | None:
        with self._client() as client:
            if not client.has_collection(self._name):
                return None
            described = client.describe_collection(self._name)
        fields = described["fields"]
        found = {field["name"]: field for field in fields}
        if not set(OWN) <= set(found) or "dim" not in found["embedding"].get("params", {}):
            raise ValueError(f"{self.title} was not made by MilvusIndex: choose another name")
        types, held_in = columns_of(fields, self.title)
        properties = described.get("properties") or {}
        number = (
            f"{described.get('collection_id')} {described.get('collection_name')}"  # under an alias its own
        )
        opened = Opened(number, properties.get(_FINGERPRINT) or None)
        return Schema(int(found["embedding"]["params"]["dim"]), types, held_in, opened)

    def _make(self, client: Any, made: Schema, design: Mapping[str, Any]) -> None:
        kinds = self._milvus.DataType
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", kinds.INT64, is_primary=True)
        schema.add_field("position", kinds.INT64)
        schema.add_field("embedding", kinds.FLOAT_VECTOR, dim=made.n_features)
        for name, kind in made.types.items():
            length = {"max_length": TEXT_BYTES} if kind is TEXT else {}
            schema.add_field(made.fields[name], kinds[TYPES[kind]], **length)
        params = client.prepare_index_params()
        params.add_index("embedding", metric_type="L2", **design)
        client.create_collection(self._name, schema=schema, index_params=params, consistency_level="Strong")

    @contextmanager
    def _client(self) -> Iterator[Any]:
        """The client of this process, and errors that name host and collection, and no secret."""
        try:
            if self._client_of is None or self._client_of[0] != os.getpid():
                client = self._milvus.MilvusClient(self._place, token=self._token)
                if client.has_collection(self._name):
                    client.load_collection(self._name)  # a file that was closed holds it released
                self._client_of = os.getpid(), client
            yield self._client_of[1]
        except self._milvus.MilvusException as error:
            scrub(error, self._secrets)
            lines = str(error.message).strip().splitlines() or [type(error).__name__]
            raise IndexUnavailableError(f"{self.title}: Milvus refused the request: {lines[0]}") from error


def _text_bytes(columns: Mapping[str, list[Any]], n_rows: int) -> NDArray[np.int64]:
    """Bytes of the text of each row, for requests have a largest size."""
    sizes = np.zeros(n_rows, dtype=np.int64)
    for values in columns.values():
        if values and isinstance(values[0], str):
            sizes += [len(value.encode()) for value in values]
    return sizes


def _as_arrays(rows: Sequence[Mapping[str, Any]], names: Sequence[str], schema: Schema) -> Columns:
    """Columns of rows."""
    return {
        name: as_column(received([row[schema.fields[name]] for row in rows], kind), kind)
        for name, kind in ((name, schema.types[name]) for name in names)
    }
