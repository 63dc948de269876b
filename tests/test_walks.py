"""Whole walks: images to a classifier, to a grid search, to another process."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from torch import nn

from skmetric import FrozenFeatures, MetricLearner
from skmetric.metrics import RetrievalScorer, map_at_r, recall_at_k
from skmetric.model_selection import ClassDisjointKFold, class_disjoint_split

BOTH = RetrievalScorer("recall_at_1", "map_at_r")


def made_images(n_classes=8, n_samples=10):
    """Small grey images: a pattern for each class, under noise that is strong in one half."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(n_classes), n_samples)
    patterns = rng.uniform(60, 200, size=(n_classes, 6, 6))
    noise = rng.normal(size=(len(codes), 6, 6)) * np.where(np.arange(6) < 3, 60, 10)
    X = np.clip(patterns[codes] + noise, 0, 255).astype(np.uint8)
    order = rng.permutation(len(codes))
    return X[order], np.array([f"c{code}" for code in codes])[order]


class Flat(nn.Module):
    """Pixels as features; counts the images that pass."""

    seen = 0

    def forward(self, x):
        Flat.seen += len(x)
        return x[:, 0].flatten(1)


def pipeline(network=None, memory=None):
    steps = [
        ("features", FrozenFeatures(network or nn.Flatten(), mean=0.5, std=0.25)),
        ("metric", MetricLearner(random_state=0)),
        ("knn", KNeighborsClassifier(3)),
    ]
    return Pipeline(steps, memory=memory)


# (a) features, metric, k-NN


def test_fit_predict_clone_and_frames():
    X, y = made_images()
    pipe = pipeline().fit(X[:60], y[:60])
    assert pipe.score(X[60:], y[60:]) > 0.8
    assert set(pipe.predict(X[60:])) <= set(y)
    np.testing.assert_array_equal(clone(pipe).fit(X[:60], y[:60]).predict(X), pipe.predict(X))
    frames = clone(pipe).set_output(transform="pandas").fit(X[:60], y[:60])
    np.testing.assert_array_equal(frames.predict(X), pipe.predict(X))
    assert list(frames[:-1].transform(X))[:2] == ["metriclearner0", "metriclearner1"]


def test_the_network_runs_once_over_a_grid(tmp_path):
    X, y = made_images()
    pipe = pipeline(Flat(), memory=joblib.Memory(tmp_path, verbose=0))
    Flat.seen = 0
    grid = {"metric__weighting": ["plda", "wccn", "lda"]}
    GridSearchCV(pipe, grid, cv=ClassDisjointKFold(2), scoring=BOTH, refit=False).fit(X, y)
    # each fold: one image in fit, its 40 training images once; its 40 test images for each of 3 candidates
    assert Flat.seen == 2 * (1 + 40 + 3 * 40)


LOAD = """
import sys, joblib, numpy as np
pipe, X, expected = joblib.load(sys.argv[1])
np.testing.assert_array_equal(pipe.predict(X), expected)
"""


def test_joblib_and_a_fresh_process(another_process, tmp_path):
    X, y = made_images()
    pipe = pipeline().fit(X, y)
    joblib.dump((pipe, X, pipe.predict(X)), tmp_path / "walk.joblib")
    back = joblib.load(tmp_path / "walk.joblib")[0]
    np.testing.assert_array_equal(back.predict(X), pipe.predict(X))
    another_process.run(LOAD, tmp_path / "walk.joblib")


@pytest.mark.slow
def test_photographs_through_a_real_network(timm, shared_data, load_set, tmp_path):
    """Half of the groceries teach the metric; the others are found and recognised by it."""
    data = load_set("grocery")
    rows = np.random.default_rng(0).permutation(len(data.data))[:1200]
    network = FrozenFeatures(
        "mobilenetv2_100",
        weights=shared_data / "weights/mobilenetv2_100_tf2_in1k.safetensors",
        model_kwargs={"pad_type": "same"},
        image_size=64,
        mean=0.5,
        std=0.5,
        crop_pct=1.0,
    )
    split = class_disjoint_split(data.data[rows], data.target[rows], random_state=0)
    X_known, X_new, y_known, y_new = split
    knn = KNeighborsClassifier(1)
    pipe = make_pipeline(network, MetricLearner(random_state=0), knn, memory=str(tmp_path)).fit(
        X_known, y_known
    )
    embeddings, raw = pipe[:-1].transform(X_new), X_new.reshape(len(X_new), -1).astype(np.float32)
    features = pipe[0].transform(X_new)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    assert map_at_r(embeddings, y_new) > map_at_r(features, y_new) > 1.5 * map_at_r(raw, y_new)
    half = np.arange(len(y_new)) % 2 == 0  # classes that were never trained on, enrolled and recognised
    enrolled = clone(knn).fit(embeddings[half], y_new[half])
    assert enrolled.score(embeddings[~half], y_new[~half]) > 0.6


# (b) a grid over margin, class-disjoint folds, several scores


@pytest.mark.parametrize("ends_in_knn", [False, True])
@pytest.mark.parametrize("n_jobs", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_grid_over_margin(ends_in_knn, n_jobs):
    X, y = made_images(12, 6)
    pipe = pipeline() if ends_in_knn else pipeline()[:-1]
    grid = {"metric__margin": [None, 0.2]}
    search = GridSearchCV(
        pipe, grid, cv=ClassDisjointKFold(3), scoring=BOTH, refit="map_at_r", n_jobs=n_jobs
    ).fit(X, y)
    scores = search.cv_results_
    assert np.isfinite(scores["mean_test_recall_at_1"]).all()
    assert search.best_score_ == scores["mean_test_map_at_r"].max()
    assert hasattr(search, "predict") == ends_in_knn
    train, test = next(ClassDisjointKFold(3).split(X, y))
    best = clone(search.best_estimator_).fit(X[train], y[train])
    embeddings = (best[:-1] if ends_in_knn else best).transform(X[test])
    assert scores["split0_test_map_at_r"][search.best_index_] == map_at_r(embeddings, y[test])
    assert scores["split0_test_recall_at_1"][search.best_index_] == recall_at_k(embeddings, y[test])


def test_several_scores_from_one_transform():
    X, y = made_images()
    pipe = pipeline(Flat()).fit(X, y)
    Flat.seen = 0
    scores = BOTH(pipe, X, y)
    assert set(scores) == {"recall_at_1", "map_at_r"}
    assert Flat.seen == len(X)
