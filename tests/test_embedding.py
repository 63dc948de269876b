"""The one door to an embedder: every wrapper, in every consumer, gives what the learner itself gives."""

from itertools import product

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skmetric import DeepMetricLearner, MetricLearner, SimilaritySearch
from skmetric._embedding import check_steps_fitted, distance_of, embed, rankings_of, steps_of
from skmetric.exceptions import NoEmbeddingError
from skmetric.inspection import (
    DistanceHistogramDisplay,
    EmbeddingDisplay,
    NeighborsDisplay,
    RecallAtKDisplay,
    ThresholdDisplay,
    TrainingDisplay,
    distance_contributions,
)
from skmetric.metrics import RetrievalScorer, map_at_r, recall_at_k
from skmetric.retrieval import iter_rankings, nearest

rng = np.random.default_rng(0)
y = np.repeat(np.arange(6), 12)
X = rng.normal(size=(6, 5))[y] * 1.5 + rng.normal(size=(72, 5)) * np.array([0.5, 1, 2, 1, 0.5])
HALF = np.arange(72) % 2 == 0


def linear():
    return MetricLearner(n_components=2, shrinkage=(0.1, 0.1))


def ball():
    return DeepMetricLearner("mlp", n_components=3, distance="poincare", max_epochs=1, random_state=0)


def by_knn():
    return make_pipeline(StandardScaler(), linear(), KNeighborsClassifier(3))


def scored(estimator):
    return GridSearchCV(estimator, {}, cv=2, scoring=RetrievalScorer("map_at_r"))


EMBEDDERS = {  # each with the way to its embeddings by hand
    "learner": (linear, lambda e: e.transform(X)),
    "pipeline": (lambda: make_pipeline(StandardScaler(), linear()), lambda e: e.transform(X)),
    "pipeline ending in k-NN": (by_knn, lambda e: e[:-1].transform(X)),
    "grid search": (lambda: scored(linear()), lambda e: e.best_estimator_.transform(X)),
    "grid search of k-NN": (lambda: scored(by_knn()), lambda e: e.best_estimator_[:-1].transform(X)),
    "frozen learner": (lambda: FrozenEstimator(linear().fit(X, y)), lambda e: e.estimator.transform(X)),
    "frozen pipeline": (
        lambda: FrozenEstimator(make_pipeline(StandardScaler(), linear()).fit(X, y)),
        lambda e: e.estimator.transform(X),
    ),
    "frozen pipeline ending in k-NN": (
        lambda: FrozenEstimator(by_knn().fit(X, y)),
        lambda e: e.estimator[:-1].transform(X),
    ),
    "frozen grid search of k-NN": (
        lambda: FrozenEstimator(scored(by_knn()).fit(X, y)),
        lambda e: e.estimator.best_estimator_[:-1].transform(X),
    ),
    "pipeline ending in a frozen pipeline": (
        lambda: make_pipeline(
            StandardScaler(), FrozenEstimator(make_pipeline(linear(), "passthrough").fit(X, y))
        ),
        lambda e: e[-1].estimator[0].transform(e[0].transform(X)),
    ),
}
EMBEDDERS["pipeline ending in a frozen k-NN"] = (
    lambda: make_pipeline(
        StandardScaler(), FrozenEstimator(make_pipeline(linear(), KNeighborsClassifier()).fit(X, y))
    ),
    lambda e: e[-1].estimator[0].transform(e[0].transform(X)),
)
BALLS = {
    "learner": lambda e: e,
    "pipeline": lambda e: make_pipeline(StandardScaler(), e),
    "pipeline ending in k-NN": lambda e: make_pipeline(StandardScaler(), e, KNeighborsClassifier()),
    "pipeline ending in passthrough": lambda e: make_pipeline(e, FunctionTransformer(), "passthrough"),
    "grid search": scored,
    "one column transformer": lambda e: ColumnTransformer([("all", e, [0, 1, 2, 3, 4])]),
}


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module", params=EMBEDDERS)
def embedder(request):
    make, by_hand = EMBEDDERS[request.param]
    fitted = make().fit(X, y)
    return fitted, np.asarray(by_hand(fitted))


@pytest.fixture(scope="module", params=product(BALLS, (False, True)), ids=str)
def on_ball(request):
    """An embedder on the ball, its learner, and what its learner is given."""
    name, is_frozen = request.param
    fitted = BALLS[name](ball()).fit(X.astype(np.float32), y)
    return FrozenEstimator(fitted) if is_frozen else fitted


def learner_in(estimator):
    """Learner on the ball, and rows as it takes them."""
    rows = X.astype(np.float32)
    estimator = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, ColumnTransformer):
        return estimator.named_transformers_["all"], rows
    if isinstance(estimator, Pipeline):
        first = estimator[0]
        return (first, rows) if hasattr(first, "pair_distance") else (estimator[1], first.transform(rows))
    return estimator, rows


# What every consumer is built on


def test_embeddings(embedder):
    estimator, expected = embedder
    np.testing.assert_array_equal(embed(estimator, X), expected)
    np.testing.assert_array_equal(embed(estimator, X.tolist()), expected)
    assert type(steps_of(estimator)[-1]) is MetricLearner


def test_distance_is_euclidean(embedder):
    estimator, expected = embedder
    assert rankings_of(estimator) is iter_rankings
    np.testing.assert_allclose(
        distance_of(estimator)(expected[:5], expected[5:10]),
        np.sqrt(((expected[:5] - expected[5:10]) ** 2).sum(axis=1)),
    )


def test_distance_is_that_of_the_ball(on_ball):
    learner, rows = learner_in(on_ball)
    embeddings = embed(on_ball, X.astype(np.float32))
    np.testing.assert_allclose(embeddings, learner.transform(rows))
    distance = distance_of(on_ball)
    assert distance.name == "poincare"
    expected = learner.pair_distance(rows[:9], rows[9:18])
    np.testing.assert_allclose(distance(embeddings[:9], embeddings[9:18]), expected)
    assert not np.allclose(np.linalg.norm(embeddings[:9] - embeddings[9:18], axis=1), expected)


# Scores


def test_scorer(embedder):
    estimator, expected = embedder
    scores = RetrievalScorer("recall_at_1", "map_at_r")(estimator, X, y)
    assert scores == {"recall_at_1": recall_at_k(expected, y), "map_at_r": map_at_r(expected, y)}


def test_scorer_on_the_ball(on_ball):
    learner, rows = learner_in(on_ball)
    assert RetrievalScorer("map_at_r")(on_ball, X.astype(np.float32), y) == learner.score(rows, y)


def test_scorer_of_a_search(embedder):
    estimator, expected = embedder
    search = SimilaritySearch(FrozenEstimator(estimator)).fit(X, y)
    assert RetrievalScorer("map_at_r")(search, X, y) == map_at_r(expected, y)
    assert RetrievalScorer("map_at_r")(SimilaritySearch().fit(X, y), X, y) == map_at_r(X, y)


# Search


def test_search(embedder):
    estimator, expected = embedder
    search = SimilaritySearch(estimator).fit(X[HALF], y[HALF])
    found = nearest(expected[~HALF], expected[HALF], k=3)
    distances, indices = search.kneighbors(X[~HALF], 3)
    np.testing.assert_array_equal(indices, found.indices)
    np.testing.assert_allclose(distances, found.distances)
    np.testing.assert_array_equal(search.predict(X[~HALF]), y[HALF][found.indices[:, 0]])
    pairs = search.pair_distance(X[:3], X[3:6])
    np.testing.assert_allclose(pairs, np.linalg.norm(expected[:3] - expected[3:6], axis=1))


def test_search_in_a_folder_and_by_joblib(embedder, tmp_path):
    estimator, expected = embedder
    search = SimilaritySearch(estimator).fit(X[HALF], y[HALF])
    search.save(tmp_path / "search")
    joblib.dump(search, tmp_path / "search.joblib")
    found = nearest(expected[~HALF], expected[HALF], k=3)
    for back in (
        SimilaritySearch.load(tmp_path / "search", estimator),
        joblib.load(tmp_path / "search.joblib"),
    ):
        np.testing.assert_array_equal(back.kneighbors(X[~HALF], 3)[1], found.indices)


def test_search_refuses_the_ball(on_ball):
    with pytest.raises(ValueError, match="the distance of the Poincaré ball, and a search uses Euclid"):
        SimilaritySearch(on_ball).fit(X.astype(np.float32), y)


# Displays


def test_recall_display(embedder):
    estimator, expected = embedder
    display = RecallAtKDisplay.from_estimator(estimator, X, y, k=(1, 2), name="it")
    assert display.recall["it"].tolist() == [recall_at_k(expected, y, k=1), recall_at_k(expected, y, k=2)]


def test_recall_display_of_the_ball(on_ball):
    with pytest.raises(ValueError, match="the Poincaré ball, and recall@k uses Euclidean distance"):
        RecallAtKDisplay.from_estimator(on_ball, X.astype(np.float32), y)


def test_histogram(embedder):
    estimator, expected = embedder
    display = DistanceHistogramDisplay.from_estimator(estimator, X, y)
    first, second = np.triu_indices(72, 1)
    distances = np.linalg.norm(expected[first] - expected[second], axis=1)
    same = y[first] == y[second]
    np.testing.assert_allclose(np.sort(display.same), np.sort(distances[same]))
    np.testing.assert_allclose(np.sort(display.other), np.sort(distances[~same]))


def test_histogram_of_the_ball(on_ball):
    learner, rows = learner_in(on_ball)
    display = DistanceHistogramDisplay.from_estimator(on_ball, X.astype(np.float32), y)
    first, second = np.nonzero(np.triu(y[:, None] == y, 1))
    expected = learner.pair_distance(rows[first], rows[second])
    np.testing.assert_allclose(np.sort(display.same), np.sort(expected))


def test_histogram_of_a_search(embedder):
    estimator, expected = embedder
    search = SimilaritySearch(estimator).fit(X[HALF], y[HALF])
    display = DistanceHistogramDisplay.from_estimator(search, X[~HALF], y[~HALF])
    distances = np.linalg.norm(expected[~HALF][:, None] - expected[HALF], axis=2)
    other = np.where(y[~HALF][:, None] == y[HALF], np.inf, distances).min(axis=1)
    np.testing.assert_allclose(display.other, other)


def test_embedding_display(embedder):
    estimator, expected = embedder  # of two dimensions, which are drawn as they are
    np.testing.assert_array_equal(EmbeddingDisplay.from_estimator(estimator, X, y).points, expected)


def test_embedding_display_of_the_ball(on_ball):
    with pytest.raises(ValueError, match="the Poincaré ball, and method='pca' uses Euclidean distance"):
        EmbeddingDisplay.from_estimator(on_ball, X.astype(np.float32), y)


def test_embedding_display_draws_a_disc_as_it_is():
    disc = ball().set_params(n_components=2).fit(X.astype(np.float32), y)
    points = EmbeddingDisplay.from_estimator(disc, X.astype(np.float32), y).points
    np.testing.assert_array_equal(points, disc.transform(X.astype(np.float32)))


def test_displays_of_a_search(embedder):
    estimator, expected = embedder
    search = SimilaritySearch(estimator).fit(X[HALF], y[HALF])
    search.calibrate()
    texts = [str(row) for row in range(36)]
    shown = NeighborsDisplay.from_estimator(search, X[~HALF], queries=texts, gallery=texts, n_neighbors=2)
    np.testing.assert_array_equal(shown.indices, nearest(expected[~HALF], expected[HALF], k=2).indices)
    by_hand = SimilaritySearch().fit(expected[HALF], y[HALF])
    by_hand.calibrate()
    display = ThresholdDisplay.from_estimator(search)
    np.testing.assert_allclose(display.thresholds["distance"], by_hand.calibration_.thresholds["distance"])


def test_training_display(on_ball):
    learner, _ = learner_in(on_ball)
    if any(isinstance(step, ColumnTransformer) for step in steps_of(on_ball)):
        with pytest.raises(NotFittedError):
            TrainingDisplay.from_estimator(on_ball)
    else:
        assert TrainingDisplay.from_estimator(on_ball).history == learner.history_


def test_contributions(embedder):
    estimator, _ = embedder
    if len(steps_of(estimator)) > 1:
        with pytest.raises(TypeError, match="StandardScaler -> MetricLearner has several steps"):
            distance_contributions(estimator, X[:2], X[2:4])
    else:
        parts = distance_contributions(estimator, X[:2], X[2:4])
        expected = distance_of(estimator)(*np.split(embed(estimator, X[:4]), 2)) ** 2
        np.testing.assert_allclose(parts.sum(axis=1), expected)


# What is refused


class DropsNegative(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.n_features_in_ = 1
        return self

    def transform(self, X):
        X = np.asarray(X)
        return X[X[:, 0] > 0]


class Dropping(TransformerMixin, BaseEstimator):
    """Finds no face in the last picture."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X)[:-1]


@pytest.mark.parametrize(
    "wrap", [lambda e: e, FrozenEstimator, lambda e: make_pipeline(StandardScaler().fit(X), e)]
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda e: RetrievalScorer("map_at_r")(e, X, y),
        lambda e: SimilaritySearch(e).fit(X, y),
        lambda e: SimilaritySearch(e).fit(X),
        lambda e: RecallAtKDisplay.from_estimator(e, X, y),
        lambda e: DistanceHistogramDisplay.from_estimator(e, X, y),
        lambda e: EmbeddingDisplay.from_estimator(e, X),
    ],
    ids=["score", "search", "unlabelled", "recall", "histogram", "points"],
)
def test_an_embedder_that_drops_a_sample_is_refused(ask, wrap):
    """ageitgey/face_recognition #1210, serengil/deepface #872: nine names for ten photos."""
    with pytest.raises(ValueError, match="Dropping gave 71 embeddings for 72 samples"):
        ask(wrap(Dropping().fit(X)))


def test_the_only_sample_dropped_is_counted_too():
    """One photo without a face, as a service gets it: scikit-learn says "Found array with 0 sample(s)"."""
    search = SimilaritySearch(DropsNegative()).fit([[1.0], [2.0]], ["a", "b"])
    with pytest.raises(ValueError, match="DropsNegative gave 0 embeddings for 1 samples"):
        search.lookup([[-1.0]])


@pytest.mark.parametrize("after", [StandardScaler(), FeatureUnion([("scaled", StandardScaler())])], ids=str)
def test_what_changes_points_of_the_ball_is_refused(after):
    pipeline = make_pipeline(ball(), after).fit(X.astype(np.float32), y)
    with pytest.raises(ValueError, match="learned the distance of the Poincaré ball, which says nothing"):
        RetrievalScorer("map_at_r")(pipeline, X.astype(np.float32), y)


def test_the_ball_beside_other_columns_is_refused():
    union = FeatureUnion([("ball", ball()), ("raw", "passthrough")]).fit(X.astype(np.float32), y)
    with pytest.raises(ValueError, match="what FeatureUnion makes of its embeddings"):
        distance_of(union)


def test_a_learner_behind_the_ball_has_its_own_distance():
    pipeline = make_pipeline(ball(), linear()).fit(X.astype(np.float32), y)
    assert distance_of(pipeline).is_euclidean


def test_nothing_to_transform_with():
    assert steps_of(KNeighborsClassifier()) == []
    with pytest.raises(NoEmbeddingError, match="KNeighborsClassifier has no transform"):
        embed(FrozenEstimator(KNeighborsClassifier().fit(X, y)), X)


def test_a_pipeline_of_which_one_step_is_not_fitted():
    with pytest.raises(NotFittedError):
        check_steps_fitted(Pipeline([("a", StandardScaler()), ("b", KNeighborsClassifier().fit(X, y))]))
