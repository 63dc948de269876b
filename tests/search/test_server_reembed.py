"""New embeddings for a gallery in PostgreSQL while it serves: all of them at one moment, or none."""

import multiprocessing
import os
import pickle
import signal
import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA

from skmetric.exceptions import GalleryReplacedError
from skmetric.search import SimilaritySearch
from skmetric.search._server.pgvector._next_table import NextTable

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(2 * N, 8)) + 9 * np.eye(8)[np.arange(2 * N) % 3]
IDS = [f"item {i}" for i in range(N)]
SAMPLES = dict(zip([*IDS, *(f"new {i}" for i in range(N))], X, strict=True))
OLD, SAME_SIZE, WIDER = PCA(3).fit(X[:20]), PCA(3).fit(X[20:50] * [9, 1, 1, 7, 1, 1, 1, 1]), PCA(5).fit(X)
NAMES = np.array(["ant", "bee", "fly"])[np.arange(N) % 3]
fork = multiprocessing.get_context("fork")


def sample(ids):
    return np.array([SAMPLES[i] for i in ids.tolist()])


def start(index, embedder=OLD):
    search = SimilaritySearch(embedder, index=index)
    return search.fit(X[:N], NAMES, ids=IDS, metadata={"n": np.arange(N)})


def attached(search, embedder=OLD, **options):
    """What another process has: an index and connections apart."""
    return SimilaritySearch.attach(clone(search.index_), embedder, **options)


def next_tables(index):
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(index.conninfo) as connection:
        found = connection.execute("SELECT relname FROM pg_class WHERE relname ~ '^skmetric_next_[0-9]+$'")
        return [name for (name,) in found]


def assert_made_by(search, embedder, n_items=N):
    """The gallery is as if it had been filled with this embedder."""
    items = search.items()
    assert len(items) == n_items
    index, opened = search.index_, attached(search, embedder)
    expected = embedder.transform(np.array([SAMPLES[i] for i in items["id"].tolist()]))
    np.testing.assert_allclose(index.vectors(index.columns()[0]), expected, atol=1e-5)
    assert opened.lookup(sample(items["id"]), 1)["id"].tolist() == items["id"].tolist()


@pytest.mark.parametrize("embedder", [SAME_SIZE, WIDER])
@pytest.mark.parametrize("by_function", [True, False])
def test_items_keep_all_but_their_embeddings(make_pgvector, embedder, by_function):
    search = start(make_pgvector(method="hnsw", ef_search=100))
    search.remove([IDS[3]])
    search.calibrate()
    before, keys = search.items(), search.index_.columns()[0]
    search.set_params(embedder=embedder)
    order = RNG.permutation([i for i in range(N) if i != 3])
    if by_function:
        search.reembed(sample, batch_size=7)
    else:
        search.reembed(X[order], ids=[IDS[i] for i in order], batch_size=7)
    assert search.items().to_records() == before.to_records()
    np.testing.assert_array_equal(search.index_.columns()[0], keys)
    assert_made_by(search, embedder, N - 1)
    assert search.index_._opened().schema().method == "hnsw"
    assert next_tables(search.index_) == []
    with pytest.warns(UserWarning, match="before reembed.*calibrate again"):
        search.predict(X[:1])
    search.partial_fit(X[N : N + 1], ["wasp"], ids=["new 0"], metadata={"n": [7]})
    assert search.index_.columns()[0].max() > keys.max()
    with pytest.raises(ValueError, match="the embedder is not the one that made the embeddings"):
        attached(search, OLD)


CALLS = {
    "predict": lambda s: s.predict(X[:2]),
    "lookup": lambda s: s.lookup(X[:2]),
    "kneighbors": lambda s: s.kneighbors(X[:2]),
    "filter": lambda s: s.lookup(X[:2], where={"n": slice(3, 9)}),
    "decision_function": lambda s: s.decision_function(X[:2]),
    "calibrate": lambda s: s.calibrate(),
    "partial_fit": lambda s: s.partial_fit(X[-1:], ["ant"], ids=["x"], metadata={"n": [1]}),
    "update": lambda s: s.update([IDS[0]], X[-1:], ["ant"], metadata={"n": [1]}),
    "upsert": lambda s: s.upsert([IDS[0]], X[-1:], ["ant"], metadata={"n": [1]}),
    "reembed": lambda s: s.reembed(sample),
}


@pytest.mark.parametrize("embedder", [SAME_SIZE, WIDER])
def test_whoever_attached_with_the_old_embedder_is_told_to_load_the_new_one(make_pgvector, embedder):
    """A process that goes on must not compare embeddings of two embedders, also where they have one size."""
    search = start(make_pgvector())
    pickled = pickle.dumps(search)
    others = {name: attached(search) for name in CALLS} | {"pickled": pickle.loads(pickled)}
    others["again"] = others["predict"]  # the second call says it again
    search.set_params(embedder=embedder).reembed(sample)
    before = search.index_.vectors()
    for name, other in others.items():
        call = CALLS.get(name, CALLS["predict"])
        with pytest.raises(
            GalleryReplacedError, match=r"another embedder since.*Load the new embedder and open"
        ):
            call(other)
    np.testing.assert_array_equal(search.index_.vectors(), before)
    assert others["predict"].items().to_records() == search.items().to_records()  # no embedding is in this
    others["predict"].remove([IDS[0]])
    assert_made_by(search, embedder, N - 1)


def test_two_searches_of_one_process_that_share_an_index(make_pgvector):
    search = start(make_pgvector())
    old = SimilaritySearch.attach(search.index_, OLD)
    search.set_params(embedder=SAME_SIZE).reembed(sample)
    new = SimilaritySearch.attach(search.index_, SAME_SIZE)
    new.predict(X[:2])
    with pytest.raises(GalleryReplacedError):
        old.predict(X[:2])


def test_embeddings_without_an_embedder_are_told_apart_too(make_pgvector):
    search = SimilaritySearch(index=make_pgvector()).fit(X[:5])
    other = attached(search, None)
    search.reembed(-X[:5], ids=range(5))
    np.testing.assert_allclose(search.index_.vectors(), -X[:5], atol=1e-6)
    with pytest.raises(GalleryReplacedError):
        other.lookup(X[:2])
    attached(search, None).lookup(X[:2])


def test_a_table_that_is_filled_again_by_the_same_embedder_goes_on(make_pgvector):
    """A nightly `clear` and `fit` is no other embedder: those who are attached see the new items."""
    search = start(make_pgvector())
    other = attached(search)
    search.index_.clear()
    again = SimilaritySearch(OLD, index=search.index_)
    again.fit(X[N:], NAMES, ids=IDS, metadata={"n": np.arange(N)})
    assert other.lookup(X[N:], 1)["id"].tolist() == IDS
    other.partial_fit(X[:1], ["ant"], ids=["x"], metadata={"n": [1]})
    assert len(other.ids_) == N + 1


def test_items_that_others_change_meanwhile_are_embedded_as_they_are_at_the_switch(make_pgvector):
    search = start(make_pgvector(method="hnsw", ef_search=200))
    other, asked = attached(search), []
    old_sample = SAMPLES[IDS[1]]

    def changing(ids):
        asked.append(ids.tolist())
        if len(asked) == 2:  # items of the first part are done, the last ones wait
            other.partial_fit(X[N : N + 2], ["new", "new"], ids=["new 0", "new 1"], metadata={"n": [70, 71]})
            SAMPLES[IDS[1]] = X[-1]
            other.update([IDS[1]], X[-1:], ["moved"], metadata={"n": [77]})
            other.update([IDS[2]], metadata={"n": [78]})
            other.remove([IDS[0], IDS[N - 1]])
            other.partial_fit(X[:1], ["back"], ids=[IDS[0]], metadata={"n": [79]})  # under another key
            assert other.predict(X[5:6]).tolist() == [NAMES[5]]  # the old embeddings serve
        return sample(ids)

    try:
        search.set_params(embedder=WIDER).reembed(changing, batch_size=20)
        assert_made_by(search, WIDER, N + 1)
    finally:
        SAMPLES[IDS[1]] = old_sample
    table = search.items([IDS[0], IDS[1], IDS[2], "new 1"])
    assert table["n"].tolist() == [79, 77, 78, 71]
    assert table["label"].tolist() == ["back", "moved", NAMES[2], "new"]
    again = [i for part in asked[3:] for i in part]
    assert set(again) <= {IDS[0], IDS[1], IDS[2], "new 0", "new 1"}


def test_rows_cannot_say_what_an_item_has_become_and_the_next_call_goes_on(make_pgvector, monkeypatch):
    search = start(make_pgvector())
    other, switch = attached(search), NextTable.switch

    def change_first(self):
        monkeypatch.setattr(NextTable, "switch", switch)
        other.partial_fit(X[N : N + 1], ["new"], ids=["new 0"], metadata={"n": [70]})
        return switch(self)

    monkeypatch.setattr(NextTable, "switch", change_first)
    search.set_params(embedder=SAME_SIZE)
    with pytest.raises(ValueError, match=r"id 'new 0' was enrolled or replaced.*old embeddings still serve"):
        search.reembed(X[:N], ids=IDS)
    assert other.lookup(X[N : N + 1], 1)["id"].tolist() == ["new 0"]
    asked = []
    search.reembed(lambda ids: asked.append(ids.tolist()) or sample(ids))
    assert asked == [["new 0"]]
    assert_made_by(search, SAME_SIZE, N + 1)


def test_killed_in_the_middle_the_old_embeddings_serve_and_the_next_call_goes_on(make_pgvector):
    search = start(make_pgvector())
    search.set_params(embedder=WIDER)

    def run():
        calls = []

        def killing(ids):
            calls.append(ids)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return sample(ids)

        search.reembed(killing, batch_size=20)

    child = fork.Process(target=run)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert len(next_tables(search.index_)) == 1
    other = attached(search)
    assert other.lookup(X[:N], 1)["id"].tolist() == IDS
    asked = []
    search.reembed(lambda ids: asked.append(ids.tolist()) or sample(ids), batch_size=50)
    assert asked == [IDS[40:]]
    assert_made_by(search, WIDER)
    assert next_tables(search.index_) == []


def test_what_another_embedder_had_begun_is_not_gone_on_with(make_pgvector):
    search = start(make_pgvector())
    for embedder in (WIDER, SAME_SIZE):
        asked = []

        def ends(ids, asked=asked):
            asked.append(ids.tolist())
            if len(asked) == 2:
                raise KeyboardInterrupt
            return sample(ids)

        with pytest.raises(KeyboardInterrupt):
            search.set_params(embedder=embedder).reembed(ends, batch_size=20)
        assert asked == [IDS[:20], IDS[20:40]]
    assert search.n_components_ == 3
    assert len(next_tables(search.index_)) == 1
    search.index_.clear()
    assert next_tables(search.index_) == []


def read_until_replaced(index, expected, told):
    """In another process: each answer is of the old embeddings, until an error says that they are gone."""
    search = SimilaritySearch.attach(index, OLD)
    told.send("ready")
    for _ in range(100_000):
        try:
            found = search.lookup(X[:N], 3)
        except GalleryReplacedError:
            told.send("told")
            return
        if found["distance"].tolist() != expected:
            told.send("a mixture")
            return


def enrol_until_replaced(index, told):
    """In another process: enrol one item after the other."""
    search = SimilaritySearch.attach(index, OLD)
    told.send("ready")
    for i in range(N):
        try:
            search.partial_fit(X[N + i : N + i + 1] + 100, ["far"], ids=[f"new {i}"], metadata={"n": [i]})
        except GalleryReplacedError:
            return told.send(i)
    return told.send(N)


def test_a_reader_and_a_writer_see_the_old_or_the_new_whole(make_pgvector):
    search = start(make_pgvector())
    expected = search.lookup(X[:N], 3)["distance"].tolist()
    pipes = [fork.Pipe() for _ in range(2)]
    others = [
        fork.Process(target=read_until_replaced, args=(clone(search.index_), expected, pipes[0][1])),
        fork.Process(target=enrol_until_replaced, args=(clone(search.index_), pipes[1][1])),
    ]
    for other in others:
        other.start()
    assert [pipe.recv() for pipe, _ in pipes] == ["ready", "ready"]
    search.set_params(embedder=SAME_SIZE).reembed(sample, batch_size=20)
    said, n_enrolled = (pipe.recv() for pipe, _ in pipes)
    for other in others:
        other.join(60)
    assert said == "told"
    items = search.items()["id"]
    assert set(items) == {*IDS, *(f"new {i}" for i in range(n_enrolled))}
    np.testing.assert_allclose(
        search.index_.vectors(search.index_.columns()[0]), SAME_SIZE.transform(sample(items)), atol=1e-5
    )


def test_what_the_table_has_besides_stays(make_pgvector):
    psycopg = pytest.importorskip("psycopg")
    search = start(make_pgvector())
    table = f'"{search.index_.table}"'
    with psycopg.connect(search.index_.conninfo, autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS skmetric_reader")
        admin.execute("CREATE ROLE skmetric_reader")
        admin.execute(f"ALTER TABLE {table} ADD note text, ADD since timestamptz NOT NULL DEFAULT now()")
        admin.execute(
            f"ALTER TABLE {table} ADD twice bigint GENERATED ALWAYS AS (n * 2) STORED, ADD CHECK (n >= 0)"
        )
        admin.execute(f"CREATE INDEX ON {table} (label)")
        admin.execute(f"UPDATE {table} SET note = label WHERE n < 5")
        admin.execute(f"GRANT SELECT ON {table} TO skmetric_reader WITH GRANT OPTION")
        admin.execute(f'GRANT USAGE ON SEQUENCE {table[:-1]}_id_seq" TO skmetric_reader')
        facts = (
            f"SELECT id, position, note, since, twice, label FROM {table} ORDER BY id",
            f"SELECT count(*) FROM pg_index WHERE indrelid = '{table}'::regclass",
            f"SELECT has_table_privilege('skmetric_reader', '{table}', 'SELECT WITH GRANT OPTION')",
            f"SELECT has_sequence_privilege('skmetric_reader', pg_get_serial_sequence('{table}', 'id'), "
            "'USAGE')",
            f"SELECT count(*) FROM pg_constraint WHERE conrelid = '{table}'::regclass "
            "AND contype IN ('c', 'u', 'p')",
        )
        before = [admin.execute(fact).fetchall() for fact in facts]
        search.set_params(embedder=WIDER).reembed(sample)
        assert [admin.execute(fact).fetchall() for fact in facts] == before
        assert before[2:4] == [[(True,)], [(True,)]]
        admin.execute("DROP OWNED BY skmetric_reader; DROP ROLE skmetric_reader")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER TABLE {0} ENABLE ROW LEVEL SECURITY", "row level security"),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON {0} FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "triggers",
        ),
        ("COMMENT ON TABLE {0} IS 'mine'", "a comment of somebody else"),
    ],
)
def test_what_would_be_lost_is_refused(make_pgvector, change, reason):
    psycopg = pytest.importorskip("psycopg")
    search = start(make_pgvector())
    with psycopg.connect(search.index_.conninfo, autocommit=True) as admin:
        admin.execute(change.format(f'"{search.index_.table}"'))
    with pytest.raises(ValueError, match=f"has {reason}.*which a table that takes its place would not have"):
        search.set_params(embedder=WIDER).reembed(sample)
    assert_old_serves(search)


def assert_old_serves(search):
    assert search.n_components_ == 3
    assert attached(search).lookup(X[:N], 1)["id"].tolist() == IDS


def test_a_view_of_somebody_else_keeps_the_old_table(make_pgvector):
    psycopg = pytest.importorskip("psycopg")
    search = start(make_pgvector())
    with psycopg.connect(search.index_.conninfo, autocommit=True) as admin:
        admin.execute(f'CREATE VIEW of_mine AS SELECT label FROM "{search.index_.table}"')
        with pytest.raises(ValueError, match="other objects depend on it"):
            search.set_params(embedder=WIDER).reembed(sample)
        assert_old_serves(search)
        admin.execute("DROP VIEW of_mine")
    search.reembed(sample)
    assert_made_by(search, WIDER)


def test_numbers_and_precision_of_the_table_can_change(make_pgvector):
    search = start(make_pgvector())
    search.index_.set_params(method="hnsw", precision="binary", storage="float16", ef_search=200)
    search.set_params(embedder=SAME_SIZE).reembed(sample)
    schema = clone(search.index_)._opened().schema()
    assert (schema.method, schema.precision, schema.storage) == ("hnsw", "binary", "halfvec")
    np.testing.assert_allclose(search.index_.vectors(), SAME_SIZE.transform(X[:N]), rtol=1e-3, atol=1e-3)


def test_of_two_at_once_one_is_refused(make_pgvector):
    search = start(make_pgvector())
    other, entered, leave = attached(search), threading.Event(), threading.Event()

    def waiting(ids):
        entered.set()
        leave.wait(30)
        return sample(ids)

    search.set_params(embedder=WIDER)
    thread = threading.Thread(target=lambda: search.reembed(waiting))
    thread.start()
    entered.wait(30)
    try:
        with pytest.raises(ValueError, match="another process gives this table new embeddings"):
            other.set_params(embedder=SAME_SIZE).reembed(sample)
    finally:
        leave.set()
        thread.join()
    assert_made_by(search, WIDER)


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (X[:N], {}, ValueError, "reembed needs ids=, the id of each row of X, or a function"),
        (
            X[: N - 1],
            {"ids": IDS[1:]},
            ValueError,
            "ids leaves out id 'item 0': give the sample of each item",
        ),
        (X[:N], {"ids": IDS[1:]}, ValueError, "X has 60 rows and ids has 59"),
        (X[:2], {"ids": [IDS[0]] * 2}, ValueError, "id 'item 0' comes more than once in ids"),
        (
            lambda ids: X[:3],
            {},
            ValueError,
            "X is a function that gave 3 samples for 60 ids, from 'item 0' on",
        ),
        (lambda ids: X[:N, :4], {}, ValueError, "X has 4 features"),
        (sample, {"ids": IDS}, ValueError, "leave ids out"),
        (sample, {"batch_size": 0}, ValueError, "batch_size must be an integer from 1; got 0"),
        (lambda ids: 1 / 0, {}, ZeroDivisionError, "division"),
    ],
)
def test_bad_input_leaves_the_old_embeddings(make_pgvector, X, options, error, message):
    search = start(make_pgvector())
    search.set_params(embedder=WIDER)
    with pytest.raises(error, match=message):
        search.reembed(X, **options)
    assert_old_serves(search)
    search.reembed(sample)
    assert_made_by(search, WIDER)


def test_an_empty_gallery_and_milvus(make_pgvector, milvus):
    search = start(make_pgvector()).remove(IDS)
    with pytest.raises(ValueError, match="the gallery is empty"):
        search.set_params(embedder=WIDER).reembed(sample)
    search = SimilaritySearch(index=milvus).fit(X[:3])
    with pytest.raises(
        ValueError, match="MilvusIndex cannot give its items new embeddings in one transaction"
    ):
        search.reembed(-X[:3], ids=range(3))


def test_an_alias_of_milvus_is_switched_and_told_apart(milvus):
    """The way of Milvus: a second collection, and an alias that is pointed at it."""
    filled = start(milvus.set_params(collection="people_1"))
    client = filled.index_._opened()._client_of[1]
    client.create_alias("people_1", "people")
    other = SimilaritySearch.attach(clone(milvus).set_params(collection="people"), OLD)
    assert other.lookup(X[:2], 1)["id"].tolist() == IDS[:2]
    new = start(clone(milvus).set_params(collection="people_2"), SAME_SIZE)
    client.alter_alias("people_2", "people")
    with pytest.raises(GalleryReplacedError, match="collection 'people'"):
        other.lookup(X[:2], 1)
    with pytest.raises(GalleryReplacedError):
        other.partial_fit(X[-1:], ["ant"], ids=["x"], metadata={"n": [1]})
    again = SimilaritySearch.attach(clone(other.index_), SAME_SIZE)
    assert again.lookup(X[:2], 1)["id"].tolist() == IDS[:2]
    assert len(new.ids_) == N
