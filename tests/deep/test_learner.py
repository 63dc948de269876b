import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from torch import nn

from skmetric import SimilaritySearch
from skmetric.deep.losses import TripletMarginLoss
from skmetric.metrics import RetrievalScorer, map_at_r
from skmetric.model_selection import ClassDisjointKFold


def test_learns_what_separates_classes(tiny):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 6
    X = 10 * rng.standard_normal((120, 8)).astype(np.float32)
    X[:, 0] = y  # the only feature that tells, the others are ten times louder
    learner = tiny(max_epochs=40, learning_rate=0.03, n_components=2).fit(X, y)
    assert learner.score(X, y) > 2 * map_at_r(X, y)


@pytest.mark.parametrize("layout", ["first", "last", "grey"])
def test_layouts_of_images(tiny, pictures, layout):
    X, y = pictures
    X = {"first": X, "last": np.moveaxis(X, 1, -1), "grey": X[:, 0]}[layout]
    learner = tiny("conv4").fit(X, y)
    embeddings = learner.transform(X)
    assert embeddings.shape == (48, 3)
    assert embeddings.dtype == np.float32
    assert learner.input_shape_ == ((1, 8, 8) if layout == "grey" else (3, 8, 8))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


def test_uint8_is_float_from_0_to_1(tiny, pictures):
    X, y = pictures
    learner = tiny("conv4").fit(X, y)
    np.testing.assert_allclose(learner.transform(X / 255), learner.transform(X), atol=1e-6)


def test_distance_is_euclidean_between_embeddings(tiny, blobs):
    X, y = blobs
    learner = tiny().fit(X, y)
    first, second = learner.transform(X[:5]), learner.transform(X[5:10])
    expected = np.linalg.norm(first - second, axis=1)
    np.testing.assert_allclose(learner.pair_distance(X[:5], X[5:10]), expected, rtol=1e-5)


def test_without_normalize_the_linear_map_is_linear(tiny, blobs):
    X, y = blobs
    learner = tiny(normalize=False).fit(X, y)
    np.testing.assert_allclose(learner.transform(2 * X), 2 * learner.transform(X), rtol=1e-5)


def test_what_was_passed_is_not_trained(tiny, blobs):
    network = nn.Linear(5, 3)
    before = network.weight.detach().clone()
    learner = tiny(network).fit(*blobs)
    assert learner.module is network
    torch.testing.assert_close(network.weight, before)
    assert not torch.equal(learner.module_[0].weight, before)


def test_module_from_the_input_shape(tiny, blobs):
    learner = tiny(lambda shape: nn.Linear(shape[0], 7), n_components=None).fit(*blobs)
    assert learner.n_components_ == 7
    assert learner.transform(blobs[0]).shape == (60, 7)


def test_history_tells_of_each_epoch(tiny, blobs):
    learner = tiny(max_epochs=3).fit(*blobs)
    assert [row["epoch"] for row in learner.history_] == [1, 2, 3]
    keys = {"loss", "active_share", "mean_positive_distance", "mean_negative_distance", "effective_rank"}
    assert keys | {"seconds", "mean_norm"} <= learner.history_[0].keys()
    assert learner.history_[-1]["loss"] < learner.history_[0]["loss"]
    assert learner.best_epoch_ == 3
    assert learner.classes_.tolist() == list("abcdef")


def test_same_seed_same_bits_and_nothing_else_changed(tiny, blobs):
    X, y = blobs
    torch.manual_seed(1)
    # NPY002 bans numpy's global generator, which is just what must be left as found
    np.random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    first = tiny("mlp").fit(X, y).transform(X)
    after = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert (before[1] == after[1]).all()
    assert before[2] == after[2]
    torch.rand(3)
    np.testing.assert_array_equal(tiny("mlp").fit(X, y).transform(X), first)
    assert (tiny("mlp", random_state=1).fit(X, y).transform(X) != first).any()


@pytest.mark.parametrize("loss", ["triplet", "proxy_anchor"])
def test_default_dtype_of_others_is_none_of_ours(tiny, blobs, loss):
    torch.set_default_dtype(torch.float64)
    try:
        assert tiny("mlp", loss=loss).fit(*blobs).transform(blobs[0]).dtype == np.float32
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("copied", [clone, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies_before_fit_fit_alike(tiny, blobs, copied):
    X, y = blobs
    network = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    learner = tiny(network, loss=TripletMarginLoss(margin=0.3))
    np.testing.assert_array_equal(copied(learner).fit(X, y).transform(X), learner.fit(X, y).transform(X))


@pytest.mark.parametrize("loss", ["triplet", "proxy_anchor"])
def test_pickles_are_equal_and_transform_alike(tiny, blobs, loss):
    X, y = blobs
    learner = tiny(loss=loss, warm_start=True).fit(X, y)
    loaded = pickle.loads(pickle.dumps(learner))
    np.testing.assert_array_equal(loaded.transform(X), learner.transform(X))
    assert joblib.hash(loaded.module_.state_dict()["0.1.weight"].numpy()) == joblib.hash(
        learner.module_.state_dict()["0.1.weight"].numpy()
    )
    np.testing.assert_array_equal(loaded.fit(X, y).transform(X), learner.fit(X, y).transform(X))


def test_joblib_in_a_fresh_process(another_process, tiny, blobs, tmp_path):
    X, y = blobs
    learner = tiny("mlp").fit(X, y)
    joblib.dump((learner, X, learner.transform(X)), tmp_path / "learner.joblib")
    code = "import joblib, sys; m, X, e = joblib.load(sys.argv[1]); assert (m.transform(X) == e).all()"
    another_process.run(code, tmp_path / "learner.joblib")


@pytest.mark.parametrize(
    "grid",
    [{"margin": [0.1, 0.3]}, {"loss": ["triplet", "multi_similarity"]}, {"loss__margin": [0.1, 0.3]}],
)
def test_grid_in_two_processes(tiny, blobs, grid):
    learner = tiny(loss=TripletMarginLoss(), max_epochs=1)
    search = GridSearchCV(
        learner,
        grid,
        cv=ClassDisjointKFold(2),
        scoring=RetrievalScorer("recall_at_1", "map_at_r"),
        refit="map_at_r",
        n_jobs=2,
        error_score="raise",
    ).fit(*blobs)
    alone = GridSearchCV(clone(learner), grid, cv=ClassDisjointKFold(2), scoring=RetrievalScorer("map_at_r"))
    np.testing.assert_allclose(
        search.cv_results_["mean_test_map_at_r"], alone.fit(*blobs).cv_results_["mean_test_score"], atol=1e-6
    )


def test_in_a_pipeline_before_nearest_neighbours(tiny, blobs):
    X, y = blobs
    pipeline = make_pipeline(tiny("mlp", max_epochs=10), KNeighborsClassifier(3)).fit(X, y)
    assert pipeline.score(X, y) > 0.9
    assert tiny().fit(X, y).set_output(transform="pandas").transform(X).columns[0] == "deepmetriclearner0"


def test_partial_fit_is_an_epoch_at_a_time(tiny, blobs):
    X, y = blobs
    whole, parts = tiny(max_epochs=2).fit(X, y), tiny()
    parts.partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(parts.transform(X), whole.transform(X))


def test_partial_fit_takes_new_classes(tiny, blobs):
    X, y = blobs
    old = y < "d"
    learner = tiny().partial_fit(X[old], y[old]).partial_fit(X[~old], y[~old])
    assert learner.classes_.tolist() == list("abcdef")
    proxies = tiny(loss="proxy_anchor").partial_fit(X[old], y[old], classes=np.unique(y))
    assert proxies.partial_fit(X[~old], y[~old]).loss_.proxies.shape == (6, 3)
    with pytest.raises(ValueError, match=r"no proxies for the labels \['d', 'e', 'f'\]: pass all labels"):
        tiny(loss="proxy_anchor").partial_fit(X[old], y[old]).partial_fit(X[~old], y[~old])


def test_a_search_refuses_points_of_the_ball(tiny, blobs):
    X, y = blobs
    learner = tiny(loss="auto", distance="poincare").fit(X, y)
    with pytest.raises(ValueError, match="Euclidean distance: train it with distance='euclidean'"):
        SimilaritySearch(learner).fit(X, y)
