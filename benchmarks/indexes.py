"""What FaissIndex finds, and what it costs beside FAISS itself.

Each kind of index is filled with the same embeddings; recall@10 is against an exact search. FAISS alone is
asked for the same candidates with the same parameters, and both take turns: the fastest of each counts, and
"ratio" is one over the other. Two such minima differ by some per cent from run to run, as FAISS itself does.
So what our layer adds (checks, exact distances of quantised candidates, their order) is measured within each
call too: its time less that of FAISS inside it. "layer" is the median of that, and "share" what it adds to
FAISS's fastest time. "add" is one more item.

    python benchmarks/indexes.py [--items 100000] [--repeats 60]
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


def seconds_of(run):
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turns(runs, n_repeats):
    """Seconds, (n_repeats,), of each of several functions, called in turns."""
    taken = [[seconds_of(run) for run in runs.values()] for _ in range(n_repeats)]
    return dict(zip(runs, np.array(taken).T, strict=True))


class TimedEngine:
    """What a `FaissIndex` asks, with the seconds of the last search."""

    def __init__(self, engine):
        self.engine, self.index, self.n_issued = engine, engine.index, engine.n_issued
        self.is_graph = engine.is_graph

    def search(self, *asked, **options):
        """Search, and note the time."""
        start = time.perf_counter()
        found = self.engine.search(*asked, **options)
        self.seconds = time.perf_counter() - start
        return found


def layer(index, queries, n_repeats):
    """Median seconds of a call less those of FAISS inside it."""
    held = index._held
    timed = TimedEngine(held.engine)
    index._held = held._replace(engine=timed)
    outside = [seconds_of(lambda: index.query(queries, K)) - timed.seconds for _ in range(n_repeats)]
    index._held = held
    return np.median(outside)


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=60)
    options = parser.parse_args()
    items, queries = make(options.items, np.random.default_rng(0))
    ids = np.arange(len(items))
    exact = ExactIndex().add(ids, items)
    truth = exact.query(queries, K).indices
    seconds = min(seconds_of(lambda: exact.query(queries, K)) for _ in range(options.repeats))
    print(
        f"{len(items):,} items of {N_FEATURES} numbers, batches of {N_QUERIES} queries, k={K}; milliseconds"
    )
    names = ["recall@10", "fill, s", "ours", "FAISS", "ratio", "layer", "share", "add"]
    print(" " * 14 + "".join(f"{name:>10}" for name in names))
    print(f"{'exact':14}{1:10.3f}{'':10}{1e3 * seconds:10.2f}")
    for factory, settings in KINDS.items():
        start = time.perf_counter()
        index = FaissIndex(factory, **settings).add(ids, items)
        filled = time.perf_counter() - start
        found = index.query(queries, K).indices
        recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth, strict=True)])
        asked = index._held.engine, K * (index.rescore if index._is_quantised() else 1)
        runs = {
            "ours": lambda index=index: index.query(queries, K),
            "faiss": lambda asked=asked, index=index: asked[0].search(queries, asked[1], index),
        }
        taken = in_turns(runs, options.repeats)
        ours, faiss = taken["ours"].min(), taken["faiss"].min()
        added = layer(index, queries, options.repeats)
        more = min(
            seconds_of(lambda at=at, index=index: index.add([len(ids) + at], queries[at : at + 1]))
            for at in range(20)
        )
        print(
            f"{factory:14}{recall:10.3f}{filled:10.1f}{1e3 * ours:10.2f}{1e3 * faiss:10.2f}"
            f"{ours / faiss:10.3f}{1e3 * added:10.3f}{added / faiss:10.3f}{1e3 * more:10.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
