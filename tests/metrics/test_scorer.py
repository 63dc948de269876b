"""RetrievalScorer where scikit-learn calls it."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmetric import MetricLearner
from skmetric.exceptions import NoEmbeddingError
from skmetric.metrics import RetrievalScorer, map_at_r, recall_at_k

X, y = load_iris(return_X_y=True)
BOTH = RetrievalScorer("recall_at_1", "map_at_r")


def expected(embeddings):
    return {"recall_at_1": recall_at_k(embeddings, y), "map_at_r": map_at_r(embeddings, y)}


def test_one_name_gives_a_float_and_several_a_dict():
    lda = LinearDiscriminantAnalysis().fit(X, y)
    assert BOTH(lda, X, y) == expected(lda.transform(X))
    assert RetrievalScorer("map_at_r")(lda, X, y) == map_at_r(lda.transform(X), y)
    assert RetrievalScorer("recall_at_25")(lda, X, y) == recall_at_k(lda.transform(X), y, k=25)


def lda():
    return LinearDiscriminantAnalysis(n_components=1)


@pytest.mark.parametrize(
    ("estimator", "embed"),
    [
        (make_pipeline(StandardScaler(), lda()), lambda e: e.transform(X)),
        (make_pipeline(StandardScaler(), lda(), KNeighborsClassifier()), lambda e: e[:-1].transform(X)),
        (
            make_pipeline(lda(), KNeighborsClassifier()).set_output(transform="pandas"),
            lambda e: e[0].transform(X),
        ),
        (GridSearchCV(PCA(), {"n_components": [1]}), lambda e: e.best_estimator_.transform(X)),
        (
            GridSearchCV(make_pipeline(lda(), KNeighborsClassifier()), {"kneighborsclassifier__p": [1]}),
            lambda e: e.best_estimator_[:-1].transform(X),
        ),
        # a search over k-NN alone, or over a whole pipeline, at the end of a pipeline
        (
            make_pipeline(lda(), GridSearchCV(KNeighborsClassifier(), {"p": [1]})),
            lambda e: e[:-1].transform(X),
        ),
        (
            make_pipeline(
                StandardScaler(),
                GridSearchCV(make_pipeline(lda(), KNeighborsClassifier()), {"memory": [None]}),
            ),
            lambda e: e[-1].best_estimator_[:-1].transform(e[:-1].transform(X)),
        ),
    ],
    ids=["pipeline", "knn", "pandas", "search", "search of knn", "search inside", "pipeline inside"],
)
def test_finds_the_embedding(estimator, embed):
    estimator.fit(X, y)
    assert BOTH(estimator, X, y) == expected(np.asarray(embed(estimator)))


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(),
        make_pipeline(KNeighborsClassifier()),
        GridSearchCV(make_pipeline(PCA(), KNeighborsClassifier()), {"pca__n_components": [1]}, refit=False),
    ],
    ids=["knn", "pipeline of knn", "search without refit"],
)
def test_nothing_to_transform_with(estimator):
    with pytest.raises(NoEmbeddingError, match=f"{type(estimator).__name__} has no transform: use a metric"):
        BOTH(estimator.fit(X, y), X, y)


def test_transforms_once():
    class Counting(TransformerMixin, BaseEstimator):
        calls = 0

        def transform(self, X):
            self.calls += 1
            return X

    counting = Counting()
    RetrievalScorer("recall_at_1", "map_at_r", "ndcg_at_5")(counting, X, y)
    assert counting.calls == 1


@pytest.mark.parametrize("routing", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_with_several_scores(routing, n_jobs):
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), PCA(), KNeighborsClassifier()),
            {"pca__n_components": [1, 3]},
            scoring=BOTH,
            refit="map_at_r",
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(X, y)
    assert search.best_score_ == search.cv_results_["mean_test_map_at_r"].max()
    assert search.cv_results_["mean_test_recall_at_1"].shape == (2,)


@pytest.mark.parametrize("routing", [False, True])
def test_cross_validate(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        results = cross_validate(PCA(2), X, y, scoring=BOTH, cv=StratifiedKFold(3), error_score="raise")
        one = cross_validate(
            PCA(2), X, y, scoring=RetrievalScorer("map_at_r"), cv=StratifiedKFold(3), error_score="raise"
        )
        mixed = cross_validate(
            make_pipeline(PCA(2), LogisticRegression()),
            X,
            y,
            scoring={"accuracy": "accuracy", "map": RetrievalScorer("map_at_r")},
            cv=StratifiedKFold(3),
            error_score="raise",
        )
    np.testing.assert_array_equal(results["test_map_at_r"], one["test_score"])
    np.testing.assert_allclose(mixed["test_map"], one["test_score"])


@pytest.mark.parametrize("sample_weight", [None, np.arange(150.0)])
def test_scoring_monitor(sample_weight):
    monitor = ScoringMonitor(scoring=BOTH)
    scaler = StandardScaler().set_callbacks(monitor).fit(X, y, sample_weight=sample_weight)
    logged = monitor.get_logs().data[-1]
    assert {name: logged[name] for name in BOTH.names} == BOTH(scaler, X, y, sample_weight=sample_weight)


@pytest.mark.parametrize("learner", [StandardScaler, MetricLearner])
def test_scoring_monitor_takes_a_scorer_of_one_name(learner):
    scorer, monitor = RetrievalScorer("map_at_r"), ScoringMonitor(scoring=RetrievalScorer("map_at_r"))
    fitted = learner().set_callbacks(monitor).fit(X, y)
    assert monitor.get_logs().data[-1]["map_at_r"] == scorer(fitted, X, y)
    assert type(pickle.loads(pickle.dumps(scorer(fitted, X, y)))) is float


def test_scoring_monitor_names_a_single_score():
    monitor = ScoringMonitor(scoring={"map": RetrievalScorer("map_at_r")})
    scaler = StandardScaler().set_callbacks(monitor).fit(X, y)
    assert monitor.get_logs().data[-1]["map"] == map_at_r(scaler.transform(X), y)


def test_sample_weight_counts_queries():
    weight = (y == 1).astype(float)  # queries of one class, searched among all
    scaler = StandardScaler().fit(X)
    Z = scaler.transform(X)
    others = [
        map_at_r(Z[[i]], y[[i]], gallery=np.delete(Z, i, 0), y_gallery=np.delete(y, i))
        for i in range(50, 100)
    ]
    assert RetrievalScorer("map_at_r")(scaler, X, y, sample_weight=weight) == pytest.approx(np.mean(others))


def test_copies():
    for copy in (pickle.loads(pickle.dumps(BOTH)), clone(BOTH, safe=False), eval(repr(BOTH))):
        assert copy.names == BOTH.names
    assert repr(BOTH) == "RetrievalScorer('recall_at_1', 'map_at_r')"
    assert repr(clone(GridSearchCV(PCA(), {}, scoring=BOTH)).scoring) == repr(BOTH)


@pytest.mark.parametrize(
    "name", ["accuracy", "recall_at_0", "recall_at_k", "map_at_5", "recall_at_", 3, None]
)
def test_unknown_names_list_the_choices(name):
    with pytest.raises(
        ValueError, match="the choices are recall_at_<k>, precision_at_<k>, ndcg_at_<k>, r_prec"
    ):
        RetrievalScorer("map_at_r", name)


def test_no_name():
    with pytest.raises(ValueError, match="needs the name of a score"):
        RetrievalScorer()


def weighted_search(scoring, weight, **settings):
    search = GridSearchCV(
        StandardScaler(), {"with_std": [True]}, scoring=scoring, refit=False, error_score="raise", **settings
    )
    return search.fit(X, y, sample_weight=weight).cv_results_


def test_grid_search_takes_weights_with_a_dict_of_scorers():
    weight = np.arange(150.0) % 7
    scoring = {"map": RetrievalScorer("map_at_r"), "recall": RetrievalScorer("recall_at_1")}
    results = weighted_search(scoring, weight)
    with sklearn.config_context(enable_metadata_routing=True):
        for scorer in scoring.values():
            scorer.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        routed = GridSearchCV(scaler, {"with_std": [True]}, scoring=scoring, refit=False).fit(
            X, y, sample_weight=weight
        )
    for name in ("mean_test_map", "mean_test_recall"):
        assert results[name] == pytest.approx(routed.cv_results_[name])
        assert results[name] != pytest.approx(weighted_search(scoring, None)[name])


def test_scoring_monitor_takes_weights_with_a_dict_of_scorers():
    weight = np.arange(150.0)
    monitor = ScoringMonitor(scoring={"map": RetrievalScorer("map_at_r"), "mrr": BOTH_MRR})
    scaler = StandardScaler().set_callbacks(monitor).fit(X, y, sample_weight=weight)
    logged = monitor.get_logs().data[-1]
    assert logged["map"] == RetrievalScorer("map_at_r")(scaler, X, y, sample_weight=weight)


BOTH_MRR = RetrievalScorer("mean_reciprocal_rank")


def test_requests_need_routing_and_survive_copies():
    scorer = RetrievalScorer("map_at_r")
    with pytest.raises(RuntimeError, match="enable_metadata_routing=True"):
        scorer.set_score_request(sample_weight=True)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer.set_score_request(sample_weight="w")
    copy = pickle.loads(pickle.dumps(scorer))
    assert copy.get_metadata_routing().score.requests == {"sample_weight": "w", "groups": False}


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.where(np.arange(150) == 7, -1.0, 1.0), r"sample_weight\[7\] is -1"),
        (np.where(np.arange(150) == 7, np.nan, 1.0), r"sample_weight\[7\] is nan"),
        (np.ones(9), r"shape \(150,\).*got \(9,\)"),
        (np.ones((150, 1)), r"shape \(150,\).*got \(150, 1\)"),
        (np.zeros(150), "sample_weight is 0 for each row that has something to find"),
    ],
)
def test_bad_weights_are_named_by_row(weight, message):
    with pytest.raises(ValueError, match=message):
        BOTH(StandardScaler().fit(X), X, y, sample_weight=weight)
