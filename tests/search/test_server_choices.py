"""What a table of PgVectorIndex and its index are made of: precision, numbers, versions of pgvector."""

import itertools

import numpy as np
import pytest
from sklearn.base import clone

from skmetric.search import ExactIndex, PgVectorIndex, SimilaritySearch

RNG = np.random.default_rng(0)
N_FEATURES = 64
X = RNG.normal(size=(400, N_FEATURES)).astype(np.float32)
QUERIES = X[:9] + RNG.normal(size=(9, N_FEATURES)).astype(np.float32) / 10
ALL = {"ef_search": 1000, "probes": 1000, "rescore": 1000}  # a search that misses nothing


@pytest.mark.parametrize(
    ("method", "precision", "storage", "made"),
    [
        ("hnsw", "full", "float32", "full"),
        ("hnsw", "half", "float32", "half"),
        ("hnsw", "binary", "float32", "binary"),
        ("ivfflat", "half", "float32", "half"),
        ("ivfflat", "binary", "float16", "binary"),
        ("hnsw", "auto", "float16", "half"),
        ("exact", "auto", "float16", None),
    ],
)
def test_each_finds_what_the_exact_index_finds_among_what_is_kept(
    make_pgvector, method, precision, storage, made
):
    index = make_pgvector(method=method, precision=precision, storage=storage, **ALL).add(np.arange(400), X)
    kept = X.astype(storage)
    expected = ExactIndex().add(np.arange(400), kept.astype(np.float32)).query(QUERIES, 5)
    found = index.query(QUERIES, 5)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-5)
    np.testing.assert_array_equal(index.vectors(), kept)
    schema = clone(index)._opened().schema()
    assert (schema.method, schema.storage) == (
        None if method == "exact" else method,
        {"float32": "vector", "float16": "halfvec"}[storage],
    )
    assert made is None or schema.precision == made


@pytest.mark.parametrize("precision", ["full", "half", "binary"])
@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_the_server_looks_through_the_index(postgres, precision, storage):
    if (precision, storage) == ("full", "float16"):
        return  # refused, see below
    conninfo = f"{postgres}&options=-c%20enable_seqscan%3Doff"
    index = PgVectorIndex(conninfo, "planned", method="hnsw", precision=precision, storage=storage)
    table = index.clear().add(np.arange(400), X)._opened()
    index.query(QUERIES[:1], 3)  # the connection learns a type
    connection = table._server._connection()
    statement = table._sql.query(table._sql.found(())[0], table.schema(), True)
    vector = "[" + ",".join(map(str, QUERIES[0])) + "]"
    text = statement.as_string(connection).replace("unnest(%s)", f"unnest(ARRAY['{vector}'::vector])")
    plan = connection.execute("EXPLAIN " + text.replace("%s", "3")).fetchall()
    assert any("Index Scan using planned_" in line for (line,) in plan), plan
    index.clear()


def test_another_process_searches_the_index_that_is_there_and_reindex_makes_another(make_pgvector):
    index = make_pgvector(method="hnsw", precision="binary", **ALL).add(np.arange(400), X)
    expected = index.query(QUERIES, 5).indices
    other = PgVectorIndex(index.conninfo, index.table, method="hnsw", **ALL)
    np.testing.assert_array_equal(other.query(QUERIES, 5).indices, expected)
    assert other._opened().schema().precision == "binary"
    other.set_params(precision="half").reindex()
    assert clone(index)._opened().schema().precision == "half"
    np.testing.assert_array_equal(index.query(QUERIES, 5).indices, expected)


def test_half_takes_half_and_signs_take_a_32nd(make_pgvector):
    """Bytes of table and index: 4, 2 and 1/8 bytes a number; the rest of an entry is 24 bytes and links."""
    psycopg = pytest.importorskip("psycopg")
    wide = RNG.normal(size=(1000, 256)).astype(np.float32)
    sizes = {}
    for precision, storage in (("full", "float32"), ("half", "float16"), ("binary", "float16")):
        index = make_pgvector(method="hnsw", m=4, ef_construction=8, precision=precision, storage=storage)
        index.add(np.arange(1000), wide)
        with psycopg.connect(index.conninfo) as connection:
            table = f'"{index.table}"'
            size = "SELECT pg_relation_size(%s), pg_indexes_size(%s)"
            sizes[precision] = connection.execute(size, [table, table]).fetchone()
    assert 0.4 < sizes["half"][0] / sizes["full"][0] < 0.7  # 7 and 13 rows a page
    assert sizes["full"][1] - sizes["half"][1] == pytest.approx(1000 * 256 * 2, rel=0.4)
    assert sizes["full"][1] - sizes["binary"][1] == pytest.approx(1000 * 256 * (4 - 1 / 8), rel=0.3)


def test_more_dimensions_than_a_full_index_holds(make_pgvector):
    wide = RNG.normal(size=(20, 4500)).astype(np.float32)
    index = make_pgvector(method="hnsw", precision="binary", **ALL).add(np.arange(20), wide)
    assert index.query(wide[:3], 1).indices.ravel().tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match=r"precision='full' .* up to 2000 dimensions; got 4500: .*binary"):
        make_pgvector(method="hnsw", precision="full").add(np.arange(20), wide)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "graph"}, "method must be one of"),
        ({"precision": "int8"}, r"precision must be one of \('auto', 'full', 'half', 'binary'\); got 'int8'"),
        ({"storage": "float64"}, "storage must be one of"),
        ({"storage": "float16", "precision": "full"}, "precision='full' with storage='float16'"),
        ({"m": 1}, "m must be an integer from 2 to 100; got 1"),
        ({"m": True}, "m must be an integer"),
        ({"method": "hnsw", "m": 40}, "ef_construction=64 must be at least twice m, which is 40"),
        ({"ef_construction": 2000}, "ef_construction must be an integer from 4 to 1000"),
        ({"ef_search": 0}, "ef_search must be an integer from 1 to 1000; got 0"),
        ({"ef_search": 10.5}, "ef_search must be an integer"),
        ({"lists": 0}, "lists must be an integer from 1 to 32768"),
        ({"probes": -1}, "probes must be an integer from 1 to 32768"),
        ({"rescore": 0}, "rescore must be an integer from 1 to 1000"),
    ],
)
def test_parameters_that_no_server_takes(options, message):
    index = PgVectorIndex("host=/nowhere", "people", **options)
    for call in (lambda: index.add([0], X[:1]), lambda: index.query(X[:1], 1), index.reindex):
        with pytest.raises(ValueError, match=message):
            call()


def test_numbers_beyond_float16(make_pgvector):
    index = make_pgvector(storage="float16").add([0], X[:1])
    bad = X[1:4].copy()
    bad[2, 5] = -1e5
    with pytest.raises(ValueError, match=r"embedding in row 2 has a number beyond 65504.*storage='float32'"):
        index.add([1, 2, 3], bad)
    assert len(index) == 1


@pytest.fixture(scope="module")
def of_version(postgres):
    """Connection string of a database that says that its pgvector is of a version."""
    psycopg = pytest.importorskip("psycopg")
    numbers = itertools.count()

    def make(version):
        name = f"old{next(numbers)}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        conninfo = psycopg.conninfo.make_conninfo(postgres, dbname=name)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
            connection.execute("UPDATE pg_extension SET extversion = %s WHERE extname = 'vector'", [version])
        return conninfo

    return make


def test_a_pgvector_that_is_too_old_is_named_with_the_one_needed(of_version):
    conninfo = of_version("0.6.2")
    for options, what in (
        ({"method": "hnsw", "precision": "half"}, "an index in half precision"),
        ({"method": "ivfflat", "precision": "binary"}, "precision='binary'"),
        ({"storage": "float16"}, "storage='float16'"),
    ):
        index = PgVectorIndex(conninfo, "people", **options)
        with pytest.raises(ValueError, match=rf"{what} needs pgvector 0\.7 or later, .* has 0\.6\.2.*choose"):
            index.add(np.arange(5), X[:5])
        assert len(index) == 0
    index = PgVectorIndex(conninfo, "people", method="hnsw", ef_search=5).add(np.arange(400), X)
    assert index.query(X[:3], 30).indices.shape == (3, 30)  # without iterative scans, which came with 0.8
    with pytest.raises(ValueError, match=r"needs pgvector 0\.7 or later"):
        index.set_params(precision="binary").reindex()
    assert clone(index)._opened().schema().method == "hnsw"


def test_an_index_of_another_distance_is_left_alone(make_pgvector):
    psycopg = pytest.importorskip("psycopg")
    index = make_pgvector().add(np.arange(400), X)
    with psycopg.connect(index.conninfo, autocommit=True) as admin:
        admin.execute(f'CREATE INDEX mine ON "{index.table}" USING hnsw (embedding vector_cosine_ops)')
        other = PgVectorIndex(index.conninfo, index.table, method="hnsw", ef_search=400)
        assert other._opened().schema().method is None
        np.testing.assert_array_equal(other.query(QUERIES, 5).indices, index.query(QUERIES, 5).indices)
        other.reindex().set_params(method="exact").reindex()
        assert admin.execute("SELECT to_regclass('mine') IS NOT NULL").fetchone() == (True,)


def test_partitions_answer_for_their_table(make_pgvector):
    psycopg = pytest.importorskip("psycopg")
    index = make_pgvector()
    with psycopg.connect(index.conninfo, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION IF NOT EXISTS vector")
        admin.execute(
            f'CREATE TABLE "{index.table}" (id bigint GENERATED BY DEFAULT AS IDENTITY (MINVALUE 0 START 0) '
            "PRIMARY KEY, position bigint GENERATED ALWAYS AS IDENTITY (MINVALUE 0 START 0), "
            f'embedding vector({N_FEATURES}) NOT NULL, "label" text NOT NULL) PARTITION BY HASH (id)'
        )
        for part in range(2):
            admin.execute(
                f'CREATE TABLE "{index.table} {part}" PARTITION OF "{index.table}" '
                f"FOR VALUES WITH (MODULUS 2, REMAINDER {part})"
            )
    index.set_params(method="hnsw", ef_search=400)
    index.add(np.arange(400), X, {"label": np.array(["a", "b"])[np.arange(400) % 2]})
    expected = ExactIndex().add(np.arange(400), X).query(QUERIES, 5)
    np.testing.assert_array_equal(index.query(QUERIES, 5).indices, expected.indices)
    search = SimilaritySearch.attach(index)
    search.partial_fit(QUERIES[:1], ["c"])
    assert search.predict(QUERIES[:1]).tolist() == ["c"]
    with pytest.raises(ValueError, match="has partitions, which a table that takes its place would not have"):
        search.reembed(lambda ids: np.zeros((len(ids), 2)))


def test_earlier_pickles_have_the_new_parameters():
    index = PgVectorIndex("host=/nowhere", "people")
    for name in ("precision", "rescore", "storage"):
        del index.__dict__[name]
    assert index.get_params()["precision"] == "auto"
