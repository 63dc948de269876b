"""PgVectorIndex and MilvusIndex against real servers: a PostgreSQL in a temporary folder, a Milvus file."""

import os
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skmetric.exceptions import IndexUnavailableError
from skmetric.search import ExactIndex, MilvusIndex, PgVectorIndex, SimilaritySearch
from skmetric.search._server._secrets import masked

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 8)).astype(np.float32)
IDS = np.random.default_rng(1).permutation(1000)[:200]
HARD = "A\"'\\ {}; --\n%s"
COLUMNS = {
    "shop": np.array(["B", HARD])[np.arange(200) % 2],
    "price": np.arange(200) * 0.5,
    "year": np.arange(200),
    "sold": np.arange(200) % 3 == 0,
}


@pytest.fixture(params=["exact", "hnsw", "ivfflat", "milvus"])
def index(request):
    if request.param == "milvus":
        yield request.getfixturevalue("milvus")
        return
    conninfo = request.getfixturevalue("postgres")
    index = PgVectorIndex(conninfo, "odd \"table' {}; --", method=request.param, ef_search=200, probes=100)
    yield index.clear()
    index.clear()


def first(columns, n):
    return {name: values[:n] for name, values in columns.items()}


def test_finds_what_the_exact_index_finds(index):
    index.add(IDS, X, COLUMNS)
    found, expected = index.query(X[:9] + 0.1, 5), ExactIndex().add(IDS, X).query(X[:9] + 0.1, 5)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.distances, expected.distances, atol=1e-5)
    assert len(index) == 200


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        ({"shop": HARD}, COLUMNS["shop"] == HARD),
        ({"shop": ["B", HARD], "sold": True}, COLUMNS["sold"]),
        ({"price": slice(3.5, 10)}, (COLUMNS["price"] >= 3.5) & (COLUMNS["price"] <= 10)),
        ({"year": [4, 5], "shop": "B"}, COLUMNS["year"] == 4),
    ],
)
def test_filters(index, where, passes):
    index.add(IDS, X, COLUMNS)
    k = min(6, passes.sum())
    expected = ExactIndex().add(IDS[passes], X[passes]).query(X[:9] + 0.1, int(k))
    np.testing.assert_array_equal(index.query(X[:9] + 0.1, 6, where=where).indices, expected.indices)


def test_what_is_stored_comes_back(index):
    index.add(IDS[:150], X[:150], first(COLUMNS, 150))
    index.add(IDS[150:], X[150:], {name: values[150:] for name, values in COLUMNS.items()})
    np.testing.assert_array_equal(index.vectors(), X)
    np.testing.assert_array_equal(index.vectors(IDS[[7, 3]]), X[[7, 3]])
    ids, columns = index.columns()
    order = np.argsort(IDS)
    np.testing.assert_array_equal(ids, IDS[order])
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(columns[name], values[order])


def test_upsert_replaces_and_adds(index):
    index.add(IDS[:100], X[:100], first(COLUMNS, 100))
    index.upsert(IDS[99:], -X[99:], {name: values[99:] for name, values in COLUMNS.items()})
    assert len(index) == 200
    np.testing.assert_array_equal(index.vectors(IDS[[98, 99, 150]]), X[[98, 99, 150]] * [[1], [-1], [-1]])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda i: i.add(IDS[3:4], X[:1], first(COLUMNS, 1)),
            ValueError,
            f"{IDS[3]} is in the index already",
        ),
        (lambda i: i.add([2000, 2000], X[:2], first(COLUMNS, 2)), ValueError, "id 2000 comes 2 times"),
        (
            lambda i: i.add([2000], X[:1, :3], first(COLUMNS, 1)),
            ValueError,
            "3 dimensions and the index holds 8",
        ),
        (lambda i: i.add([2000], X[:1]), ValueError, "columns must be"),
        (
            lambda i: i.add([2000], X[:1], {"id": [1]}),
            ValueError,
            "'id' is the name of a column that the index itself uses",
        ),
        (lambda i: i.query(X[:1], 201), ValueError, "k=201 is more than the 200 items"),
        (lambda i: i.query(X[:1], 1, where={"year": -5}), ValueError, "no item passes"),
        (lambda i: i.query(X[:1], 1, where={"yeer": 5}), ValueError, "'yeer' that is not there"),
        (lambda i: i.remove([IDS[0], 5000]), KeyError, "id 5000 is not in the index"),
        (lambda i: i.vectors([5000]), KeyError, "id 5000 is not in the index"),
    ],
)
def test_bad_input_changes_nothing(index, call, error, message):
    index.add(IDS, X, COLUMNS)
    with pytest.raises(error, match=message):
        call(index)
    assert len(index) == 200


def test_empty(index):
    assert len(index) == 0
    with pytest.raises(ValueError, match="the index is empty"):
        index.query(X[:1], 1)
    index.add(IDS, X, COLUMNS).remove(IDS)
    with pytest.raises(ValueError, match="the index is empty"):
        index.query(X[:1], 1)


def test_a_batch_of_queries_is_one_round_trip(postgres, tmp_path):
    index = PgVectorIndex(postgres, "trips", method="hnsw").clear().add(IDS, X)
    index.query(X, 5)
    connection = index._table._server._connection()
    with open(tmp_path / "trace", "wb") as file:
        connection.pgconn.trace(file.fileno())
        index.query(X, 5)
        connection.pgconn.untrace()
    asked = [
        line
        for line in (tmp_path / "trace").read_bytes().splitlines()
        if b"\tSync" in line or b"\tQuery" in line
    ]
    assert len(asked) == 1
    index.clear()


ENROL = """
import sys, numpy as np
from skmetric.search import PgVectorIndex
conninfo, first = sys.argv[1], int(sys.argv[2])
index = PgVectorIndex(conninfo, "shared", method="hnsw")
for start in range(first, first + 300, 10):
    ids = np.arange(start, start + 10)
    index.add(ids, np.column_stack([ids, ids % 7]), {"by": np.full(10, first)})
    assert (index.query(np.column_stack([ids, ids % 7]), 1).indices[:, 0] == ids).all()
"""


def test_two_processes_enrol_and_query_at_once_and_lose_nothing(process_without_torch, postgres):
    PgVectorIndex(postgres, "shared").clear()
    others = [process_without_torch.start(ENROL, postgres, first) for first in ("0", "1000")]
    assert [other.wait(120) for other in others] == [0, 0]
    ids, columns = PgVectorIndex(postgres, "shared").columns()
    np.testing.assert_array_equal(ids, [*range(300), *range(1000, 1300)])
    np.testing.assert_array_equal(columns["by"], np.repeat([0, 1000], 300))


def test_a_server_that_stops_in_mid_use_and_comes_back(start_postgres):
    server = start_postgres()
    index = PgVectorIndex(server.get_uri(), "people", method="hnsw").add(IDS, X, COLUMNS)
    index.query(X[:1], 1)
    server.stop()
    for call in (lambda: index.query(X[:1], 1), lambda: index.add([5000], X[:1], first(COLUMNS, 1))):
        with pytest.raises(IndexUnavailableError, match=r"table 'people' on /.*pg-"):
            call()
    server.ensure_postgres_running()
    assert len(index) == 200
    assert index.add([5000], X[:1], first(COLUMNS, 1)).query(X[:1], 2).indices.shape == (1, 2)
    server.cleanup()


def test_a_connection_dropped_in_mid_transaction_leaves_nothing_half_written(postgres, monkeypatch):
    psycopg = pytest.importorskip("psycopg")
    index = PgVectorIndex(postgres, "dropped").clear().add(IDS, X)
    copy = type(index._table)._copy

    def copy_and_drop(self, connection, *args):
        copy(self, connection, *args)
        with psycopg.connect(postgres, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])

    monkeypatch.setattr(type(index._table), "_copy", copy_and_drop)
    with pytest.raises(IndexUnavailableError, match="table 'dropped' on"):
        index.add(IDS + 5000, X)
    assert len(index) == 200
    index.clear()


def test_no_password_is_shown_or_pickled():
    secret = "hush-hush"
    for conninfo in (
        f"host=/nowhere dbname=a password='{secret}'",
        f"postgresql://u:{secret}@/a?host=/nowhere",
    ):
        index = PgVectorIndex(conninfo, "people")
        search = SimilaritySearch(index=index)
        shown = repr(index) + repr(search) + index._repr_html_() + search._repr_html_()
        assert secret not in shown
        assert "***" in shown
        assert secret.encode() not in pickle.dumps(index)
        assert str(clone(clone(index)).conninfo) == conninfo
        with pytest.raises(IndexUnavailableError, match="table 'people' on /nowhere") as caught:
            len(index)
        assert secret not in str(caught.value)
    with pytest.raises(ValueError, match="conninfo is no connection string") as caught:
        len(PgVectorIndex(f"host=a {secret}", "people"))
    assert secret not in str(caught.value)
    assert secret not in repr(MilvusIndex(f"http://u:{secret}@host:1", "a", token=secret))


@pytest.mark.parametrize(
    "address", ["password=a\\ b host=c", "password = 'a b' host=c", "password='a b host=c"]
)
def test_masked(address):
    assert "a" not in masked(address).replace("password", "").replace("***", "")


def test_dimensions_beyond_those_of_an_index(postgres):
    wide = RNG.normal(size=(60, 2500)).astype(np.float32)
    index = PgVectorIndex(postgres, "wide", method="hnsw").clear().add(np.arange(60), wide)
    found, expected = (
        index.query(wide[:5] + 0.1, 3),
        ExactIndex().add(np.arange(60), wide).query(wide[:5] + 0.1, 3),
    )
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-5)
    index.clear()
    with pytest.raises(ValueError, match="holds up to 4000 dimensions; got 5000"):
        index.add([0], np.zeros((1, 5000)))


def test_a_selective_filter_finds_all_in_hnsw(postgres):
    many = RNG.normal(size=(5000, 8)).astype(np.float32)
    kind = np.arange(5000) % 500 == 0
    index = PgVectorIndex(postgres, "selective", method="hnsw").clear()
    index.add(np.arange(5000), many, {"rare": kind})
    found = index.query(many[:20], 10, where={"rare": True})
    expected = ExactIndex().add(np.flatnonzero(kind), many[kind]).query(many[:20], 10)
    np.testing.assert_array_equal(found.indices, expected.indices)
    index.clear()


def test_new_ids_and_dates_and_a_folder(postgres, tmp_path):
    index = PgVectorIndex(postgres, "dated").clear()
    when = np.datetime64("2020-01-01") + np.arange(200)
    index.add(np.arange(200), X, {"when": when, "item_id": IDS.astype(str)})
    assert not set(index.new_ids(5).tolist()) & set(range(200))
    some = index.query(X[:1], 200, where={"when": slice(when[150], None)})
    assert set(some.indices[0].tolist()) == set(range(150, 200))
    with pytest.raises(ValueError, match="is in the index already"):
        index.add([900], X[:1], {"when": when[:1], "item_id": IDS[:1].astype(str)})
    index.save(tmp_path / "index")
    assert len(PgVectorIndex.load(tmp_path / "index")) == 200
    index.clear()


def test_lost_after_a_fork(postgres):
    index = PgVectorIndex(postgres, "forked").clear().add(IDS, X)
    child = os.fork()
    if not child:
        os._exit(0 if len(index) == 200 and len(index.query(X, 1).indices) == 200 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(index.query(X, 1).indices) == 200
    index.clear()


def test_reindex(make_pgvector):
    index = make_pgvector().add(IDS, X)
    expected = index.query(X[:9] + 0.1, 5)
    for method in ("hnsw", "ivfflat"):
        index.set_params(method=method, ef_search=200, probes=100, lists=4).reindex()
        schema = clone(index)._opened().schema()
        assert (schema.method, schema.lists) == (method, 4 if method == "ivfflat" else 1)
        np.testing.assert_array_equal(index.query(X[:9] + 0.1, 5).indices, expected.indices)
    index.set_params(method="exact").reindex()
    assert clone(index)._opened().schema().method is None
