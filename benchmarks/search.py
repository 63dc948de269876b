"""What an index, a lookup and a calibration cost.

    python benchmarks/search.py [--quick]

Each line is the best of two or three calls. FAISS is compared where it is installed. Threads are those that
OMP_NUM_THREADS allows.
"""

import argparse
import time

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skmetric.search import ExactIndex, SimilaritySearch


def best(call, repeats=3):
    """Least seconds of several calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def line(label, ours, peer=None, aim=""):
    """Print one row of the table."""
    ratio = "" if peer is None else f"{1e3 * peer:10.2f} ms  ratio {ours / peer:6.2f}"
    print(f"{label:58} {1e3 * ours:10.2f} ms {ratio:32} {aim}", flush=True)


def compare_index(n_items):
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
        for n in (100, 1):
            ours = best(lambda n=n: index.query(queries[:n], 10))
            peer = best(lambda n=n, search=search: search(queries[:n], 10))
            line(f"{n_items} x 128, {n} queries, k=10; peer: {name}", ours, peer, "<= 1.25 of FAISS")
    ids = iter(range(n_items, n_items + 10))
    line("add one item to the index", best(lambda: index.add([next(ids)], queries[:1])), aim="< 5 ms")
    search = SimilaritySearch().fit(X, np.arange(n_items) % 1000)
    enrol = best(lambda: search.partial_fit(queries[:1], [5]))
    line("enrol one item in the search", enrol, aim="< 5 ms")


def compare_search(n_items, n_classes):
    """Calibration and lookups against bare neighbours."""
    rng = np.random.default_rng(0)
    y = np.arange(n_items) % n_classes
    X = rng.standard_normal((n_classes, 128), dtype=np.float32)[y]
    X += rng.standard_normal(X.shape, dtype=np.float32)
    search = SimilaritySearch().fit(X, y, metadata={"shop": y.astype(str), "price": y * 0.5})
    neighbors = best(search.kneighbors, 2)
    line(
        f"calibrate {n_items} in {n_classes} classes; peer: kneighbors()",
        best(search.calibrate, 2),
        neighbors,
        "<= 1.5",
    )
    rows = X[: n_items // 2]
    line(
        f"lookup of {len(rows)} with metadata; peer: kneighbors",
        best(lambda: search.lookup(rows), 2),
        best(lambda: search.kneighbors(rows), 2),
        "<= 1.3",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sets")
    quick = parser.parse_args().quick
    compare_index(20_000 if quick else 200_000)
    for classes in (10, 1000):
        compare_search(4_000 if quick else 20_000, classes)
