"""A gallery knows the embedder that made its embeddings: in memory, in a folder, on a server."""

import joblib
import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, PowerTransformer, StandardScaler

from skmetric import MetricLearner
from skmetric.search import SimilaritySearch
from skmetric.search._embedder._fingerprint import difference, fingerprint_of, stamp_of

X, y = load_digits(return_X_y=True)
ANOTHER = "is not the one that made the embeddings"


@pytest.fixture(params=["postgres", "milvus"])
def index(request):
    is_milvus = request.param == "milvus"
    return request.getfixturevalue("milvus") if is_milvus else request.getfixturevalue("make_pgvector")()


def learner(rows=slice(0, 300)):
    return MetricLearner(n_components=5, random_state=0).fit(X[rows], y[rows])


def text():
    return make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0)).fit(
        ["red shoe", "blue shoe", "red hat"]
    )


def columns():
    parts = [("a", StandardScaler(), [2, 3]), ("b", PowerTransformer(), [4, 5])]
    return ColumnTransformer(parts).fit(X)


def halved(rows):
    return rows / 2


def network():
    torch = pytest.importorskip("torch")
    from skmetric import DeepMetricLearner

    module = torch.nn.Linear(64, 4)
    return DeepMetricLearner(module, max_epochs=1, random_state=0).fit(X[:100], y[:100])


EMBEDDERS = [learner, text, columns, network, lambda: FunctionTransformer(halved).fit(X)]


@pytest.mark.parametrize("make", EMBEDDERS)
def test_neither_pickling_nor_use_changes_a_fingerprint(make, tmp_path):
    embedder = make()
    known, stamp = fingerprint_of(embedder), stamp_of(embedder)
    embedder.transform(["red"] if make is text else X[:3].astype(np.float32))
    joblib.dump(embedder, tmp_path / "embedder.joblib")
    assert fingerprint_of(joblib.load(tmp_path / "embedder.joblib")) == fingerprint_of(embedder) == known
    assert stamp_of(embedder) == stamp


def test_a_process_with_other_hashes_and_threads_finds_the_same_fingerprint(another_process, tmp_path):
    joblib.dump(text(), tmp_path / "e.joblib")
    program = (
        "import sys, joblib; from skmetric.search._embedder._fingerprint import fingerprint_of; "
        "print(fingerprint_of(joblib.load(sys.argv[1])))"
    )
    assert another_process.run(program, tmp_path / "e.joblib").strip() == str(fingerprint_of(text()))


def test_wrappers_and_what_changes_no_embedding_leave_a_fingerprint_as_it_is():
    known = learner()
    assert fingerprint_of(make_pipeline("passthrough", FrozenEstimator(known))) == fingerprint_of(known)
    scaler = StandardScaler().fit(X)
    assert fingerprint_of(StandardScaler(copy=False).fit(X)) == fingerprint_of(scaler)


def test_a_fingerprint_tells_embedders_of_one_class_apart():
    said = difference(fingerprint_of(learner()), fingerprint_of(learner(slice(300, 600))))
    assert said.startswith("it differs in components_")
    for one, other in [
        (Normalizer("l1"), Normalizer("l2")),
        (FunctionTransformer(halved), FunctionTransformer(np.sqrt)),
        (FunctionTransformer(lambda X: X * 2), FunctionTransformer(lambda X: X * 3)),
        (FunctionTransformer(lambda X: X * 2), FunctionTransformer(lambda X: X + 2)),
    ]:
        assert difference(fingerprint_of(one), fingerprint_of(other)) is not None


def test_one_changed_number_of_a_large_array_is_in_the_fingerprint():
    pca = PCA(64).fit(X)
    known = fingerprint_of(pca)
    pca.components_[63, 62] += 1e-12
    assert difference(known, fingerprint_of(pca)) == "it differs in components_ of PCA"


def changed():
    """A search whose learner was trained on after it was fitted."""
    embedder = learner()
    search = SimilaritySearch(embedder).fit(X[:100], y[:100], ids=range(100))
    embedder.partial_fit(X[300:], y[300:])
    return search


@pytest.mark.filterwarnings("ignore:this calibration is of little use")
@pytest.mark.parametrize(
    "call",
    [
        lambda search: search.kneighbors(X[:1]),
        lambda search: search.lookup(X[:1]),
        lambda search: search.radius_neighbors(X[:1], 1.0),
        lambda search: search.predict(X[:1]),
        lambda search: search.decision_function(X[:1]),
        lambda search: search.evaluate(X[100:200], y[100:200]),
        lambda search: search.calibrate(X[100:200], y[100:200]),
        lambda search: search.partial_fit(X[100:110], y[100:110], ids=range(100, 110)),
        lambda search: search.update([0], X[:1], y[:1]),
        lambda search: search.upsert([0], X[:1], y[:1]),
    ],
)
def test_a_learner_that_was_trained_on_is_noticed_by_queries_and_enrolment(call):
    search = changed()
    with pytest.raises(ValueError, match=f"{ANOTHER}.*components_.* of MetricLearner.*reembed"):
        call(search)
    call(search.set_params(check_embedder=False))


def test_a_change_in_place_is_noticed():
    pca = PCA(3).fit(X)
    search = SimilaritySearch(pca).fit(X[:50])
    pca.components_ *= -1
    with pytest.raises(ValueError, match="differs in components_ of PCA"):
        search.kneighbors(X[:1])


def test_a_network_that_was_trained_on_is_noticed():
    embedder = network()
    search = SimilaritySearch(embedder).fit(X[:50], y[:50])
    search.predict(X[:2])
    embedder.partial_fit(X[:100], y[:100])
    with pytest.raises(ValueError, match="differs in module_ of DeepMetricLearner"):
        search.predict(X[:2])


def test_a_pickled_search_knows_its_embedder(tmp_path):
    joblib.dump(SimilaritySearch(learner()).fit(X[:50], y[:50]), tmp_path / "search.joblib")
    search = joblib.load(tmp_path / "search.joblib")
    assert (search.predict(X[:50]) == y[:50]).all()
    search.embedder_.partial_fit(X[300:], y[300:])
    with pytest.raises(ValueError, match=ANOTHER):
        search.predict(X[:50])


def test_a_folder_refuses_another_embedder_of_the_same_dimension(tmp_path):
    SimilaritySearch(learner()).fit(X[:100], y[:100]).save(tmp_path / "gallery")
    other = learner(slice(300, 600))
    assert (SimilaritySearch.load(tmp_path / "gallery", learner()).predict(X[:50]) == y[:50]).all()
    with pytest.raises(ValueError, match=f"{ANOTHER} of .*gallery: it differs in components_"):
        SimilaritySearch.load(tmp_path / "gallery", other)
    with pytest.raises(ValueError, match="made of StandardScaler -> PCA in place of MetricLearner"):
        SimilaritySearch.load(tmp_path / "gallery", make_pipeline(StandardScaler(), PCA(5)).fit(X))
    passed = SimilaritySearch.load(tmp_path / "gallery", other, check_embedder=False)
    assert len(passed.predict(X[:5])) == 5


def test_a_folder_without_a_fingerprint_is_not_checked(tmp_path):
    search = SimilaritySearch(learner()).fit(X[:100], y[:100])
    search._known_embedder = None  # as a search that an earlier version pickled
    search.save(tmp_path / "gallery")
    other = SimilaritySearch.load(tmp_path / "gallery", learner(slice(300, 600)))
    assert len(other.predict(X[:5])) == 5


def test_a_table_refuses_another_embedder_of_the_same_dimension(index):
    SimilaritySearch(learner(), index).fit(X[:100], y[:100])
    assert (SimilaritySearch.attach(index, learner()).predict(X[:50]) == y[:50]).all()
    with pytest.raises(ValueError, match=f"{ANOTHER} of .*differs in components_"):
        SimilaritySearch.attach(index, learner(slice(300, 600)))
    attached = SimilaritySearch.attach(index, learner(slice(300, 600)), check_embedder=False)
    assert len(attached.predict(X[:5])) == 5


def test_a_table_that_is_filled_anew_knows_the_new_embedder(index):
    first = SimilaritySearch(learner(), index).fit(X[:20], y[:20])
    first.remove(first.ids_)
    SimilaritySearch(learner(slice(300, 600)), index).fit(X[:20], y[:20])
    SimilaritySearch.attach(index, learner(slice(300, 600)))
    with pytest.raises(ValueError, match=ANOTHER):
        SimilaritySearch.attach(index, learner())


def test_a_comment_of_somebody_else_stays(make_pgvector):
    import psycopg

    index = make_pgvector()
    index.add([1], np.ones((1, 5)))
    with psycopg.connect(index.conninfo, autocommit=True) as connection:
        connection.execute(f"COMMENT ON TABLE \"{index.table}\" IS 'people'")
        index.remove([1])
        SimilaritySearch(learner(), index).fit(X[:20])
        said = connection.execute(f"SELECT obj_description('\"{index.table}\"'::regclass)").fetchone()
    assert said == ("people",)
    SimilaritySearch.attach(index, learner(slice(300, 600)))  # nothing is known of it
