"""SiameseLearner and TripletLearner: what they learn, how they decide, what they refuse."""

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from torch import nn

from skmetric._pair_threshold import choose_threshold, read_target
from skmetric.deep import SiameseLearner, TripletLearner
from skmetric.deep._data._division import divide
from skmetric.deep._data._gathered import Gathered
from skmetric.deep._data._tuple_batches import TupleBatches
from skmetric.deep._data._tuples import TupleSamples
from skmetric.deep._training._loss._tuple_loss import TupleLoss, make_tuple_loss
from skmetric.deep.losses import ContrastiveLoss, MultiSimilarityLoss, TripletMarginLoss
from skmetric.exceptions import DivergenceWarning


def pairs_of(y, n_pairs, seed=0):
    rng = np.random.default_rng(seed)
    members = rng.integers(0, len(y), (n_pairs * 40, 2))
    members = members[members[:, 0] != members[:, 1]]
    same = y[members[:, 0]] == y[members[:, 1]]
    kept = np.r_[np.flatnonzero(same)[: n_pairs // 2], np.flatnonzero(~same)[: n_pairs // 2]]
    kept = rng.permutation(kept)
    return members[kept], same[kept].astype(int)


def triplets_of(y, n_triplets, seed=0):
    rng = np.random.default_rng(seed)
    members = rng.integers(0, len(y), (n_triplets * 40, 3))
    same, other = y[members[:, 0]] == y[members[:, 1]], y[members[:, 0]] != y[members[:, 2]]
    return members[same & other & (members[:, 0] != members[:, 1])][:n_triplets]


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    return data.data.astype(np.float32) / 16, data.target, data.images / 16


@pytest.fixture(scope="module")
def pairs(digits):
    X, y, _ = digits
    members, same = pairs_of(y, 600)
    return X[members], same


@pytest.fixture(scope="module")
def triplets(digits):
    X, y, _ = digits
    return X[triplets_of(y, 400)]


@pytest.fixture
def quick():
    defaults = {"module": "linear", "n_components": 8, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    return lambda kind, **settings: kind(**(defaults | settings))


def tuples_of(samples, n_members):
    present = np.ones((len(samples) // n_members, n_members), dtype=bool)
    return TupleSamples(Gathered(samples, np.arange(len(samples))), present)


def values(samples):
    return set(samples.table[samples.index].ravel())


KINDS = [SiameseLearner, TripletLearner]


@pytest.fixture
def data_of(pairs, triplets):
    return {SiameseLearner: pairs, TripletLearner: (triplets, None)}.__getitem__


# What they learn


def test_a_siamese_network_tells_pairs_of_digits(digits):
    _, y, images = digits
    trained = np.flatnonzero((y < 6) & (np.arange(len(y)) % 2 == 0))
    fresh, unseen = np.flatnonzero((y < 6) & (np.arange(len(y)) % 2 == 1)), np.flatnonzero(y >= 6)
    members, same = pairs_of(y[trained], 1500)
    learner = SiameseLearner("conv4", max_epochs=4, n_components=32, random_state=0, device="cpu")
    untrained = clone(learner).set_params(max_epochs=1, learning_rate=1e-12)
    for model in (learner, untrained):
        model.fit(images[trained][members], same)
    scores = {}
    for name, rows in {"fresh": fresh, "unseen": unseen}.items():
        asked, truth = pairs_of(y[rows], 500, seed=1)
        X = images[rows][asked]
        scores[name] = learner.score(X, truth)
        assert scores[name] > untrained.score(X, truth)
        if name == "fresh":
            balanced = np.mean([(learner.predict(X) == truth)[truth == kind].mean() for kind in (0, 1)])
            assert balanced > 0.9
    assert scores["fresh"] > 0.95


def test_a_triplet_network_orders_triplets_of_digits(digits):
    X, y, _ = digits
    even = np.arange(len(y)) % 2 == 0
    learner = TripletLearner("mlp", max_epochs=10, n_components=32, random_state=0, device="cpu")
    learner.fit(X[even][triplets_of(y[even], 2000)])
    fresh = X[~even][triplets_of(y[~even], 1000, seed=1)]
    pixels = np.linalg.norm(fresh[:, :1] - fresh[:, 1:], axis=2)
    assert learner.score(fresh) > (pixels[:, 0] < pixels[:, 1]).mean()


@pytest.mark.slow
def test_pairs_of_people_never_seen(load_set):
    faces = load_set("lfw_faces")
    images, train = faces.data[:, ::4, ::4], faces.split == "train"  # people are on one side only
    members, same = pairs_of(faces.target[train], 3000)
    learner = SiameseLearner("conv4", max_epochs=3, random_state=0, device="cpu")
    learner.fit(images[train][members], same)
    asked, truth = pairs_of(faces.target[~train], 1000, seed=1)
    fresh = images[~train][asked]
    pixels = fresh.reshape(len(fresh), 2, -1).astype(float)
    by_pixels = roc_auc_score(truth, -np.linalg.norm(pixels[:, 0] - pixels[:, 1], axis=1))
    assert learner.score(fresh, truth) > by_pixels + 0.03


# How they decide


def test_siamese_decisions_are_distances_against_the_threshold(quick, pairs):
    X, y = pairs
    learner = quick(SiameseLearner).fit(X, y)
    distances = learner.pair_distance(X[:, 0], X[:, 1])
    np.testing.assert_allclose(learner.decision_function(X), learner.threshold_ - distances, atol=1e-6)
    np.testing.assert_array_equal(learner.predict(X) == 1, learner.decision_function(X) >= 0)
    assert learner.score(X, y) == pytest.approx(roc_auc_score(y, -distances), abs=1e-3)


def test_triplet_decisions_are_differences_of_distances(quick, triplets):
    learner = quick(TripletLearner).fit(triplets)
    gap = learner.pair_distance(triplets[:, 0], triplets[:, 2]) - learner.pair_distance(
        triplets[:, 0], triplets[:, 1]
    )
    np.testing.assert_allclose(learner.decision_function(triplets), gap, atol=1e-6)
    np.testing.assert_array_equal(
        learner.predict(triplets), np.where(learner.decision_function(triplets) > 0, 1, -1)
    )
    assert learner.score(triplets) == (learner.predict(triplets) == 1).mean()


def test_threshold_by_hand():
    distances = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    similar = np.array([True, True, False, True, False])
    # accepted up to .2: 2 of 3 similar, 0 of 2 others -> .667; up to .4: 3 of 3, 1 of 2 -> .5
    assert choose_threshold(distances, similar) == pytest.approx(0.25)
    half, none = (read_target(max_false_accept_rate=rate) for rate in (0.5, 0.0))
    assert choose_threshold(distances, similar, half) == pytest.approx(0.45)
    assert choose_threshold(distances, similar, none) == pytest.approx(0.25)
    assert choose_threshold(np.ones(4), np.array([True, False] * 2), none) < 1  # accepts nobody


def test_equal_distances_are_accepted_together():
    distances, similar = np.array([1.0, 1.0, 2.0]), np.array([True, False, False])
    assert choose_threshold(distances, similar) == pytest.approx(1.5)  # 1 of 1 similar, 1 of 2 others


def test_threshold_can_be_chosen_anew(quick, pairs):
    X, y = pairs
    learner = quick(SiameseLearner).fit(X, y)
    strict = clone(learner).fit(X, y).calibrate_threshold(X, y, max_false_accept_rate=0.05)
    accepted = strict.predict(X) == 1
    assert accepted[y == 0].mean() <= 0.05
    assert strict.set_threshold(0.5).threshold_ == 0.5
    with pytest.raises(ValueError, match="max_false_accept_rate"):
        learner.calibrate_threshold(X, y, max_false_accept_rate=2)
    again = strict.calibrate_threshold(X, y, criterion="max_tpr", min_rate=0.95).threshold_
    assert again == strict.calibrate_threshold(X, y, max_false_accept_rate=0.05).threshold_
    with pytest.raises(ValueError, match="beta is for criterion='f_beta'"):
        learner.calibrate_threshold(X, y, beta=2.0)


@pytest.mark.parametrize("values", [(0, 1), (-1, 1), (False, True)])
def test_predictions_are_in_the_values_of_y(quick, pairs, values):
    X, same = pairs
    y = np.array(values)[same]
    learner = quick(SiameseLearner).fit(X, y)
    assert learner.classes_.tolist() == list(values)
    assert set(learner.predict(X).tolist()) <= set(values)


# Losses


def test_the_loss_of_pairs_by_hand():
    loss = TupleLoss(ContrastiveLoss(margin=1.0), 2)
    embeddings = torch.tensor([[0.0], [1.0], [0.0], [0.5]])  # a similar pair 1 apart, another .5 apart
    value = loss(embeddings, torch.tensor([1, 1, 0, 0]))
    assert value.item() == pytest.approx(0.5 * 1**2 + 0.5 * 0.5**2)


@pytest.mark.parametrize("swap", [False, True])
def test_the_loss_of_triplets_is_that_of_torch(swap):
    embeddings = torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    anchor, positive, negative = embeddings.unflatten(0, (10, 3)).unbind(1)
    expected = nn.functional.triplet_margin_loss(anchor, positive, negative, margin=0.7, swap=swap, eps=0)
    loss = TupleLoss(TripletMarginLoss(margin=0.7, average="all", swap=swap), 3)
    assert loss(embeddings, torch.zeros(30, dtype=torch.int64)).item() == pytest.approx(expected.item())


def test_equal_members_have_a_finite_gradient():
    embeddings = torch.zeros(4, 3, requires_grad=True)
    TupleLoss(ContrastiveLoss(), 2)(embeddings, torch.tensor([1, 1, 0, 0])).backward()
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("loss", ["multi_similarity", "circle", "nt_xent", TripletMarginLoss(0.3, swap=True)])
def test_other_losses_of_triplets(quick, triplets, loss):
    assert quick(TripletLearner, loss=loss).fit(triplets).score(triplets) > 0.8


@pytest.mark.parametrize("loss", ["proxy_anchor", "fast_ap", "nt_xent", MultiSimilarityLoss(), "triplet"])
def test_losses_that_learn_nothing_from_pairs_are_refused(loss):
    with pytest.raises(ValueError, match="contrastive"):
        make_tuple_loss(loss, None, 2)


def test_margin_reaches_the_loss(quick, pairs):
    assert quick(SiameseLearner, margin=0.4).fit(*pairs).loss_.margin == 0.4
    assert quick(SiameseLearner, margin=0.01).fit(*pairs).loss_.margin == 0.01
    with pytest.raises(ValueError, match="no margin"):
        quick(SiameseLearner, loss="multi_similarity", margin=0.4).fit(*pairs)


def test_margins_beyond_which_pairs_cost_nothing(quick, pairs):
    loss = ContrastiveLoss(margin=3, positive_margin=1.6)
    assert quick(SiameseLearner, loss=loss, normalize=False).fit(*pairs).loss_.positive_margin == 1.6


# Tuples held out, batches


def test_pairs_with_common_samples_stay_together():
    samples = np.arange(40.0)[:, None]
    samples[2] = samples[0]  # pairs 0 and 1 have a sample in common
    similar = np.arange(20) % 2 == 0
    for seed in range(10):
        data = divide(tuples_of(samples, 2), similar, 0.3, seed)
        assert data.disjoint
        assert not values(data.held_out) & values(data.samples)
        assert 0 < data.held_out_codes.sum() < len(data.held_out_codes)


def test_linked_pairs_are_divided_one_by_one_and_it_is_said(quick):
    X = np.random.default_rng(0).normal(size=(20, 2, 3)).astype(np.float32)
    similar = np.arange(20) % 2
    assert quick(SiameseLearner).fit(X, similar).validation_disjoint_
    X[:, 0] = 5.0  # the same first member everywhere
    assert not quick(SiameseLearner).fit(X, similar).validation_disjoint_
    data = divide(tuples_of(X.reshape(40, 3), 2), similar == 1, 0.25, 0)
    assert len(data.held_out_codes) == 2 * 6  # a quarter of 10 of each kind, rounded up


def test_a_large_group_is_not_held_out_as_a_whole():
    samples = np.arange(80.0)[:, None]
    samples[0:36:2] = -1  # 18 of 40 pairs hang together
    similar = np.arange(40) % 2 == 0
    tuples = tuples_of(samples, 2)
    shares = [len(divide(tuples, similar, 0.2, seed).held_out) / 80 for seed in range(50)]
    assert min(shares) >= 0.1
    assert max(shares) <= 0.3


def test_every_tuple_comes_once_an_epoch_and_stays_whole():
    batches = TupleBatches(7, 3, 2, seed=0)
    batches.set_epoch(3)
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(21))
    assert all(rows[i] % 3 == 0 and rows[i + 2] == rows[i] + 2 for i in range(0, 21, 3))
    assert rows == [row for batch in batches for row in batch]
    batches.set_epoch(4)
    assert rows != [row for batch in batches for row in batch]


# Training


@pytest.mark.parametrize("kind", KINDS)
def test_history_and_best_epoch(quick, data_of, kind):
    learner = quick(kind, max_epochs=3, validation_fraction=0.2).fit(*data_of(kind))
    assert [row["epoch"] for row in learner.history_] == [1, 2, 3]
    name = {SiameseLearner: "validation_auc", TripletLearner: "validation_accuracy"}[kind]
    scores = [row[name] for row in learner.history_]
    assert learner.best_epoch_ == 1 + int(np.argmax(scores))
    last = learner.history_[-1]
    assert last["mean_positive_distance"] < last["mean_negative_distance"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bits(quick, data_of, kind):
    X, y = data_of(kind)
    first, second = (quick(kind).fit(X, y).transform(X[:, 0]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
def test_warm_start_goes_on_exactly(quick, data_of, kind):
    X, y = data_of(kind)
    whole = quick(kind, max_epochs=4, warm_start=True).fit(X, y)
    parts = quick(kind, max_epochs=2, warm_start=True).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(whole.transform(X[:, 0]), parts.transform(X[:, 0]))
    assert [row["epoch"] for row in parts.history_] == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_trains_an_epoch_a_call(quick, data_of, kind):
    X, y = data_of(kind)
    learner = quick(kind)
    args = (X,) if y is None else (X, y)
    learner.partial_fit(*args).partial_fit(*args)
    assert [row["epoch"] for row in learner.history_] == [1, 2]
    assert learner.transform(X[:3, 0]).shape == (3, 8)


@pytest.mark.parametrize("kind", KINDS)
def test_joblib_round_trip(quick, data_of, kind, tmp_path):
    X, y = data_of(kind)
    learner = quick(kind).fit(X, y)
    joblib.dump(learner, tmp_path / "learner.joblib")
    loaded = joblib.load(tmp_path / "learner.joblib")
    np.testing.assert_array_equal(loaded.predict(X), learner.predict(X))
    assert joblib.hash(loaded) == joblib.hash(learner)


def test_a_grid_over_margin(quick, pairs):
    search = GridSearchCV(quick(SiameseLearner), {"margin": [0.5, 1.0]}, cv=3).fit(*pairs)
    assert search.best_params_["margin"] in (0.5, 1.0)
    assert search.best_score_ > 0.5


def test_callbacks_and_early_stopping(quick, pairs, capsys):
    learner = quick(SiameseLearner, max_epochs=30, early_stopping=True, patience=1, learning_rate=0.5)
    learner.set_callbacks(ProgressBar()).fit(*pairs)
    assert len(learner.history_) < 30


def test_a_monitor_may_predict_while_training(quick, pairs):
    learner = quick(SiameseLearner).set_callbacks(ScoringMonitor(scoring="accuracy"))
    assert learner.fit(*pairs).predict(pairs[0]).shape == (600,)


def test_divergence_keeps_the_last_good_state(quick, pairs):
    with pytest.warns(DivergenceWarning, match="epoch 1"):
        learner = quick(SiameseLearner, optimizer="sgd", learning_rate=1e38, normalize=False).fit(*pairs)
    assert np.isfinite(learner.transform(pairs[0][:, 0])).all()


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 3, 8, 8), (2, 8, 8, 3)])
def test_pairs_of_images(quick, shape):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 255, (20, *shape), dtype=np.uint8)
    learner = quick(SiameseLearner, module="conv4", n_components=None, max_epochs=1)
    learner.fit(X, np.arange(20) % 2)
    assert learner.predict(X).shape == (20,)
    assert len(learner.transform(X[:, 0])) == 20


def test_augmentation_by_name(quick):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 255, (20, 2, 8, 8), dtype=np.uint8)
    learner = quick(SiameseLearner, module="conv4", n_components=None, max_epochs=1, augment=["shift_crop"])
    assert learner.fit(X, np.arange(20) % 2).predict(X).shape == (20,)
    with pytest.raises(ValueError, match="two_views"):
        learner.set_params(augment="two_views").fit(X, np.arange(20) % 2)


# Bad input


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_shapes_are_refused(quick, data_of, kind):
    X, y = data_of(kind)
    for wrong in (X[:, 0], X[:, :1], X[:0], [[[1.0], [2.0, 3.0]]]):
        with pytest.raises(ValueError, match="X must hold"):
            quick(kind).fit(wrong, y)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_is_named_by_row_and_member(quick, data_of, kind):
    X, y = data_of(kind)
    X = X.copy()
    X[7, 1, 3] = np.nan
    with pytest.raises(ValueError, match="row 7, member 1"):
        quick(kind).fit(X, y)


def test_labels_of_pairs_are_checked(quick, pairs):
    X, y = pairs
    for wrong in (y * 2, np.ones_like(y), y.astype(str)):
        with pytest.raises(ValueError, match="similar"):
            quick(SiameseLearner).fit(X, wrong)
    with pytest.raises(ValueError, match="mixes labels of several types"):
        quick(SiameseLearner).fit(X, [1, "a"] * 300)
    learner = quick(SiameseLearner).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"had \[0, 1\] before"):
        learner.partial_fit(X, 2 * y - 1)
    with pytest.raises(ValueError, match="threshold must be a distance"):
        learner.set_threshold(np.nan)
    with pytest.raises(ValueError, match="5 labels for 600 rows"):
        quick(SiameseLearner).fit(X, y[:5])
    with pytest.raises(ValueError, match="y is None"):
        quick(SiameseLearner).fit(X, None)


@pytest.mark.parametrize("kind", KINDS)
def test_other_samples_than_fitted_are_refused(quick, data_of, kind):
    X, y = data_of(kind)
    learner = quick(kind).fit(X, y)
    with pytest.raises(ValueError, match="features"):
        learner.predict(X[:, :, :5])
    with pytest.raises(ValueError, match="fit saw"):
        learner.predict(X.reshape(*X.shape[:2], 8, 8))


def test_too_few_pairs_to_hold_out(quick, pairs):
    X, y = pairs
    few = np.r_[np.flatnonzero(y == 1)[:1], np.flatnonzero(y == 0)[:5]]
    with pytest.raises(ValueError, match="validation_fraction=0"):
        quick(SiameseLearner).fit(X[few], y[few])
    with pytest.raises(ValueError, match="early_stopping"):
        quick(SiameseLearner, early_stopping=True, validation_fraction=0.0).fit(X, y)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["decision_function", "predict", "transform"])
def test_before_fit_there_is_nothing_to_ask(quick, data_of, kind, method):
    X = data_of(kind)[0]
    with pytest.raises(NotFittedError, match=kind.__name__):
        getattr(quick(kind), method)(X[:, 0] if method == "transform" else X)


# The threshold, given or chosen


def test_a_threshold_lies_below_the_next_distance_even_between_neighbouring_floats():
    near = 0.5
    far = np.nextafter(near, 1)  # their mean is rounded to the larger
    for low, high in ((near, far), (far, np.nextafter(far, 1))):
        chosen = choose_threshold(np.array([low, high]), np.array([True, False]))
        assert low <= chosen < high


@pytest.mark.parametrize("threshold", [None, "0.5", [0.5], True, np.array([1.0])])
def test_a_threshold_is_a_number(quick, pairs, threshold):
    learner = quick(SiameseLearner, max_epochs=1).fit(*pairs)
    with pytest.raises(TypeError, match="threshold must be a number; got"):
        learner.set_threshold(threshold)
    assert learner.set_threshold(np.float32(0.5)).threshold_ == 0.5


@pytest.mark.parametrize("rate", ["weird", "0.1", [0.1], True, 1, 1.0, -0.1, 5, np.nan, np.inf])
def test_a_rate_is_a_share(quick, pairs, rate):
    learner = quick(SiameseLearner, max_epochs=1).fit(*pairs)
    with pytest.raises((TypeError, ValueError), match="max_false_accept_rate must be"):
        learner.calibrate_threshold(*pairs, max_false_accept_rate=rate)
