"""A metric that is refitted to the gallery, and its calibration under metrics that have not seen queries."""

import pickle

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmetric import MetricLearner, io
from skmetric.search import PgVectorIndex, SimilaritySearch
from skmetric.search._embedder import _refitted

N_FEATURES = 40


def samples(labels, per_class, seed):
    """Classes with random means, and rows that differ much more along ten of the features."""
    centers = np.random.default_rng(0).normal(size=(60, N_FEATURES))
    noise = np.random.default_rng(seed).normal(size=(len(labels) * per_class, N_FEATURES))
    y = np.repeat(labels, per_class)
    return centers[y] + noise * np.where(np.arange(N_FEATURES) < 10, 3.0, 1.0), y


@pytest.fixture(scope="module")
def learner():
    return MetricLearner((0.1, 0.3), random_state=0).fit(*samples(np.arange(10), 6, 1))


@pytest.fixture
def search(learner):
    return SimilaritySearch(learner, adapt_metric=True).fit(*samples(np.arange(20, 40), 4, 2))


def test_the_learner_of_the_caller_stays(learner, search):
    before = pickle.dumps(learner)
    X, y = samples(np.arange(20, 40), 4, 2)
    SimilaritySearch(learner, adapt_metric=True).fit(X, y)
    assert pickle.dumps(learner) == before
    expected = MetricLearner(search.embedder_.shrinkage_).fit(
        *(np.concatenate(parts) for parts in zip(samples(np.arange(10), 6, 1), (X, y), strict=True))
    )
    np.testing.assert_allclose(search.embedder_.transform(X), expected.transform(X), atol=1e-7)


def test_new_queries_of_the_gallery_are_found_better(learner, search):
    X, y = samples(np.arange(20, 40), 20, 3)
    fixed = SimilaritySearch(learner).fit(*samples(np.arange(20, 40), 4, 2))
    assert search.score(X, y) > fixed.score(X, y) + 0.02


def test_the_calibration_promises_what_new_queries_show(search):
    """Under the metric in use, items of a class are nearer to each other than new queries are."""
    search.calibrate()
    known, strangers = samples(np.arange(20, 40), 20, 3), samples(np.arange(40, 60), 20, 4)
    found = search.evaluate(*known, strangers[0])
    assert found["identified"] == pytest.approx(found.promised["identified"], abs=0.1)
    assert found["unknown_accepted"] == pytest.approx(found.promised["unknown_accepted"], abs=0.1)
    naive = SimilaritySearch(search.embedder_).fit(*samples(np.arange(20, 40), 4, 2))
    naive.calibrate()
    found = naive.evaluate(*known, strangers[0])
    assert found.promised["identified"] > found["identified"] + 0.15


@pytest.mark.parametrize("matcher", ["nearest", "majority", "center"])
def test_queries_and_items_give_the_same_calibration(search, matcher):
    X, y = samples(np.arange(20, 40), 4, 2)
    own = search.set_params(matcher=matcher).calibrate(per_class=True)
    with pytest.warns(UserWarning, match="are items of the gallery") as caught:
        given = search.calibrate(X, y, per_class=True)
    assert {warning.filename for warning in caught} == {__file__}
    assert given.cutpoints["optimal"] == pytest.approx(own.cutpoints["optimal"], rel=1e-6)


def test_queries_that_are_no_items_know_the_metric_in_use(search):
    X, y = samples(np.arange(20, 60), 5, 5)
    calibration = search.calibrate(X, y, runner_up=0)
    cut = calibration.cutpoints["optimal"]
    search.set_cutpoint("optimal")
    accepted = search.predict(X) == y
    assert accepted[y < 40].mean() == pytest.approx(cut["recall"], abs=1e-9)


def test_items_come_and_go_with_their_samples(search):
    more, y = samples(np.arange(40, 44), 2, 6)
    search.partial_fit(more, y).remove([0, 5]).update([80, 81], more[2:4], y[2:4])
    first = np.delete(samples(np.arange(20, 40), 4, 2)[0], [0, 5], axis=0)
    kept = search._gallery.samples.values
    np.testing.assert_array_equal(kept, np.concatenate([first, more[2:], more[2:4]]))
    np.testing.assert_allclose(search.embedder_.transform(kept), search.index_.vectors(), atol=1e-12)
    search.calibrate()


def test_reembed_learns_from_all_items_of_now(learner, search):
    more = samples(np.arange(40, 44), 4, 6)
    X, y = (np.concatenate(p) for p in zip(samples(np.arange(20, 40), 4, 2), more, strict=True))
    search.partial_fit(*more).reembed(X)
    whole = SimilaritySearch(learner, adapt_metric=True).fit(X, y)
    np.testing.assert_allclose(search.index_.vectors(), whole.index_.vectors(), atol=1e-12)
    assert search.calibrate().cutpoints == whole.calibrate().cutpoints


def test_folders_and_pickles_calibrate_alike(search, tmp_path):
    search.partial_fit(*samples(np.arange(40, 44), 2, 6))
    search.save(tmp_path / "search")
    joblib.dump(search.embedder_, tmp_path / "embedder")
    loaded = SimilaritySearch.load(tmp_path / "search", joblib.load(tmp_path / "embedder"))
    assert loaded.adapt_metric
    expected = search.calibrate().cutpoints
    for copy in (loaded, pickle.loads(pickle.dumps(search))):
        assert copy.calibrate().cutpoints == expected


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_loaded_search_does_not_count_its_gallery_twice(learner, tmp_path, whole, scaled):
    """The folder has the metric that learned from the gallery; the next fit goes on from the one before."""
    X, y = samples(np.arange(10), 6, 1)
    embedder = (
        make_pipeline(StandardScaler(), MetricLearner((0.1, 0.3), random_state=0)).fit(X, y)
        if scaled
        else learner
    )
    search = SimilaritySearch(embedder, adapt_metric=True).fit(*samples(np.arange(20, 40), 4, 2))
    search.partial_fit(*samples(np.arange(40, 44), 2, 6))  # not learned from
    if whole:
        io.save(search, tmp_path / "search")
        loaded = io.load(tmp_path / "search")
    else:
        search.save(tmp_path / "search")
        loaded = SimilaritySearch.load(tmp_path / "search", search.embedder_)
    before = search.embedder[-1] if scaled else search.embedder
    after = loaded.embedder[-1] if scaled else loaded.embedder
    np.testing.assert_array_equal(after.classes_, before.classes_)
    np.testing.assert_allclose(after.scatter_.weights, before.scatter_.weights)  # 6 rows of each class
    X = np.concatenate([samples(np.arange(20, 40), 4, 2)[0], samples(np.arange(40, 44), 2, 6)[0]])
    for _ in range(2):
        vectors = search.reembed(X).index_.vectors()
        np.testing.assert_allclose(loaded.reembed(X).index_.vectors(), vectors, atol=1e-9)


def test_steps_before_the_learner_stay():
    X, y = samples(np.arange(10), 6, 1)
    pipeline = make_pipeline(StandardScaler(), MetricLearner((0.1, 0.3)), KNeighborsClassifier()).fit(X, y)
    X, y = samples(np.arange(20, 40), 4, 2)
    search = SimilaritySearch(FrozenEstimator(pipeline), adapt_metric=True).fit(X, y)
    assert search.embedder_[0] is pipeline[0]
    np.testing.assert_allclose(search._gallery.samples.values, pipeline[0].transform(X))
    assert search.predict(X).tolist() == y.tolist()
    assert len(pipeline[1].classes_) == 10


@pytest.mark.parametrize(
    ("embedder", "message"),
    [
        (None, "none is given"),
        (StandardScaler(), "embedder=StandardScaler"),
        (MetricLearner(margin=0.2), "margin=0.2"),
    ],
)
def test_what_cannot_be_refitted_is_refused(embedder, message):
    with pytest.raises(ValueError, match=f"refits a MetricLearner.*{message}"):
        SimilaritySearch(embedder, adapt_metric=True).fit(*samples(np.arange(5), 2, 0))


def test_labels_a_fitted_learner_and_a_gallery_in_memory_are_needed(learner):
    X, y = samples(np.arange(5), 2, 0)
    with pytest.raises(ValueError, match="fit with y"):
        SimilaritySearch(learner, adapt_metric=True).fit(X)
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        SimilaritySearch(MetricLearner(), adapt_metric=True).fit(X, y)
    with pytest.raises(ValueError, match="the index is on a server"):
        SimilaritySearch(learner, PgVectorIndex("host=nowhere", "items"), adapt_metric=True).fit(X, y)


def test_sparse_samples_are_kept_as_an_array(learner, search, monkeypatch):
    X, y = samples(np.arange(20, 40), 4, 2)
    queries = samples(np.arange(20, 40), 3, 3)[0]
    sparse = SimilaritySearch(learner, adapt_metric=True).fit(csr_array(X), y)
    assert sparse.embedder_.shrinkage_ == search.embedder_.shrinkage_
    np.testing.assert_array_equal(sparse.predict(csr_array(queries)), search.predict(queries))
    found, expected = sparse.calibrate().cutpoints, search.calibrate().cutpoints
    assert all(found[name] == pytest.approx(expected[name]) for name in expected)
    monkeypatch.setattr(_refitted, "_LARGEST", X.size - 1)
    with pytest.raises(ValueError, match=r"80 sparse rows of 40 features take 0 GB: fit an embedder that"):
        SimilaritySearch(learner, adapt_metric=True).fit(csr_array(X), y)
