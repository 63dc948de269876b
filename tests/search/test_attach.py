"""SimilaritySearch.attach: one gallery on a server, several searches, each sees what the others do."""

import threading

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skmetric.search import ExactIndex, FaissIndex, KReciprocal, PgVectorIndex, SimilaritySearch
from skmetric.search._server.milvus._collection import Collection
from skmetric.search._server.pgvector._table import Table

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
NAMES = np.array(["nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])[y]
N = 300
IDS = np.array([f"item {i}" for i in np.random.default_rng(0).permutation(N)])
METADATA = {"shop": np.array(["A", "B", "C"])[np.arange(N) % 3], "row": np.arange(N) * 0.5}
QUERIES = X[1000:1040]


@pytest.fixture(params=["postgres", "postgres graph", "milvus"])
def index(request):
    if request.param == "milvus":
        return request.getfixturevalue("milvus")
    method = "hnsw" if request.param.endswith("graph") else "exact"
    return request.getfixturevalue("make_pgvector")(method=method, ef_search=200)


@pytest.fixture
def one(index):
    """The search that started the gallery."""
    search = SimilaritySearch(index=index, n_neighbors=4)
    return search.fit(X[:N], NAMES[:N], ids=IDS, metadata=METADATA)


@pytest.fixture
def other(one):
    """Another search of the same gallery."""
    return SimilaritySearch.attach(clone(one.index), n_neighbors=4)


@pytest.fixture
def local():
    """The same in memory."""
    return SimilaritySearch(n_neighbors=4).fit(X[:N], NAMES[:N], ids=IDS, metadata=METADATA)


def row(label, id_, shop="A"):
    return {"y": [label], "ids": [id_], "metadata": {"shop": [shop], "row": [1.5]}}


def test_it_answers_as_a_gallery_in_memory(other, local):
    ours, expected = other.lookup(QUERIES), local.lookup(QUERIES)
    assert list(ours.columns) == list(expected.columns)
    for name in ("query", "rank", "id", "label", "shop"):
        np.testing.assert_array_equal(ours[name], expected[name])
    np.testing.assert_array_equal(other.predict(QUERIES), local.predict(QUERIES))
    np.testing.assert_array_equal(other.ids_, IDS)
    np.testing.assert_array_equal(other.labels_, NAMES[:N])
    np.testing.assert_array_equal(other.classes_, local.classes_)
    for queries in (QUERIES, None):
        distances, rows = other.kneighbors(queries, 3)
        np.testing.assert_allclose(distances, local.kneighbors(queries, 3)[0], atol=1e-5)
        np.testing.assert_array_equal(rows, local.kneighbors(queries, 3)[1])
    rows, expected = (search.radius_neighbors(QUERIES, 1.7)[1] for search in (other, local))
    assert [set(r) for r in rows] == [set(r) for r in expected]
    graph = other.kneighbors_graph(QUERIES, 3)
    np.testing.assert_array_equal(graph.toarray(), local.kneighbors_graph(QUERIES, 3).toarray())


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("matcher", ["nearest", "majority", "distance", "ratio", "center"])
def test_calibration_and_evaluation_are_those_of_a_gallery_in_memory(
    make_pgvector, local, matcher, per_class
):
    index = make_pgvector()
    SimilaritySearch(index=index).fit(X[:N], NAMES[:N], ids=IDS, metadata=METADATA)
    shared = SimilaritySearch.attach(index, n_neighbors=4, matcher=matcher)
    local.set_params(matcher=matcher)
    assert repr(shared.calibrate(per_class=per_class)) == repr(local.calibrate(per_class=per_class))
    assert shared.calibration_.class_factors == pytest.approx(local.calibration_.class_factors)
    ours, expected = (s.evaluate(X[600:800], NAMES[600:800], X[:9] + 5) for s in (shared, local))
    assert ours.scores == pytest.approx(expected.scores)
    np.testing.assert_array_equal(ours.confusion, expected.confusion)
    assert ours.labels.tolist() == expected.labels.tolist()
    np.testing.assert_array_equal(shared.predict(QUERIES), local.predict(QUERIES))
    np.testing.assert_allclose(shared.decision_function(QUERIES), local.decision_function(QUERIES), atol=1e-5)


def test_what_cleans_a_gallery_fetches_it(other, local):
    np.testing.assert_array_equal(other.outliers()["id"][:20], local.outliers()["id"][:20])
    np.testing.assert_array_equal(other.duplicates(0.9).pairs, local.duplicates(0.9).pairs)


def test_what_one_enrols_replaces_and_removes_the_other_sees_at_once(one, other):
    new = X[:1] + 5
    one.partial_fit(new, **row("nobody yet", "x"))
    assert other.predict(new).tolist() == ["nobody yet"]
    assert other.lookup(new, 1).to_records()[0]["id"] == "x"
    assert "nobody yet" in other.classes_
    assert other.ids_[other.kneighbors(new, 1)[1]].tolist() == [["x"]]
    assert other.radius_neighbors(new, 0.1, return_distance=False)[0].tolist() == [N]
    assert other.kneighbors_graph(new, 1).shape == (1, N + 1)

    changed = row("somebody", "x", "C")
    other.update(changed.pop("ids"), new + 5, **changed)
    table = one.lookup(new + 5, 1, where={"label": "somebody"})
    assert table["id"].tolist() == ["x"]
    assert table["shop"].tolist() == ["C"]
    assert "nobody yet" not in one.classes_

    one.remove("x")
    assert "somebody" not in other.classes_
    assert len(other.ids_) == N
    for search in (one, other):
        with pytest.raises(KeyError, match="id 'x' is not in the gallery"):
            search.remove("x")


def test_an_id_in_use_is_refused_and_nothing_is_enrolled(one, other):
    one.partial_fit(X[:1] + 5, **row("somebody", "x"))
    two = {"y": ["a", "b"], "ids": ["new", "x"], "metadata": {"shop": ["A", "A"], "row": [0.0, 0.0]}}
    with pytest.raises(ValueError, match=r"id x is in the index already \((table|collection) '.*remove it"):
        other.partial_fit(X[:2], **two)
    assert len(one.ids_) == N + 1
    assert "new" not in one.ids_


def test_filters(other):
    table = other.lookup(QUERIES, 3, where={"shop": ["A", "B"], "row": slice(10, 60)})
    assert set(table["shop"]) == {"A", "B"}
    assert set(other.predict(QUERIES, where={"label": ["one", "two"]})) <= {"one", "two"}
    assert len(other.lookup(QUERIES, 9, where={"row": 5.0})) == len(QUERIES)
    assert (other.kneighbors(QUERIES, 9, where={"row": 5.0})[1][:, 1:] == -1).all()
    assert len(other.lookup(QUERIES, where={"shop": "Z"})) == 0
    assert (other.kneighbors(QUERIES, where={"shop": "Z"})[1] == -1).all()
    with pytest.raises(ValueError, match="no item of the gallery passes"):
        other.predict(QUERIES, where={"shop": "Z"})
    with pytest.raises(ValueError, match="'item_id' that is not there: there are 'shop'"):
        other.lookup(QUERIES, where={"item_id": "item 3"})


def test_without_ids_of_the_user_keys_are_ids(index):
    one = SimilaritySearch(index=index).fit(X[:20])
    other = SimilaritySearch.attach(clone(index))
    other.partial_fit(X[20:25])
    one.partial_fit(X[25:30])
    ids = other.ids_
    assert len(set(ids.tolist())) == 30
    assert other.lookup(X[:30], 1)["id"].tolist() == ids.tolist()
    one.update(ids[:1], X[:1] + 5).remove(ids[1])
    assert other.lookup(X[:1] + 5, 1)["id"].tolist() == [ids[0]]
    assert ids[1] not in other.ids_
    with pytest.raises(ValueError, match="predict needs labels, and the gallery has none"):
        other.predict(X[:1])


def test_a_table_that_an_index_filled(index):
    keys = 7 + 3 * np.arange(40)  # not of the counter
    index.add(keys, X[:40], {"shop": METADATA["shop"][:40], "label": y[:40]})
    search = SimilaritySearch.attach(index)
    np.testing.assert_array_equal(search.predict(X[:40]), y[:40])
    search.partial_fit(X[40:60], y[40:60], metadata={"shop": METADATA["shop"][:20]})
    assert len(set(search.ids_.tolist())) == 60
    np.testing.assert_array_equal(search.predict(X[:60]), y[:60])


def test_labels_of_other_types(index):
    SimilaritySearch(index=index).fit(X[:20], y[:20])
    search = SimilaritySearch.attach(index)
    assert search.predict(X[:1]).dtype == np.int64
    assert search.no_match_label_ == -1
    search.partial_fit(X[20:22], y[20:22].astype(float))  # whole numbers are integers
    with pytest.raises(ValueError, match="y holds labels of another type than at fit"):
        search.partial_fit(X[:1], ["one"])
    with pytest.raises(ValueError, match="column 'label' holds integer; got boolean"):
        search.partial_fit(X[:1], [True])
    assert len(search.ids_) == 22
    with pytest.raises(ValueError, match="no_match_label=1 is a class"):
        SimilaritySearch.attach(index, no_match_label=1)


REFUSED = [
    (lambda s: s.partial_fit(X[:1], ["a"]), ValueError, "ids must be given each time or never"),
    (lambda s: s.partial_fit(X[:1], ["a"], ids=[3]), ValueError, "ids must be all integers or all text"),
    (lambda s: s.partial_fit(X[:1], ["a"], ids=["x"]), ValueError, r"columns given at fit, \['row', 'shop'"),
    (lambda s: s.partial_fit(X[:1], ids=["x"]), ValueError, "fitted with labels: give y"),
    (lambda s: s.partial_fit(X[:1, :3], **row("a", "x")), ValueError, "X has 3 features"),
    (lambda s: s.remove(["item 1", "item 1"]), ValueError, "id 'item 1' comes more than once"),
    (lambda s: s.remove(["item 1", "who"]), KeyError, "id 'who' is not in the gallery"),
    (lambda s: s.remove([1]), KeyError, "id 1 is not in the gallery"),
    (
        lambda s: s.update(["who"], X[:1], ["a"], metadata=row("", "")["metadata"]),
        KeyError,
        "id 'who' is not",
    ),
    (lambda s: s.kneighbors_graph(X[:1], N + 1), ValueError, "n_neighbors=301 is more than the 300 items"),
    (lambda s: s.kneighbors_graph(None, N), ValueError, "n_neighbors=300 is more than the 299 items"),
    (lambda s: s.set_params(rerank=KReciprocal()).lookup(X[:1]), ValueError, "need the gallery in memory"),
    (
        lambda s: clone(s).fit(X[:1], ["a"]),
        ValueError,
        "holds items already: open it by SimilaritySearch.att",
    ),
    (lambda s: clone(s).partial_fit(X[:1], ["a"]), ValueError, "holds items already"),
]


@pytest.mark.parametrize(("call", "error", "message"), REFUSED)
def test_bad_input_changes_nothing(other, call, error, message):
    with pytest.raises(error, match=message):
        call(other)
    assert sorted(SimilaritySearch.attach(other.index).ids_) == sorted(IDS)


def test_what_cannot_be_attached(index):
    for local in (ExactIndex(), FaissIndex()):
        with pytest.raises(TypeError, match=f"{type(local).__name__} holds its items in memory"):
            SimilaritySearch.attach(local)
    with pytest.raises(ValueError, match=r"the index is empty: add embeddings first \((table|collection)"):
        SimilaritySearch.attach(index)
    with pytest.raises(ValueError, match="metadata 'item_id': the index has a column of that name"):
        SimilaritySearch(index=index).fit(X[:2], metadata={"item_id": [1, 2]})
    search = SimilaritySearch(index=index).fit(X[:20], y[:20])
    with pytest.raises(NotFittedError):
        SimilaritySearch.attach(index, PCA(3))
    with pytest.raises(ValueError, match="gave 3 dimensions and the gallery has 64"):
        SimilaritySearch.attach(index, PCA(3).fit(X)).predict(X[:1])
    search.remove(search.ids_)
    for call in (search.predict, search.lookup, search.kneighbors, search.decision_function):
        with pytest.raises(ValueError, match="the gallery is empty: enrol some"):
            call(X[:1])
    SimilaritySearch(index=index).fit(X[:20], y[:20])  # an emptied one can be started anew
    assert len(search.ids_) == 20


def test_with_an_embedder_and_a_frame(index):
    pca = make_pipeline(PCA(8, svd_solver="full")).fit(X)
    SimilaritySearch(pca, index=index).fit(X[:N], NAMES[:N])
    search = SimilaritySearch.attach(index, pca, n_neighbors=3).set_output(transform="pandas")
    local = SimilaritySearch(pca, n_neighbors=3).fit(X[:N], NAMES[:N])
    assert search.n_features_in_ == 64
    assert search.lookup(QUERIES)["label"].tolist() == local.lookup(QUERIES)["label"].tolist()


def test_a_folder_has_the_calibration_and_no_items(other, tmp_path):
    calibration = other.calibrate(targets={"strict": ("false_accept_rate", 0.05)}, per_class=True)
    other.set_cutpoint("strict").save(tmp_path / "search")
    assert (
        sum(file.stat().st_size for file in (tmp_path / "search").rglob("*.safetensors")) < X[:N].nbytes / 2
    )
    joblib.dump(other, tmp_path / "search.joblib")
    with pytest.raises(ValueError, match="nothing connects to it before you name it"):
        SimilaritySearch.load(tmp_path / "search")
    named = SimilaritySearch.load(tmp_path / "search", index=clone(other.index))
    for loaded in (named, joblib.load(tmp_path / "search.joblib")):
        assert loaded.cutpoint_ == "strict"
        assert repr(loaded.calibration_) == repr(calibration)
        np.testing.assert_array_equal(loaded.predict(QUERIES), other.predict(QUERIES))
        loaded.partial_fit(X[:1] + 5, **row("somebody", "x"))
        assert other.lookup(X[:1] + 5, 1)["id"].tolist() == ["x"]
        other.remove("x")
    here = SimilaritySearch.load(tmp_path / "search", index=other.index)
    assert here.index_ is other.index
    SimilaritySearch().fit(X[:9]).save(tmp_path / "local")
    with pytest.raises(ValueError, match="index= opens a gallery on a server"):
        SimilaritySearch.load(tmp_path / "local", index=other.index)


def test_a_gallery_that_has_grown_says_so(other, tmp_path):
    other.calibrate()
    other.save(tmp_path / "search")
    more = {"shop": ["A"] * 200, "row": [0.0] * 200}
    with pytest.warns(UserWarning, match="grown from 300 items in 10 classes at calibration to 500 in 10"):
        other.partial_fit(X[300:500], NAMES[300:500], ids=[f"new {i}" for i in range(200)], metadata=more)
    with pytest.warns(UserWarning, match="the gallery has grown from 300 items"):
        SimilaritySearch.load(tmp_path / "search", index=other.index)


def trips(postgres_index, call, folder):
    """Round trips of a call, counted in the protocol."""
    connection = postgres_index._opened()._server._connection()
    with open(folder / "trace", "wb") as file:
        connection.pgconn.trace(file.fileno())
        call()
        connection.pgconn.untrace()
    lines = (folder / "trace").read_bytes().splitlines()
    return len([line for line in lines if b"\tSync" in line or b"\tQuery" in line])


def test_round_trips(make_pgvector, tmp_path):
    index = make_pgvector(method="hnsw")
    SimilaritySearch(index=index).fit(X[:N], NAMES[:N], ids=IDS, metadata=METADATA)
    search = SimilaritySearch.attach(index)
    search.calibrate()
    search.predict(QUERIES)  # the connection learns a type, once
    for call in (search.predict, search.lookup, search.kneighbors):
        assert trips(index, lambda call=call: call(QUERIES), tmp_path) == 1
        assert trips(index, lambda call=call: call(QUERIES, where={"shop": ["A", "B"]}), tmp_path) == 1
    for call in (lambda: search.ids_, lambda: search.labels_, lambda: search.classes_):
        assert trips(index, call, tmp_path) == 1


def test_predict_does_not_fetch_the_gallery(other, monkeypatch):
    def fetch(*args, **options):
        raise AssertionError("the gallery was fetched")

    for store in (Table, Collection):
        monkeypatch.setattr(store, "contents", fetch)
    other.predict(QUERIES)
    other.lookup(QUERIES)
    with pytest.raises(AssertionError):
        other.calibrate()


def test_a_table_that_another_process_drops(make_pgvector):
    index = make_pgvector()
    search = SimilaritySearch(index=index).fit(X[:N], NAMES[:N])
    clone(index).clear()
    with pytest.raises(ValueError, match=r"table '.*' on .* was dropped or made anew"):
        search.predict(QUERIES)


def test_of_two_that_wait_for_ids_of_each_other_one_is_refused(make_pgvector, monkeypatch):
    index = make_pgvector()
    search = SimilaritySearch(index=index).fit(X[:1], ids=["first"])
    ids = np.array([f"item {i}" for i in range(10)])
    met, have_met, outcomes, copy = threading.Barrier(2), set(), [], Table._copy

    def copy_in_halves(self, connection, items, arrays, kinds):
        for half in (slice(5), slice(5, None)):
            part = items._replace(ids=items.ids[half], embeddings=items.embeddings[half])
            copy(self, connection, part, {name: values[half] for name, values in arrays.items()}, kinds)
            if threading.get_ident() not in have_met:  # each has the ids that the other wants next
                have_met.add(threading.get_ident())
                met.wait(30)

    def enrol(ids):
        try:
            SimilaritySearch.attach(clone(index)).partial_fit(X[:10], ids=ids)
            outcomes.append("enrolled")
        except ValueError as error:
            outcomes.append(str(error))

    monkeypatch.setattr(Table, "_copy", copy_in_halves)
    threads = [threading.Thread(target=enrol, args=[order]) for order in (ids, ids[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(search.ids_) == sorted(["first", *ids])
    assert sorted(outcome == "enrolled" for outcome in outcomes) == [False, True]
    assert any("is in the index already" in outcome for outcome in outcomes)


def test_keys_are_drawn_above_those_that_came_from_elsewhere(make_pgvector):
    index = make_pgvector().add([500, 9], X[:2])
    first, second = index.new_ids(3), PgVectorIndex(index.conninfo, index.table).new_ids(2)
    assert [*first, *second] == [501, 502, 503, 504, 505]
    assert index.new_ids(0).tolist() == []
