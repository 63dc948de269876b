"""What an index, a lookup and a calibration cost.

    python benchmarks/search.py [--quick] [--cpu]

A call and its peer take turns, and the fastest of each counts. FAISS is compared where it is installed.
Threads are those that OMP_NUM_THREADS allows; with ``--cpu`` and one thread, seconds are those of the
processor, which other work on the machine disturbs less.
"""

import argparse
import time

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skmetric.search import ExactIndex, NeighborAverage, SimilaritySearch


def best(*calls, repeats=3, clock=time.perf_counter):
    """Least seconds of each of several calls, which take turns."""
    seconds = np.empty((repeats, len(calls)))
    for row in seconds:
        for column, call in enumerate(calls):
            start = clock()
            call()
            row[column] = clock() - start
    return seconds.min(axis=0)


def line(label, ours, peer=None, aim=""):
    """Print one row of the table."""
    ratio = "" if peer is None else f"{1e3 * peer:10.2f} ms  ratio {ours / peer:6.2f}"
    print(f"{label:58} {1e3 * ours:10.2f} ms {ratio:32} {aim}", flush=True)


def compare_index(n_items, clock):
    """Queries and enrolment of the exact index."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_items, 128), dtype=np.float32)
    queries = rng.standard_normal((100, 128), dtype=np.float32)
    index = ExactIndex().add(np.arange(n_items), X)
    peers = {"scikit-learn brute": NearestNeighbors(algorithm="brute").fit(X).kneighbors}
    try:
        import faiss

        flat = faiss.IndexFlatL2(128)
        flat.add(X)
        peers["FAISS flat"] = flat.search
    except ImportError:
        pass
    for name, search in peers.items():
        for n, repeats in ((100, 6), (1, 60)):
            calls = (lambda n=n: index.query(queries[:n], 10)), (lambda n=n, s=search: s(queries[:n], 10))
            taken = best(*calls, repeats=repeats, clock=clock)
            line(f"{n_items} x 128, {n} queries, k=10; peer: {name}", *taken, "<= 1.25 of FAISS")
    ids = iter(range(n_items, n_items + 20))
    search = SimilaritySearch().fit(X, np.arange(n_items) % 1000)
    calls = (lambda: index.add([next(ids)], queries[:1])), (lambda: search.partial_fit(queries[:1], [5]))
    added, enrolled = best(*calls, repeats=20, clock=clock)
    line("add one item to the index", added, aim="< 5 ms")
    line("enrol one item in the search", enrolled, aim="< 5 ms")


def compare_search(n_items, n_classes, clock):
    """Calibration and lookups against bare neighbours."""
    rng = np.random.default_rng(0)
    y = np.arange(n_items) % n_classes
    X = rng.standard_normal((n_classes, 128), dtype=np.float32)[y]
    X += rng.standard_normal(X.shape, dtype=np.float32)
    search = SimilaritySearch().fit(X, y, metadata={"shop": y.astype(str), "price": y * 0.5})
    taken = best(search.calibrate, search.kneighbors, repeats=2, clock=clock)
    line(f"calibrate {n_items} in {n_classes} classes; peer: kneighbors()", *taken, "<= 1.5")
    rows = X[: n_items // 2]
    taken = best(lambda: search.lookup(rows), lambda: search.kneighbors(rows), clock=clock)
    line(f"lookup of {len(rows)} with metadata; peer: kneighbors", *taken, "<= 1.3")


def compare_options(n_items, clock):
    """What query expansion adds to a lookup of one query, and scores of all classes to matches."""
    rng = np.random.default_rng(0)
    y = np.arange(n_items) % 500
    X = rng.standard_normal((500, 128), dtype=np.float32)[y]
    X += rng.standard_normal(X.shape, dtype=np.float32)
    plain = SimilaritySearch().fit(X, y)
    expanding = SimilaritySearch(query_expansion=NeighborAverage()).fit(X, y)
    one = X[:1] + np.float32(0.1)
    taken = best(lambda: expanding.lookup(one), lambda: plain.lookup(one), repeats=40, clock=clock)
    line(f"{n_items} x 128, one query, query_expansion; peer: lookup", *taken, "<= 3")
    for n in (1, 100):
        rows = X[:n] + np.float32(0.1)
        calls = (lambda r=rows: plain.decision_function(r)), (lambda r=rows: plain.predict(r))
        taken = best(*calls, repeats=10, clock=clock)
        line(f"decision_function of {n}, 500 classes; peer: predict", *taken, "<= 3")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sets")
    parser.add_argument("--cpu", action="store_true", help="seconds of the processor")
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    compare_index(20_000 if options.quick else 200_000, clock)
    for classes in (10, 1000):
        compare_search(4_000 if options.quick else 20_000, classes, clock)
    compare_options(20_000, clock)
