"""One gallery, several processes: nothing is lost, nothing is half-written, no password is shown."""

import os
import signal
import time

import numpy as np
import pytest

from skmetric.exceptions import IndexUnavailableError
from skmetric.search import PgVectorIndex, SimilaritySearch
from skmetric.search._server.pgvector._table import Table

SECRET = "hush-hush"

# each enrols 30 people of 4 pictures, finds each at once, takes every third out again and renames every fifth
ENROL = """
import sys, numpy as np
from skmetric.search import PgVectorIndex, SimilaritySearch
conninfo, who = sys.argv[1], sys.argv[2]
search = SimilaritySearch.attach(PgVectorIndex(conninfo, "shared", method="hnsw", ef_search=400))
rng = np.random.default_rng(int(who))
for person in range(30):
    X = 50 * int(who) + person + rng.normal(size=(4, 16)) / 100
    ids = [f"{who}/{person}/{i}" for i in range(4)]
    search.partial_fit(X, [f"{who}/{person}"] * 4, ids=ids, metadata={"by": [who] * 4})
    assert (search.predict(X) == f"{who}/{person}").all(), person
    assert search.lookup(X, 1)["id"].tolist() == ids
    if person % 3 == 0:
        search.remove(ids[:2])
        assert not set(ids[:2]) & set(search.lookup(X, 4)["id"].tolist())
    if person % 5 == 0:
        search.update(ids[2:], X[2:], [f"{who}/{person}, renamed"] * 2, metadata={"by": [who] * 2})
        assert (search.predict(X[2:]) == f"{who}/{person}, renamed").all()
"""

ANSWER = """
import sys, numpy as np
from skmetric.search import PgVectorIndex, SimilaritySearch
index = PgVectorIndex(sys.argv[2], "shared", method="hnsw", ef_search=400)
search = SimilaritySearch.load(sys.argv[1], index=index)
table = search.lookup(np.repeat(np.arange(0, 130.0)[:, None], 16, axis=1), 3)
print(*table["id"], *search.predict(np.repeat(np.arange(0, 130.0)[:, None], 16, axis=1)), sep="|")
print(search.cutpoint_, sorted(search.ids_), search.calibration_)
"""


@pytest.fixture
def start(process_without_torch):
    return process_without_torch.start


def finish(others):
    """Exit status of each, and what it printed."""
    printed = [other.communicate()[0] for other in others]
    return [other.returncode for other in others], printed


@pytest.mark.slow
def test_two_processes_enrol_and_query_at_once_and_end_with_the_same_answers(start, postgres, tmp_path):
    index = PgVectorIndex(postgres, "shared", method="hnsw", ef_search=400).clear()
    rng = np.random.default_rng(0)
    first = SimilaritySearch(index=index)
    first.fit(
        rng.normal(size=(8, 16)) - 50,
        ["a", "b"] * 4,
        ids=[f"first {i}" for i in range(8)],
        metadata={"by": ["me"] * 8},
    )
    others = [start(ENROL, postgres, who) for who in ("0", "1")]
    while any(other.poll() is None for other in others):  # a third asks meanwhile
        table = first.lookup(np.zeros((3, 16)), 2)
        assert len(table) == 6
        assert set(table["by"].tolist()) <= {"me", "0", "1"}
        time.sleep(0.1)  # the others need the cores
    assert finish(others)[0] == [0, 0]
    kept = [
        f"{who}/{person}/{i}"
        for who in (0, 1)
        for person in range(30)
        for i in range(4)
        if person % 3 or i >= 2
    ]
    assert sorted(first.ids_) == sorted([*kept, *(f"first {i}" for i in range(8))])
    renamed = {f"{who}/{person}, renamed" for who in (0, 1) for person in range(0, 30, 5)}
    assert renamed < set(first.classes_)
    by = index.columns()[1]["by"]
    assert [(by == who).sum() for who in ("me", "0", "1")] == [8, 100, 100]  # 30 * 4 - 10 * 2

    first.calibrate(targets={"strict": ("false_accept_rate", 0.1)})
    first.set_cutpoint("strict").save(tmp_path / "search")
    _, printed = finish([start(ANSWER, str(tmp_path / "search"), postgres) for _ in "ab"])
    assert printed[0] == printed[1] != ""
    queries = np.repeat(np.arange(0, 130.0)[:, None], 16, axis=1)
    answers = "|".join([*first.lookup(queries, 3)["id"], *first.predict(queries)])
    assert printed[0] == f"{answers}\nstrict {sorted(first.ids_)} {first.calibration_}\n"
    index.clear()


START = """
import sys
from skmetric.search import PgVectorIndex, SimilaritySearch
try:
    SimilaritySearch(index=PgVectorIndex(sys.argv[1], "started")).fit([[0.0], [1.0]], ["a", "b"])
except ValueError as error:
    assert "holds items already" in str(error), error
    sys.exit(3)
"""


@pytest.mark.slow
def test_of_two_that_start_one_table_at_once_one_is_refused(start, postgres):
    index = PgVectorIndex(postgres, "started").clear()
    for _ in range(2):  # no table; a table without items
        assert sorted(finish([start(START, postgres) for _ in range(2)])[0]) == [0, 3]
        assert len(index) == 2
        index.remove(index.columns()[0])
    index.clear()


SAME_ID = """
import sys
from skmetric.search import PgVectorIndex, SimilaritySearch
search = SimilaritySearch.attach(PgVectorIndex(sys.argv[1], "contended"))
won = []
for i in range(40):
    try:
        search.partial_fit([[float(i)]], [sys.argv[2]], ids=[f"item {i}"])
        won.append(i)
    except ValueError as error:
        assert "is in the index already" in str(error), error
print(*won)
"""


@pytest.mark.slow
def test_of_two_that_enrol_one_id_the_server_refuses_one(start, postgres):
    index = PgVectorIndex(postgres, "contended").clear()
    search = SimilaritySearch(index=index).fit([[-1.0]], ["first"], ids=["first"])
    _, printed = finish([start(SAME_ID, postgres, who) for who in ("a", "b")])
    won = [list(map(int, one.split())) for one in printed]
    assert sorted(won[0] + won[1]) == list(range(40))
    labels = dict(zip(search.ids_.tolist(), search.labels_.tolist(), strict=True))
    assert labels == {"first": "first"} | {
        f"item {i}": who for who, which in zip("ab", won, strict=True) for i in which
    }
    index.clear()


def restart(server):
    """Start a server again that may not have gone yet."""
    for _ in range(300):
        try:
            return server.ensure_postgres_running()
        except (AssertionError, FileNotFoundError):  # its file, as it goes
            time.sleep(0.1)
    raise AssertionError("PostgreSQL did not come back")


@pytest.mark.slow
def test_a_server_that_is_killed_in_mid_transaction(start_postgres, monkeypatch):
    server = start_postgres()
    conninfo = f"{server.get_uri()}&password={SECRET}"
    metadata = {"shop": np.array(["A", "B"])[np.arange(100) % 2]}
    X, ids = np.random.default_rng(0).normal(size=(100, 8)), [f"item {i}" for i in range(100)]
    index = PgVectorIndex(conninfo, "people", method="hnsw", ef_search=200)
    y = np.array(["ann", "bob"]).repeat(50)
    search = SimilaritySearch(index=index).fit(X, y, ids=ids, metadata=metadata)
    copy = Table._copy

    def copy_and_kill(self, connection, *args, **options):
        copy(self, connection, *args, **options)
        os.kill(server.get_pid(), signal.SIGQUIT)  # at once, as a crash: it recovers from its log
        connection.execute("SELECT pg_sleep(60)")

    calls = {
        "partial_fit": lambda: search.partial_fit(
            X, y, ids=[f"new {i}" for i in range(100)], metadata=metadata
        ),
        "update": lambda: search.update(ids, -X, y[::-1], metadata=metadata),
    }
    for call in calls.values():
        monkeypatch.setattr(Table, "_copy", copy_and_kill)
        with pytest.raises(IndexUnavailableError, match=r"table 'people' on /.*pg-") as caught:
            call()
        for error in (caught.value, caught.value.__cause__):
            assert SECRET not in str(error)
        with pytest.raises(IndexUnavailableError) as caught:
            search.predict(X)
        assert SECRET not in str(caught.value)
        monkeypatch.setattr(Table, "_copy", copy)
        restart(server)
        assert search.ids_.tolist() == ids
        assert search.predict(X).tolist() == y.tolist()
        assert search.lookup(X, 1)["distance"].max() < 1e-5
    server.cleanup()


def test_no_password_is_kept(postgres, tmp_path):
    index = PgVectorIndex(f"{postgres}&password={SECRET}", "secretive").clear()
    SimilaritySearch(index=index).fit([[0.0], [1.0], [5.0], [6.0]], ["a", "a", "b", "b"])
    search = SimilaritySearch.attach(index)
    search.calibrate()
    search.save(tmp_path / "search")
    for file in (tmp_path / "search").rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes()
    assert SECRET not in repr(search) + search._repr_html_()
    with pytest.raises(ValueError, match="nothing connects to it before you name it") as refused:
        SimilaritySearch.load(tmp_path / "search")
    assert SECRET not in str(refused.value)
    loaded = SimilaritySearch.load(tmp_path / "search", index=PgVectorIndex(postgres, "secretive"))
    assert loaded.predict([[0.4]]).tolist() == ["a"]
    index.clear()


ELSEWHERE = """
import sys
from skmetric.search import MilvusIndex, SimilaritySearch
search = SimilaritySearch.attach(MilvusIndex(sys.argv[1], "items"))
print(*search.predict([[0.2], [5.5]]), *search.ids_)
"""


@pytest.mark.slow
def test_a_milvus_file_goes_from_one_process_to_the_next(start, milvus):
    SimilaritySearch(index=milvus).fit([[0.0], [5.0]], ["a", "b"], ids=[3, 1]).index_.close()
    milvus.close()
    assert finish([start(ELSEWHERE, milvus.uri)])[1][0].split() == ["a", "b", "3", "1"]
    assert len(milvus) == 2
