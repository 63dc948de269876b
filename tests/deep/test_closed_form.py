"""Networks of rows start from the closed form, and are not worse than it on classes held out."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import normalize
from torch.utils.data import TensorDataset

from skmetric import DeepMetricLearner, MetricLearner
from skmetric.deep.losses import SmoothAPLoss
from skmetric.metrics import map_at_r
from skmetric.model_selection import ClassDisjointKFold


@pytest.fixture(scope="module")
def rows():
    """Rows of 20 classes in 6 features, of which the 3 quiet ones tell: (160, 6) float32, and labels."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(20), 8)
    X = rng.standard_normal((160, 6)) * [0.5, 0.5, 0.5, 8, 8, 8]
    X[:, :3] += rng.standard_normal((20, 3))[y]
    return X.astype(np.float32), y


def make(**settings):
    return DeepMetricLearner(**{"max_epochs": 2, "random_state": 0, "device": "cpu"} | settings)


@pytest.mark.parametrize("module", ["auto", "linear"])
@pytest.mark.parametrize("n_components", [None, 4])
def test_the_start_is_the_closed_form(rows, module, n_components):
    X, y = rows
    learner = make(
        module=module,
        n_components=n_components,
        learning_rate=1e-12,
        max_epochs=1,
        validation_fraction=None,
    )
    learner.fit(X, y)
    linear = MetricLearner(normalize=True, n_components=n_components, random_state=learner._seed).fit(X, y)
    mine, its = learner.transform(X), linear.transform(X)
    np.testing.assert_allclose(mine @ mine.T, its @ its.T, atol=1e-4)  # a turn of the axes is no change
    assert isinstance(learner.loss_, SmoothAPLoss)


def test_the_held_out_classes_are_not_in_the_closed_form(rows):
    X, y = rows
    learner = make(validation_fraction=0.3, learning_rate=1e-12, max_epochs=1).fit(X, y)
    trained = ~np.isin(y, learner.validation_classes_)
    linear = MetricLearner(normalize=True, random_state=learner._seed).fit(X[trained], y[trained])
    assert learner.untrained_scores_["validation_map_at_r"] == pytest.approx(
        linear.score(X[~trained], y[~trained]), abs=1e-6
    )


def test_training_that_hurts_is_undone(rows):
    X, y = rows
    uphill = partial(torch.optim.SGD, maximize=True)
    learner = make(optimizer=uphill, learning_rate=10.0).fit(X, y)
    assert learner.best_epoch_ == 0
    assert learner.refit_history_ == []
    linear = MetricLearner(normalize=True, random_state=learner._seed).fit(X, y)
    np.testing.assert_allclose(learner.transform(X), linear.transform(X), atol=1e-5)
    assert (
        max(row["validation_map_at_r"] for row in learner.history_)
        <= (learner.untrained_scores_["validation_map_at_r"])
    )


def test_what_is_found_is_trained_on_all_classes(rows):
    X, y = rows
    learner = make(module="mlp", max_epochs=3, learning_rate=0.01).fit(X, y)
    assert len(learner.validation_classes_) == 4  # a fifth of 20
    assert len(learner.refit_history_) == learner.best_epoch_ > 0
    same = make(
        module="mlp", learning_rate=0.01, max_epochs=learner.best_epoch_, validation_fraction=None
    ).fit(X, y)
    np.testing.assert_array_equal(learner.transform(X), same.transform(X))


@pytest.mark.parametrize(("refit", "refitted"), [("auto", False), (True, True), (False, False)])
def test_a_fraction_that_was_given_keeps_the_network_it_scored(rows, refit, refitted):
    X, y = rows
    learner = make(module="mlp", learning_rate=0.01, validation_fraction=0.2, refit=refit).fit(X, y)
    assert bool(learner.refit_history_) == refitted
    held_out = np.isin(y, learner.validation_classes_)
    best = max(row["validation_map_at_r"] for row in learner.history_)
    assert (learner.score(X[held_out], y[held_out]) == pytest.approx(best)) != refitted


def test_training_classes_that_are_told_apart_still_teach_something():
    """Smooth-AP at its own temperature sees no error there: on 200 faces nothing was learned."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(20), 5)
    X = (10 * rng.standard_normal((20, 40))[y] + rng.standard_normal((100, 40))).astype(np.float32)
    learner = make(validation_fraction=None, max_epochs=1).fit(X, y)
    closed = MetricLearner(normalize=True, random_state=learner._seed).fit(X, y)
    assert closed.score(X, y) == 1.0
    assert learner.history_[0]["loss"] > 1e-6


@pytest.mark.parametrize(("settings", "n_steps"), [({}, 20), ({"steps_per_epoch": 3}, 3)])
def test_few_rows_are_drawn_often_enough(rows, settings, n_steps):
    X, y = rows  # 160, which are 3 batches of 16 classes with 4 rows
    counted = []
    learner = make(max_epochs=1, validation_fraction=None, loss=_Counted(counted), **settings).fit(X, y)
    assert len(counted) == n_steps
    learner.set_params(warm_start=True).partial_fit(X, y)
    assert len(counted) == n_steps + settings.get("steps_per_epoch", 3)  # one pass, as partial_fit says


class _Counted(torch.nn.Module):
    """A loss that counts its calls in a list that copies share."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def __deepcopy__(self, memo):
        return _Counted(self.calls)

    def forward(self, embeddings, labels):
        self.calls.append(len(labels))
        return embeddings.square().mean()


def test_few_classes_hold_nothing_out(rows, blobs):
    X, y = blobs
    learner = make().fit(X, y)  # 6 classes
    assert learner.validation_classes_.size == 0
    assert learner.untrained_scores_ == {}
    assert learner.best_epoch_ == 2
    assert make(warm_start=True).fit(*rows).validation_classes_.size == 0


def test_classes_of_one_row_are_not_held_out(rows):
    X, y = rows
    y = np.where(np.arange(160) % 8 == 0, 100 + np.arange(160), y)  # 20 of them
    with pytest.warns(UserWarning, match="20 classes with one sample"):
        learner = make(max_epochs=1).fit(X, y)
    assert learner.validation_classes_.max() < 100


def test_validation_that_cannot_be_says_how_many_classes_it_needs(blobs):
    with pytest.raises(ValueError, match=r"y has 3 classes.*four in all"):
        make(validation_fraction=0.5).fit(blobs[0][:30], blobs[1][:30])


def test_a_search_over_margins_starts_from_the_closed_form(rows):
    search = GridSearchCV(
        make(loss="triplet", max_epochs=1), {"margin": [None, 0.1]}, cv=ClassDisjointKFold(2)
    )
    assert 0 < search.fit(*rows).best_score_ <= 1
    with pytest.raises(ValueError, match="SmoothAPLoss has no margin"):
        make(margin=0.1).fit(*rows)


def test_with_one_row_a_class_the_start_is_cosine(rows):
    X, _ = rows
    learner = make(loss="normalized_softmax", learning_rate=1e-12, max_epochs=1).fit(X[:20], np.arange(20))
    np.testing.assert_allclose(learner.transform(X), normalize(X), atol=1e-5)


def test_goes_on_from_where_it_was(rows):
    X, y = rows
    once = make(max_epochs=2, warm_start=True).fit(X, y)
    twice = make(max_epochs=1, warm_start=True).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(twice.transform(X), once.transform(X))
    assert isinstance(make().partial_fit(X, y).partial_fit(X, y).loss_, SmoothAPLoss)


@pytest.mark.parametrize(
    ("X", "settings", "message"),
    [
        (np.zeros((20, 8, 8)), {}, "holds images: use init='random', or FrozenFeatures"),
        (None, {"module": "mlp"}, "module is 'mlp': use init='random'"),
        (None, {"module": torch.nn.Linear(6, 3)}, "module is Linear: use init='random'"),
        (None, {"normalize": False}, "ends on the unit sphere"),
        (None, {"distance": "poincare"}, "ends on the unit sphere"),
        (None, {"augment": "two_views", "loss": "sim_clr"}, "fitted on labels"),
        (None, {"n_components": 7}, "n_components=7 is more than the 6"),
        (None, {"freeze": "trunk"}, "freeze is given"),
        (None, {"module": "linear", "weights": "w.pth"}, "weights is given"),
        (np.zeros((20, 5000)), {}, "more than 4096 features"),
        (TensorDataset(torch.zeros(20, 6)), {}, "X is a Dataset: pass an array"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wish_that_cannot_be_met_is_refused(rows, X, settings, message):
    X = rows[0][:20] if X is None else X
    with pytest.raises(ValueError, match=rf"^init='closed_form' .*{message}"):
        make(init="closed_form", **settings).fit(X, np.arange(20) % 2)


def test_refit_goes_with_no_warm_start(rows):
    with pytest.raises(ValueError, match=r"refit=True .* warm_start=True goes on"):
        make(refit=True, warm_start=True).fit(*rows)


def test_the_head_is_the_closed_form_of_what_was_trained(rows):
    X, y = rows
    settings = {"module": "mlp", "n_components": 5, "validation_fraction": None}
    bare, headed = make(**settings).fit(X, y), make(head="closed_form", **settings).fit(X, y)
    linear = MetricLearner(normalize=True, random_state=bare._seed).fit(bare.transform(X), y)
    np.testing.assert_allclose(headed.transform(X), linear.transform(bare.transform(X)), atol=1e-4)
    for further in ({"warm_start": True}, {"distance": "poincare"}):
        with pytest.raises(ValueError, match=r"^head='closed_form'"):
            make(head="closed_form", **further).fit(X, y)
    with pytest.raises(ValueError, match=r"head='closed_form' .* partial_fit trains on"):
        make(head="closed_form").partial_fit(X, y)


def test_unseen_intents_gain_over_the_closed_form(load_set):
    """Half of the classes of sentences: the default loses neither to cosine nor to the closed form."""
    data = load_set("banking77")
    rows = np.concatenate([np.flatnonzero(data.target == label)[:12] for label in np.unique(data.target)])
    X, y = data.data[rows].astype(np.float32), data.target[rows]
    seen = y % 2 == 0
    learner = make(max_epochs=5).fit(X[seen], y[seen])
    score = learner.score(X[~seen], y[~seen])
    assert score > map_at_r(normalize(X[~seen]), y[~seen])
    assert score > 0.99 * MetricLearner(random_state=0).fit(X[seen], y[seen]).score(X[~seen], y[~seen])
