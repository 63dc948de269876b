"""Tables and collections that others name, change or interrupt."""

import signal
import threading
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skmetric.exceptions import IndexUnavailableError
from skmetric.search import MilvusIndex, PgVectorIndex, SimilaritySearch
from skmetric.search._server._remote import batches_of
from skmetric.search._server._store import Store
from skmetric.search._server.milvus._collection import LEAST, Collection, _text_bytes
from skmetric.search._server.pgvector._table import Table

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
LONG = "é" * 31 + "x"  # 63 bytes


@pytest.mark.parametrize("store", [Table, Collection])
def test_a_store_brings_all_that_an_index_asks_for(store):
    assert issubclass(store, Store)
    assert not store.__abstractmethods__


# Names


@pytest.mark.parametrize("table", ["", LONG + "a", "é" * 32, "a" * 64, "a\0b", "\ud800", None, 3])
def test_tables_that_postgresql_would_cut(table):
    for call in (len, lambda i: i.add([1], X[:1]), lambda i: i.clear(), SimilaritySearch.attach):
        with pytest.raises(ValueError, match="table="):
            call(PgVectorIndex("host=/nowhere", table))


@pytest.mark.parametrize("collection", ["", "a" * 256, "my coll", "1a", "a-b", "é", "a\0", None, 3])
def test_collections_that_milvus_does_not_take(collection, tmp_path):
    for call in (len, lambda i: i.add([1], X[:1]), SimilaritySearch.attach):
        with pytest.raises(ValueError, match="collection="):
            call(MilvusIndex(str(tmp_path / "a.db"), collection))
    assert not list(tmp_path.iterdir())


def test_tenants_whose_names_are_long(postgres):
    one, other = (PgVectorIndex(postgres, LONG[:-1] + letter) for letter in "ab")
    one.clear().add([1], X[:1])
    assert len(other.clear()) == 0
    assert len(one) == 1
    one.clear()


@pytest.mark.parametrize("table", ["skmetric_staging", 'a"; --', "50%s %", "{0}"])
def test_tables_with_odd_names(postgres, table):
    index = PgVectorIndex(postgres, table).clear().add([1, 2], X[:2], {"n": [1, 2]})
    assert len(index.upsert([2, 3], X[2:4], {"n": [5, 6]})) == 3
    assert index.columns()[1]["n"].tolist() == [1, 5, 6]
    assert index.query(X[3:4], 1, where={"n": 6}).indices.tolist() == [[3]]
    index.clear()


@pytest.mark.parametrize("name", ["", "a\0", "\ud800", "a" * 64])
def test_columns_with_names_that_no_server_has(index, name):
    with pytest.raises(ValueError, match="column "):
        index.add([1], X[:1], {name: [1]})


# Columns that others add

ADDED = [
    "timestamptz",
    "jsonb",
    "text[]",
    "bytea",
    "uuid",
    "numeric",
    "integer",
    "inet",
    "text",
    "bigint",
    "boolean",
]


def test_columns_that_an_administrator_adds_are_left_alone(make_pgvector):  # milvus #20405
    psycopg = pytest.importorskip("psycopg")
    index = make_pgvector()
    search = SimilaritySearch(index=index).fit(X[:9], list("abcabcabc"), metadata={"n": np.arange(9)})
    with psycopg.connect(str(index.conninfo), autocommit=True) as admin:
        for i, kind in enumerate(ADDED):
            admin.execute(f'ALTER TABLE "{index.table}" ADD "x{i}" {kind}')
        admin.execute(f'ALTER TABLE "{index.table}" ADD since timestamptz NOT NULL DEFAULT now()')
        admin.execute(f'ALTER TABLE "{index.table}" ADD twice bigint GENERATED ALWAYS AS (n * 2) STORED')
        admin.execute(f'UPDATE "{index.table}" SET x8 = $$kept$$')
        again = SimilaritySearch.attach(PgVectorIndex(index.conninfo, index.table))
        again.partial_fit(X[9:10], ["a"], metadata={"n": [9]})
        again.update([0], X[10:11], ["b"], metadata={"n": [7]})
        again.update([1], metadata={"n": [70]})
        assert admin.execute(f'SELECT count(*) FROM "{index.table}" WHERE x8 = $$kept$$').fetchone() == (9,)
    assert list(again.lookup(X[:1]).columns) == ["query", "rank", "id", "distance", "label", "n"]
    assert search.items()["n"].tolist() == [7, 70, 2, 3, 4, 5, 6, 7, 8, 9]
    with psycopg.connect(str(index.conninfo), autocommit=True) as admin:
        admin.execute(f'ALTER TABLE "{index.table}" ADD needed uuid NOT NULL DEFAULT gen_random_uuid()')
        admin.execute(f'ALTER TABLE "{index.table}" ALTER needed DROP DEFAULT')
    with pytest.raises(
        ValueError, match=r"a column 'needed' of type uuid .*give it a default, or let it be NULL"
    ):
        SimilaritySearch.attach(PgVectorIndex(index.conninfo, index.table))


# Items


@pytest.fixture(params=["memory", "postgres", "milvus"])
def search(request):
    if request.param == "memory":
        index = None
    else:
        index = request.getfixturevalue("make_pgvector" if request.param == "postgres" else "milvus")
        index = index() if request.param == "postgres" else index
    dates = pd.to_datetime(["2024-01-01", None, "2024-01-03", "0001-01-01"])
    metadata = {"n": [1, 2, 3, 4], "on": dates, "shop": list("ABCD")}
    return SimilaritySearch(index=index).fit(X[:4], list("wxyz"), ids=["a", "b", "c", "d"], metadata=metadata)


def test_upsert(search):
    more = {"n": [20, 50], "on": [None, None], "shop": ["b", "e"]}
    search.upsert(["b", "e"], X[10:12], ["x", "v"], metadata=more)
    table = search.items(["a", "b", "e"])
    assert table["n"].tolist() == [1, 20, 50]
    assert table["label"].tolist() == ["w", "x", "v"]
    assert search.lookup(X[10:12], 1)["id"].tolist() == ["b", "e"]
    assert len(search.ids_) == 5
    with pytest.raises(ValueError, match="id 'a' comes more than once"):
        search.upsert(["a", "a"], X[:2], ["x", "v"], metadata=more)
    with pytest.raises(ValueError, match="metadata must have the columns"):
        search.upsert(["a", "q"], X[:2], ["x", "v"])
    assert len(search.ids_) == 5


def test_metadata_alone(search):
    before = search.lookup(X[:3], 2)
    search.update(["c", "a"], metadata={"shop": ["new", ""], "on": [None, np.datetime64("2025-01-01")]})
    table = search.items(["a", "b", "c"])
    assert table["shop"].tolist() == ["", "B", "new"]
    assert np.isnat(table["on"]).tolist() == [False, True, True]
    assert table["n"].tolist() == [1, 2, 3]
    after = search.lookup(X[:3], 2)
    assert [after["id"].tolist(), after["label"].tolist()] == [
        before["id"].tolist(),
        before["label"].tolist(),
    ]
    for ids, columns, error in (
        (["a", "q"], {"n": [7, 7]}, KeyError),
        (["a"], {"m": [7]}, ValueError),
        (["a"], {"n": ["x"]}, ValueError),
        (["a"], {"n": [7, 8]}, ValueError),
        (["a"], {}, ValueError),
        (["a"], None, ValueError),
    ):
        with pytest.raises(error):
            search.update(ids, metadata=columns)
    assert search.items(where={"n": 7})["id"].tolist() == []


def test_items(search):
    table = search.items()
    assert list(table.columns) == ["id", "label", "n", "on", "shop"]
    assert sorted(table["id"]) == ["a", "b", "c", "d"]
    assert search.items(["d", "a"])["label"].tolist() == ["z", "w"]
    assert search.items(where={"on": None})["id"].tolist() == ["b"]
    assert search.items("c").to_records()[0]["shop"] == "C"
    assert search.set_output(transform="pandas").items(["d", "a"]).n.tolist() == [4, 1]
    with pytest.raises(KeyError, match="ids has id 'q', which no item of the gallery has"):
        search.items(["q"])


# Text and numbers


@pytest.mark.parametrize("text", ["alice\0", "a\0b", "\ud800"])
def test_text_that_no_server_holds_is_refused_in_memory_too(text):
    for options in ({"y": ["a", text]}, {"ids": ["a", text]}, {"metadata": {"m": ["a", text]}}):
        with pytest.raises(ValueError, match=r"(y|ids|metadata 'm') has text with a .* in row 1"):
            SimilaritySearch().fit(X[:2], **options)


def test_integers_stay_what_they_are(search):
    search = SimilaritySearch(index=search.index)
    if search.index is not None:
        search.index.clear()
    big = [2**60, 2**60 + 1, 2**60 + 2]
    for values in (
        big,
        pd.Series(big, dtype="Int64"),
        np.array(big, object),
        pd.Series(big, dtype="int64[pyarrow]"),
    ):
        search.fit(X[:3], metadata={"user": values})
        assert search.items()["user"].tolist() == big
        assert len(search.items(where={"user": 2**60 + 1})["id"]) == 1
        assert len(search.items(where={"user": float(2**60)})["id"]) == 1
        if search.index is not None:
            search.index.clear()
    for values in (
        [2**60, None, 3],
        pd.Series([2**60, pd.NA, 3], dtype="Int64"),
        np.ma.array(big, mask=[0, 1, 0]),
    ):
        with pytest.raises(
            ValueError, match=r"metadata 'user' has 1152921504606846976 in row 0 beside a missing"
        ):
            search.fit(X[:3], metadata={"user": values})


def test_a_missing_number_does_not_round_those_enrolled_before():
    search = SimilaritySearch().fit(X[:2], metadata={"user": [2**60, 2**60 + 1]})
    for values in ([None], [0.5], np.array([2**63 + 1], dtype=np.uint64)):
        with pytest.raises(ValueError, match="metadata 'user' "):
            search.partial_fit(X[2:3], metadata={"user": values})
    assert search.items()["user"].tolist() == [2**60, 2**60 + 1]


def test_one_long_text_costs_its_length(tmp_path):  # deepchecks #2642
    import tracemalloc

    n, long = 5000, "x" * 20_000
    texts = [f"passage {i}" for i in range(n - 1)] + [long]  # as U20000: 400 MB
    embeddings = np.random.default_rng(0).normal(size=(n, 4))
    tracemalloc.start()
    search = SimilaritySearch().fit(embeddings, texts, ids=texts, metadata={"text": texts})
    search.partial_fit(embeddings[:1], ["y"], ids=["y"], metadata={"text": ["y" + long]})
    search.save(tmp_path / "folder")
    again = SimilaritySearch.load(tmp_path / "folder")
    found = again.lookup(embeddings, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    assert found["text"][-2] == long
    assert sum(file.stat().st_size for file in (tmp_path / "folder").rglob("*")) < 1e6
    assert again.predict(embeddings[:2]).tolist() == texts[:2]


def test_long_texts_that_follow_each_other_go_in_several_requests():  # ray #46298
    sizes = np.array([3, 3, 3, 9, 1, 1])
    assert [(part.start, part.stop) for part in batches_of(sizes, 6)] == [(0, 2), (2, 3), (3, 4), (4, 6)]
    assert _text_bytes({"n": [1, 2], "a": ["é", "xyz"], "b": ["", "y"]}, 2).tolist() == [2, 4]
    assert batches_of(sizes[:0], 6) == []


# Time


def test_a_query_that_an_alarm_ends_leaves_the_connection_fit_for_the_next(make_pgvector):
    index = make_pgvector().add(np.arange(20), X)
    assert threading.current_thread() is threading.main_thread()

    def end(*args):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    try:
        for call in (
            lambda: index._opened()._server.read("SELECT pg_sleep(20)"),
            lambda: index._opened()._server.transaction().__enter__().execute("SELECT pg_sleep(20)"),
        ):
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(TimeoutError):
                call()
            assert index.query(X[:1], 1).indices.tolist() == [[0]]
            assert len(index.upsert([0], X[:1])) == 20
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_statement_has_the_time_that_the_options_give(postgres):
    index = PgVectorIndex(f"{postgres}&options=-c%20statement_timeout%3D200", "slow")
    with pytest.raises(IndexUnavailableError, match=r"the server stopped the call.*statement timeout"):
        index._opened()._server.read("SELECT pg_sleep(20)")
    assert len(index) == 0


# Versions


@pytest.mark.parametrize(("distribution", "old"), [("milvus-lite", "2.5.1"), ("pymilvus", "2.6.3")])
def test_versions_that_find_wrong_rows_are_refused(distribution, old, monkeypatch, tmp_path):
    pytest.importorskip("pymilvus")
    installed = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: old if name == distribution else installed(name))
    with pytest.raises(ImportError, match=rf"needs {distribution} .* and {old} is installed.*pip install"):
        SimilaritySearch(index=MilvusIndex(str(tmp_path / "a.db"), "people")).fit(X)
    assert not list(tmp_path.iterdir())


def test_those_are_the_bounds_of_the_extra():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["optional-dependencies"]["milvus"] == [f"{name}>={least}" for name, least in LEAST.items()]


# Notebooks


def test_a_notebook_shows_a_search_without_asking_the_server(index, monkeypatch):
    search = SimilaritySearch(index=index).fit(X, np.arange(20) % 3)
    monkeypatch.setattr(type(search), "ids_", property(lambda self: pytest.fail("all ids were fetched")))
    monkeypatch.setattr(
        type(search), "labels_", property(lambda self: pytest.fail("all labels were fetched"))
    )
    assert "SimilaritySearch" in search._repr_html_()
