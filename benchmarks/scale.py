"""How cost grows with the number of rows: `MetricLearner`, exact and approximate search, memory maps.

Each table is a command. Rows are made in parts, and lie in a memory map where the table says so. "MB" is the
largest memory of a process during a call, above that before it, without the pages of files (Linux: RssAnon).
Seconds are those of the CPU, of all threads together: OMP_NUM_THREADS=1 makes them comparable. Sizes go up to
1,000,000 rows; `--quick` takes 1/50 of them, and `--most N` no more than N rows.

    python benchmarks/scale.py fit      MetricLearner by partial_fit on parts of a memory map
    python benchmarks/scale.py exact    ExactIndex: in memory, in float16, from a memory map, by torch
    python benchmarks/scale.py graph    FaissIndex("HNSW32") beside FAISS: queries, changes, a moving gallery
    python benchmarks/scale.py build    that graph, --part rows a call, in --folder, where `graph` finds it
    python benchmarks/scale.py lists    FaissIndex, inverted lists and int8 codes, beside FAISS's own calls
    python benchmarks/scale.py peers    hnswlib and usearch on the rows of `graph`
    python benchmarks/scale.py maps     peak memory of scores and searches on a memory map
    python benchmarks/scale.py classes  a training step with sampled class centres, over the number of classes
"""

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
N_CLASSES, N_QUERIES, K, PART = 2000, 200, 10, 10_000
BUDGET_MB = {"fit": 64, "maps": 128}  # of memory beyond the rows, which a table says are kept


def made(n_rows, n_features, seed=0, shift=0.0):
    """Unit rows about random centres of classes and their labels, in parts of 10,000 rows."""
    centers = np.random.default_rng(0).standard_normal((N_CLASSES, n_features), dtype=np.float32)
    rng = np.random.default_rng([1, seed])
    for start in range(0, n_rows, PART):
        y = rng.integers(N_CLASSES, size=min(PART, n_rows - start))
        rows = centers[y] + rng.standard_normal((len(y), n_features), dtype=np.float32) + shift
        yield rows / np.linalg.norm(rows, axis=1, keepdims=True), y


def in_memory(n_rows, n_features, seed=0, shift=0.0):
    """The rows of `made` as one array."""
    return np.concatenate([rows for rows, _ in made(n_rows, n_features, seed, shift)])


def written(folder, n_rows, n_features):
    """The rows of `made` as a memory map, and their labels."""
    path, labels = Path(folder) / f"{n_rows}.npy", []
    rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n_rows, n_features))
    for start, (part, y) in zip(range(0, n_rows, PART), made(n_rows, n_features), strict=True):
        rows[start : start + len(part)] = part
        labels.append(y)
    rows.flush()
    return np.load(path, mmap_mode="r"), np.concatenate(labels)


def anonymous_megabytes():
    """Memory of this process that no file backs."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError:
        return float("nan")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), float("nan"))


def measured(run):
    """Seconds of a call, and its peak of memory in MB."""
    before, peak, ended = anonymous_megabytes(), [0.0], threading.Event()

    def watch():
        while not ended.wait(0.003):
            peak[0] = max(peak[0], anonymous_megabytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.process_time()
    run()
    taken = time.process_time() - start
    ended.set()
    watcher.join()
    return taken, max(peak[0] - before, 0.0)


def seconds(run, repeats=1):
    """Least seconds of some calls."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def in_turns(ours, theirs, repeats):
    """Least seconds of two calls that take turns, so that a busy machine hurts both."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    return [min(side) for side in zip(*pairs, strict=True)]


# Fit


def fit(options, sizes):
    """Seconds and memory of `partial_fit` over parts of a memory map."""
    from skmetric import MetricLearner

    print(f"MetricLearner(shrinkage=(0.3, 0.1)).partial_fit by parts of {PART:,} rows of 64 features;")
    print(f"budget of memory: {BUDGET_MB['fit']} MB\n")
    print(f"{'rows':>10}{'seconds':>10}{'µs a row':>10}{'MB':>8}{'rows, MB':>10}{'max error':>12}")
    with tempfile.TemporaryDirectory() as folder:
        MetricLearner(shrinkage=(0.3, 0.1)).fit(*written(folder, 3000, 64))  # first calls are not measured
        for n in sizes:
            X, y = written(folder, n, 64)

            def run(X=X, y=y):
                learner = MetricLearner(shrinkage=(0.3, 0.1))
                for start in range(0, len(X), PART):
                    learner.partial_fit(X[start : start + PART], y[start : start + PART])
                return learner

            cpu, megabytes = measured(run)
            cpu, learner = min(cpu, seconds(run, 2 + 10 * (n < 100_000))), run()
            error = ""
            if n <= 100_000:
                whole = MetricLearner(shrinkage=(0.3, 0.1)).fit(X, y).transform(X[:100])
                error = f"{np.abs(whole - learner.transform(X[:100])).max():.1e}"
            print(
                f"{n:10,}{cpu:10.2f}{1e6 * cpu / n:10.2f}{megabytes:8.0f}{X.nbytes / 2**20:10.0f}{error:>12}",
                flush=True,
            )
            assert not megabytes > BUDGET_MB["fit"], "the budget of memory is exceeded"


# Exact search


def exact(options, sizes):
    """Milliseconds of a batch of queries over the number of rows."""
    from skmetric.search import ExactIndex

    queries = in_memory(N_QUERIES, 128, seed=1)
    print(f"{N_QUERIES} queries, k={K}, 128 features; milliseconds of a batch, and of a bare product Q @ X.T")
    names = ["product", "memory", "ns an item", "float16", "map", "one query", "torch"]
    print(f"{'rows':>10}" + "".join(f"{name:>12}" for name in names))
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            mapped, _ = written(folder, n, 128)
            X, ids, repeats = np.array(mapped), np.arange(n), 5 if n < 100_000 else 2
            kinds = {
                "memory": ExactIndex().add(ids, X),
                "half": ExactIndex().add(ids, X.astype(np.float16)),
                "map": ExactIndex().add(ids, mapped),
                "torch": ExactIndex(device="auto").add(ids, X),
            }
            for index in kinds.values():
                index.query(queries[:1], K)
            parts = np.array_split(queries, 10)  # whose products fit in memory
            took = {"product": seconds(lambda parts=parts, X=X: [q @ X.T for q in parts], repeats)}
            for name, index in kinds.items():
                took[name] = seconds(lambda index=index: index.query(queries, K), repeats)
            one = seconds(lambda index=kinds["memory"]: index.query(queries[:1], K), 10)
            print(
                f"{n:10,}{1e3 * took['product']:12.1f}{1e3 * took['memory']:12.1f}"
                f"{1e9 * took['memory'] / n / N_QUERIES:12.2f}{1e3 * took['half']:12.1f}"
                f"{1e3 * took['map']:12.1f}{1e3 * one:12.2f}{1e3 * took['torch']:12.1f}",
                flush=True,
            )


# Approximate search


def recall(found, truth):
    """Share of the true neighbours that were found."""
    return np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth, strict=True)])


def against_faiss(index, queries, truth, parameters, at_least=0.95):
    """Print recall and seconds of queries for growing settings, until recall is enough."""
    import faiss

    raw = index._held.engine.index
    for name, value in parameters:
        index.set_params(**{name: value})
        kind = (
            faiss.SearchParametersHNSW(efSearch=value)
            if name == "ef_search"
            else faiss.SearchParametersIVF(nprobe=value)
        )
        found = index.query(queries, K).indices
        reached = recall(found, truth)
        n_candidates = K * (index.rescore if "SQ" in index.factory else 1)
        own = recall(raw.search(queries, n_candidates, params=kind)[1][:, :K], truth)
        ours, theirs = in_turns(
            lambda: index.query(queries, K),
            lambda kind=kind, n=n_candidates: raw.search(queries, n, params=kind),
            repeats=7,
        )
        print(
            f"  {name}={value:<5} recall@10 {reached:.3f} (FAISS {own:.3f})   "
            f"{1e6 * ours / len(queries):6.0f} µs a query, FAISS {1e6 * theirs / len(queries):6.0f}, "
            f"ratio {ours / theirs:.3f}",
            flush=True,
        )
        if reached >= at_least:
            return


def changes(index, n, rng):
    """Print the seconds of enrolling and removing one item."""
    rows = in_memory(60, 128, seed=2)
    index.add([n], rows[:1])  # buffers grow by half now, not below
    adds = [seconds(lambda i=i: index.add([n + i], rows[i : i + 1])) for i in range(1, 30)]
    gone = rng.permutation(n)[:30]
    removals = [seconds(lambda i=i: index.remove([i])) for i in gone]
    print(
        f"  enrol one {1e3 * np.median(adds):.2f} ms (most {1e3 * max(adds):.2f}), "
        f"remove one {1e3 * np.median(removals):.2f} ms (most {1e3 * max(removals):.2f})",
        flush=True,
    )
    index.remove(np.arange(n, n + 30))
    return np.setdiff1d(np.arange(n), gone)


def filled(factory, X, **options):
    """A FaissIndex of rows, its seconds and memory printed."""
    from skmetric.search import FaissIndex

    index = FaissIndex(factory, **options)
    before = anonymous_megabytes()
    taken = seconds(lambda: index.add(np.arange(len(X)), X))
    print(
        f"{factory}, {len(X):,} x 128: filled in {taken:.0f} s, {anonymous_megabytes() - before:,.0f} MB; "
        f"embeddings alone {X.nbytes / 2**20:,.0f} MB",
        flush=True,
    )
    return index


def truth_of(queries, X, ids=None):
    """Ids of the true neighbours."""
    from skmetric.retrieval import nearest

    found = nearest(queries, X, K).indices
    return found if ids is None else ids[found]


def graph(options, sizes):
    """A graph beside FAISS's own calls, and while the gallery moves."""
    if options.folder and options.folder.exists():
        index = built(options.folder)
        n = len(index)
        X = in_memory(sizes[-1], 128)[:n]
    else:
        n = sizes[-1]
        X = in_memory(n, 128)
        index = filled("HNSW32", X)
    queries = in_memory(N_QUERIES, 128, seed=1)
    truth = truth_of(queries, X)
    against_faiss(index, queries, truth, [("ef_search", v) for v in (32, 64, 128, 256, 512)])
    moved(index, X, changes(index, n, np.random.default_rng(0)), queries)


def moved(index, X, ids, queries):
    """Print recall of old and of new queries after a tenth more rows from a distribution that moves."""
    n, n_steps = len(X), 10
    step = n // 10 // n_steps
    added = [in_memory(step, 128, seed=10 + i, shift=0.05 * (i + 1)) for i in range(n_steps)]
    first = np.arange(n, n + n_steps * step)
    taken = sum(
        seconds(lambda i=i, a=a: index.add(first[i * step : (i + 1) * step], a)) for i, a in enumerate(added)
    )
    everything, all_ids = np.concatenate([X[ids], *added]), np.concatenate([ids, first])
    shares = []
    for asked in (queries, in_memory(N_QUERIES, 128, seed=3, shift=0.05 * n_steps)):
        shares.append(recall(index.query(asked, K).indices, truth_of(asked, everything, all_ids)))
    print(
        f"  after {n_steps * step:,} enrolments of a moving distribution, "
        f"{1e3 * taken / n_steps / step:.2f} ms each: recall@10 of old queries {shares[0]:.3f}, "
        f"of new ones {shares[1]:.3f}",
        flush=True,
    )


def build(options, sizes):
    """Add rows to the graph in a folder."""
    from skmetric.search import FaissIndex

    index = FaissIndex("HNSW32")
    if options.folder.exists():
        index = built(options.folder)
    start, X = len(index), in_memory(sizes[-1], 128)
    stop = min(start + options.part, len(X))
    taken = seconds(lambda: index.add(np.arange(start, stop), X[start:stop]))
    print(f"HNSW32, rows {start:,} to {stop:,} of {len(X):,} x 128: {taken:.0f} s", flush=True)
    index.save(options.folder)


def built(folder):
    """The graph in a folder, in memory."""
    from skmetric.search import FaissIndex

    before = anonymous_megabytes()
    index = FaissIndex.load(folder)
    index.query(np.zeros((1, 128)), K)
    print(
        f"HNSW32, {len(index):,} x 128, from a folder: {anonymous_megabytes() - before:,.0f} MB and the file"
    )
    return index


def lists(options, sizes):
    """Inverted lists, and codes of int8, beside FAISS's own calls."""
    n = sizes[-1]
    X, queries = in_memory(n, 128), in_memory(N_QUERIES, 128, seed=1)
    truth = truth_of(queries, X)
    n_lists = 1024 if n > 200_000 else 256
    for factory, options in [
        (f"IVF{n_lists},Flat", {}),
        (f"IVF{n_lists},SQ8", {}),
        (f"IVF{n_lists},SQ8", {"keep_vectors": False, "rescore": 1}),
    ]:
        index = filled(factory, X, max_recall_loss=None, **options)
        if options:
            print("  keep_vectors=False:")
        against_faiss(index, queries, truth, [("n_probe", v) for v in (8, 16, 32, 64, 128)])
        ids = changes(index, n, np.random.default_rng(0))
        if "Flat" in factory:
            moved(index, X, ids, queries)


def peers(options, sizes):
    """Graphs of other packages."""
    n = sizes[-1]
    X, queries = in_memory(n, 128), in_memory(N_QUERIES, 128, seed=1)
    truth, n_threads = truth_of(queries, X), int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))
    for name, peer in (("hnswlib", hnswlib_graph), ("usearch", usearch_graph)):
        try:
            before, start = anonymous_megabytes(), time.process_time()
            search, add, remove = peer(X, n_threads)
        except ImportError:
            print(f"{name} is not installed")
            continue
        taken = time.process_time() - start
        print(f"{name}, M=32: filled in {taken:.0f} s, {anonymous_megabytes() - before:,.0f} MB", flush=True)
        for ef in (32, 64, 128, 256, 512):
            reached = recall(search(queries, ef), truth)
            took = seconds(lambda search=search, ef=ef: search(queries, ef), 5)
            print(
                f"  ef={ef:<5} recall@10 {reached:.3f}   {1e6 * took / N_QUERIES:8.0f} µs a query", flush=True
            )
            if reached >= 0.95:
                break
        rows = in_memory(30, 128, seed=2)
        adds = [seconds(lambda i=i, add=add, rows=rows: add(n + i, rows[i])) for i in range(30)]
        removals = [seconds(lambda i=i, remove=remove: remove(i)) for i in range(30)]
        print(f"  enrol one {1e3 * np.median(adds):.2f} ms, remove one {1e3 * np.median(removals):.3f} ms")


def hnswlib_graph(X, n_threads):
    """Functions that search, add and remove."""
    import hnswlib

    index = hnswlib.Index(space="l2", dim=X.shape[1])
    index.init_index(max_elements=len(X) + 100, ef_construction=40, M=32)
    index.set_num_threads(n_threads)
    index.add_items(X, np.arange(len(X)))

    def search(queries, ef):
        index.set_ef(ef)
        return index.knn_query(queries, K)[0]

    return search, lambda i, row: index.add_items(row[None], [i]), index.mark_deleted


def usearch_graph(X, n_threads):
    """Functions that search, add and remove."""
    from usearch.index import Index

    index = Index(ndim=X.shape[1], metric="l2sq", dtype="f32", connectivity=32, expansion_add=40)
    index.add(np.arange(len(X)), X, threads=n_threads)

    def search(queries, ef):
        index.expansion_search = ef
        return index.search(queries, K, threads=n_threads).keys

    return search, index.add, index.remove


# Memory maps


def maps(options, sizes):
    """Peak memory of what searches a memory map, each in a fresh process."""
    n = min(sizes[-1], 300_000)
    print(
        f"a memory map of {n:,} x 128, {n * 512 / 2**20:.0f} MB; budget of memory: {BUDGET_MB['maps']} MB\n"
    )
    print(f"{'':58}{'seconds':>10}{'MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        X, y = written(folder, n, 128)
        for call in CALLS.values():  # imports and first calls are not measured
            call(X[:500], y[:500])
        for name in CALLS:
            child = os.fork()
            if not child:
                taken, megabytes = measured(lambda name=name: CALLS[name](X, y))
                print(f"{name:58}{taken:10.2f}{megabytes:8.0f}", flush=True)
                os._exit(0)
            os.waitpid(child, 0)


def _exact_map(X, y):
    from skmetric.search import ExactIndex

    ExactIndex().add(np.arange(len(X)), X).query(X[:5] + 0.01, K)


def _search_map(X, y):
    from skmetric.search import SimilaritySearch

    SimilaritySearch().fit(X, y).predict(X[:5] + 0.01)


def _report_map(X, y):
    from skmetric.metrics import retrieval_report

    retrieval_report(X[:50] + 0.01, y[:50], gallery=X, y_gallery=y)


def _fit_map(X, y):
    from skmetric import MetricLearner

    MetricLearner(shrinkage=(0.3, 0.1)).fit(X, y)


CALLS = {
    "ExactIndex().add(map).query(5 rows)": _exact_map,
    "SimilaritySearch().fit(map, y).predict(5 rows)": _search_map,
    "retrieval_report(50 rows, y, gallery=map, y_gallery=y)": _report_map,
    "MetricLearner(shrinkage=(0.3, 0.1)).fit(map, y)": _fit_map,
}
# Class centres


def classes(options, sizes):
    """Milliseconds of the parts of a step, and memory, over the number of classes."""
    import torch

    from skmetric.deep import losses
    from skmetric.deep._training import _row_steps
    from skmetric.deep.losses._table_rows import read_by

    print("ArcFaceLoss(sampled_classes=4096), 64 components, batches of 128, AdamW in one pass; CPU")
    print("milliseconds of the least of eight steps. all: all proxies brought up to date, once an epoch.")
    print(f"`fit` takes the sparse gradient from {_row_steps._WORTH} classes for each sampled one on\n")
    _row_steps._WORTH = 1  # both kinds at all sizes
    names = ("forward", "backward", "step", "whole", "all", "MB")
    print(f"{'classes':>10}  {'gradient':8}" + "".join(f"{name:>10}" for name in names))
    for n, is_sparse in [(n, kind) for n in sizes if str(n)[0] in "12" for kind in (False, True)]:
        taken, settled = [], []

        def run(n=n, is_sparse=is_sparse, taken=taken, settled=settled):
            loss = losses.ArcFaceLoss(sampled_classes=4096).bind(n_components=64, n_classes=n)
            optimizer = torch.optim.AdamW(loss.parameters(), lr=1e-3, fused=True, weight_decay=0.0)
            rows = _row_steps.RowSteps(optimizer) if is_sparse else None
            embeddings, labels, value = torch.randn(128, 64), torch.randint(n, (128,)), []
            for _ in range(9):
                optimizer.zero_grad(set_to_none=True)
                with read_by(rows):
                    calls = (
                        lambda: value.append(loss(embeddings, labels)),
                        lambda: value.pop().backward(),
                        optimizer.step,
                    )
                    taken.append([seconds(call) for call in calls])
            settled.append(seconds(rows.settle) if is_sparse else 0.0)

        _, megabytes = measured(run)
        parts = 1e3 * np.min(taken[1:], axis=0)  # the first step makes the moments
        print(
            f"{n:10,}  {'sparse' if is_sparse else 'dense':8}{''.join(f'{part:10.1f}' for part in parts)}"
            f"{parts.sum():10.1f}{1e3 * settled[0]:10.1f}{megabytes:10.0f}",
            flush=True,
        )


TABLES = {
    "fit": fit,
    "exact": exact,
    "graph": graph,
    "build": build,
    "lists": lists,
    "peers": peers,
    "maps": maps,
    "classes": classes,
}


def main():
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--quick", action="store_true", help="1/50 of the sizes")
    parser.add_argument("--folder", type=Path, help="of the graph, for `build` and `graph`")
    parser.add_argument("--part", type=int, default=250_000, metavar="N", help="rows that `build` adds")
    parser.add_argument("--most", type=int, default=SIZES[-1], metavar="N", help="rows at most")
    options = parser.parse_args()
    sizes = [n // 50 for n in SIZES] if options.quick else [n for n in SIZES if n <= options.most]
    TABLES[options.table](options, sizes)


if __name__ == "__main__":
    main()
