"""What FaissIndex finds, and what it costs beside FAISS itself.

Each kind of index is filled with the same embeddings; recall@10 is against an exact search. FAISS alone is
asked for the same candidates with the same parameters, and both take turns: the fastest of each counts. What
our layer adds is checks, exact distances and their order.

    python benchmarks/indexes.py [--items 100000] [--repeats 15]
"""

import argparse
import time

import numpy as np

from skmetric.search import ExactIndex, FaissIndex

KINDS = {
    "HNSW32": {"ef_search": 64},
    "IVF512,Flat": {"n_probe": 32},
    "IVF512,SQ8": {"n_probe": 32},
    "IVF512,PQ32": {"n_probe": 32, "rescore": 8},
}
N_FEATURES, N_CLASSES, N_QUERIES, K = 128, 2000, 100, 10


def make(n_items, rng):
    """Items and queries on the unit sphere, about random centres of classes."""
    centers = rng.standard_normal((N_CLASSES, N_FEATURES))
    rows = centers[rng.integers(N_CLASSES, size=n_items + N_QUERIES)]
    rows = rows + rng.standard_normal(rows.shape)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return rows[:n_items], rows[n_items:]


def fastest(runs, n_repeats):
    """Least seconds of each of several functions, called in turns."""
    taken = {name: [] for name in runs}
    for _ in range(n_repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - start)
    return {name: min(times) for name, times in taken.items()}


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    items, queries = make(options.items, np.random.default_rng(0))
    ids = np.arange(len(items))
    exact = ExactIndex().add(ids, items)
    truth = exact.query(queries, K).indices
    seconds = fastest({"exact": lambda: exact.query(queries, K)}, options.repeats)["exact"]
    print(f"{len(items):,} items of {N_FEATURES} numbers, batches of {N_QUERIES} queries, k={K}")
    print(f"{'':14}{'recall@10':>11}{'fill, s':>9}{'ours, ms':>10}{'FAISS, ms':>11}{'ratio':>8}")
    print(f"{'exact':14}{1:11.3f}{'':9}{1e3 * seconds:10.2f}")
    for factory, settings in KINDS.items():
        start = time.perf_counter()
        index = FaissIndex(factory, **settings).add(ids, items)
        filled = time.perf_counter() - start
        found = index.query(queries, K).indices
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth, strict=True)])
        n_candidates = K * (index.rescore if index._is_quantised() else 1)
        bare = {
            "ours": lambda index=index: index.query(queries, K),
            "faiss": lambda index=index, n=n_candidates: index._search(queries, n, None),
        }
        taken = fastest(bare, options.repeats)
        ours, faiss = 1e3 * taken["ours"], 1e3 * taken["faiss"]
        print(f"{factory:14}{recall:11.3f}{filled:9.1f}{ours:10.2f}{faiss:11.2f}{ours / faiss:8.3f}")


if __name__ == "__main__":
    main()
