"""What `warm_start` and `partial_fit` go on from.

Reports: skorch #349, scikit-learn #13285, sentence-transformers #3756 and #2648.
"""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skmetric import io
from skmetric.deep import DeepMetricLearner, FineTuning, SiameseLearner, TripletLearner, losses

IMAGES = np.random.default_rng(0).random((24, 3, 8, 8)).astype(np.float32)
NAMES = np.arange(24) % 4
BASE = {"max_epochs": 1, "warm_start": True, "random_state": 0, "device": "cpu", "n_components": 4}

# of every parameter: the first value, and the value to go on with
MADE_OF = {  # of these the network is made: refused by name
    "module": ("conv4", "small_resnet"),
    "init": ("auto", "random"),
    "weights": ("pretrained", None),
    "model_kwargs": (None, {"n_components": 4}),
    "n_components": (4, 5),
    "pooling": (None, "avg"),
    "normalize": (True, False),
    "mean": (None, 0.5),
    "std": (None, 0.5),
    "image_size": (None, 4),
}
LEARNS_OTHERWISE = {  # other embeddings than without the change
    "freeze": (None, "batch_norm"),
    "loss": ("multi_similarity", "proxy_anchor"),
    "margin": (0.2, 0.7),
    "classes_per_batch": (None, 2),
    "samples_per_class": (None, 3),
    "steps_per_epoch": (None, 3),
    "augment": (None, "flip"),
    "max_epochs": (1, 2),
    "optimizer": ("adam", "sgd"),
    "learning_rate": (1e-3, 1e-2),
    "proxy_learning_rate": (1e-2, 0.5),
    "weight_decay": (0.0, 0.5),
    "schedule": (None, "one_cycle"),
    "clip_norm": (None, 1e-9),
    "precision": ("fp32", "bf16"),
    "random_state": (0, 1),
    "validation_fraction": (None, 0.5),
    "early_stopping": (False, True),
    "fine_tuning": (None, FineTuning(accumulate=2)),
}
THE_SAME = {  # how it is computed or reported
    "distance": ("euclidean", "cosine"),
    "patience": (5, 6),
    "scoring": ("map_at_r", "recall_at_1"),
    "channel_axis": ("auto", "first"),
    "num_workers": (0, 1),
    "device": ("cpu", torch.device("cpu")),
    "background": ("white", "black"),
}
# this file, and: checkpoint_folder, compile, closed_form, distributed, relevance, collated
ELSEWHERE = {"warm_start", "checkpoint", "compile", "refit", "head", "distributed", "relevance", "collate_fn"}
NEEDS = {
    "fine_tuning": {"steps_per_epoch": 3},
    "margin": {"loss": "triplet"},
    "proxy_learning_rate": {"loss": "proxy_anchor", "steps_per_epoch": 3},
}


def went_on(name, value, first, **settings):
    learner = DeepMetricLearner(**(BASE | settings | {name: first})).fit(IMAGES, NAMES)
    return learner.set_params(**{name: value}).fit(IMAGES, NAMES)


def test_every_parameter_is_tried_below():
    tried = MADE_OF.keys() | LEARNS_OTHERWISE.keys() | THE_SAME.keys() | ELSEWHERE
    assert set(DeepMetricLearner().get_params()) == tried


@pytest.mark.parametrize("name", MADE_OF)
def test_what_the_network_is_made_of_is_refused_by_name(name):
    first, value = MADE_OF[name]
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        went_on(name, value, first)


@pytest.mark.parametrize("name", LEARNS_OTHERWISE)
def test_what_training_depends_on_takes_effect(name):
    first, value = LEARNS_OTHERWISE[name]
    changed = went_on(name, value, first, **NEEDS.get(name, {}))
    assert (
        changed.transform(IMAGES) != went_on(name, first, first, **NEEDS.get(name, {})).transform(IMAGES)
    ).any()


@pytest.mark.parametrize("name", THE_SAME)
def test_other_parameters_leave_training_alone(name):
    first, value = THE_SAME[name]
    changed = went_on(name, value, first).transform(IMAGES)
    np.testing.assert_array_equal(changed, went_on(name, first, first).transform(IMAGES))


@pytest.mark.parametrize("kind", [SiameseLearner, TripletLearner])
@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"module": "linear"}, True),
        ({"n_components": 5}, True),
        ({"normalize": False}, True),
        ({"loss": losses.ContrastiveLoss(positive_margin=0.3)}, False),
        ({"margin": 0.9}, False),
        ({"batch_size": 5}, False),
        ({"optimizer": "sgd"}, False),
        ({"learning_rate": 0.1}, False),
        ({"weight_decay": 0.5}, False),
        ({"schedule": "one_cycle"}, False),
        ({"clip_norm": 1e-9}, False),
        ({"augment": torch.neg}, False),
        ({"precision": "bf16"}, False),
        ({"random_state": 1}, False),
        ({"max_epochs": 2}, False),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else str(value),
)
def test_learners_of_tuples_go_on_alike(kind, change, refused):
    X = np.random.default_rng(0).standard_normal((40, kind._n_members, 5))
    y = np.arange(40) % 2 if kind is SiameseLearner else None
    settings = {
        "n_components": 3,
        "max_epochs": 1,
        "warm_start": True,
        "random_state": 0,
        "learning_rate": 0.01,
        "validation_fraction": 0.0,
    }
    same = kind("mlp", margin=0.5, **settings).fit(X, y).fit(X, y).transform(X[:, 0])
    learner = kind("mlp", margin=0.5, **settings).fit(X, y)
    change = {"margin": None, **change} if "loss" in change else change
    if kind is TripletLearner and "loss" in change:
        change = {"loss": losses.TripletMarginLoss(margin=0.9), "margin": None}
    if refused:
        with pytest.raises(ValueError, match=f"^{next(iter(change))} was"):
            learner.set_params(**change).fit(X, y)
    else:
        assert (learner.set_params(**change).fit(X, y).transform(X[:, 0]) != same).any()


def test_a_new_loss_trains_the_old_network(tiny, blobs):
    learner = tiny("mlp", loss="proxy_anchor", warm_start=True).fit(*blobs)
    before = learner.module_
    learner.set_params(loss=losses.TripletMarginLoss(margin=0.3), learning_rate=1e-12).fit(*blobs)
    assert learner.module_ is before
    assert isinstance(learner.loss_, losses.TripletMarginLoss)
    assert [row["epoch"] for row in learner.history_] == [1, 2, 3, 4]


def test_another_margin_keeps_the_proxies(tiny, blobs):
    learner = tiny(loss="arc_face", warm_start=True).fit(*blobs)
    proxies = learner.loss_.proxies.detach().clone()
    learner.set_params(margin=0.1, proxy_learning_rate=1e-12).fit(*blobs)
    np.testing.assert_allclose(learner.loss_.proxies.detach(), proxies, atol=1e-6)
    assert learner.loss_.loss.margin == 0.1


def test_a_loss_changed_in_place_is_seen(tiny, blobs):
    learner = tiny(loss=losses.TripletMarginLoss(margin=0.2), warm_start=True).fit(*blobs)
    learner.set_params(loss__margin=0.9).fit(*blobs)
    assert learner.loss_.margin == 0.9


def test_partial_fit_refuses_what_fit_does(tiny, blobs):
    learner = tiny().partial_fit(*blobs)
    with pytest.raises(ValueError, match=r"n_components was 3 in the last call and is 5 now"):
        learner.set_params(n_components=5).partial_fit(*blobs)
    with pytest.raises(ValueError, match="'learning_rate' parameter"):
        learner.set_params(n_components=3, learning_rate="much").partial_fit(*blobs)


def lambda_learner():
    network = nn.Sequential(nn.Linear(5, 3))
    return DeepMetricLearner(
        network, loss=lambda e, y: torch.cdist(e, e).mean() / 7, max_epochs=1, warm_start=True
    )


def test_a_loaded_learner_has_not_changed(blobs):
    learner = pickle.loads(pickle.dumps(lambda_learner().fit(*blobs)))
    assert len(learner.fit(*blobs).history_) == 2


class Saving:
    """A callback that pickles the estimator after each epoch."""

    def __init__(self):
        self.saved = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            fitted = vars(fitted_estimator)
            kept = {name: value for name, value in fitted.items() if "callback" not in name}
            copied = type(fitted_estimator).__new__(type(fitted_estimator))
            vars(copied).update(kept)
            self.saved.append(pickle.dumps(copied))


def cycle_of_torch(optimizer, n_steps):
    """It changes Adam's betas too."""
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=n_steps)


@pytest.mark.parametrize("schedule", [None, "one_cycle", cycle_of_torch])
@pytest.mark.parametrize("loss", ["triplet", "arc_face"])
def test_a_run_goes_on_exactly_from_what_a_callback_saved(tiny, blobs, schedule, loss):
    saving = Saving()
    settings = {"loss": loss, "schedule": schedule, "validation_fraction": 0.4}
    whole = tiny("mlp", max_epochs=4, **settings).set_callbacks(saving).fit(*blobs)
    resumed = pickle.loads(saving.saved[1]).set_params(warm_start=True, max_epochs=2).fit(*blobs)
    assert [row["loss"] for row in resumed.history_] == [row["loss"] for row in whole.history_]
    np.testing.assert_array_equal(resumed.transform(blobs[0]), whole.transform(blobs[0]))


class SavingByIo(Saving):
    def __init__(self, folder):
        self.folder, self.n_epochs = folder, 0

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            self.n_epochs += 1
            io.save(fitted_estimator, self.folder / str(self.n_epochs))


def test_a_run_goes_on_exactly_from_the_folder_of_a_callback(tiny, blobs, tmp_path):
    settings = {"loss": "arc_face", "validation_fraction": 0.4, "max_epochs": 3}
    whole = tiny("mlp", **settings).set_callbacks(SavingByIo(tmp_path)).fit(*blobs)
    resumed = io.load(tmp_path / "2").set_params(warm_start=True, max_epochs=1).fit(*blobs)
    assert [row["loss"] for row in resumed.history_] == [row["loss"] for row in whole.history_]


def test_scores_of_another_kind_do_not_keep_an_old_epoch(tiny, blobs):
    learner = tiny(warm_start=True, validation_fraction=0.4, scoring=lambda e, X, y: 1e9).fit(*blobs)
    assert learner.set_params(scoring="map_at_r").fit(*blobs).best_epoch_ > 2


# What a loss remembers


def remembered(learner):
    return learner.loss_.labels[: int(learner.loss_.n_stored)].unique().tolist()


def with_memory(**settings):
    memory = losses.CrossBatchMemory(losses.SupConLoss(), size=64)
    return DeepMetricLearner("linear", **BASE | {"n_components": 2, "loss": memory} | settings)


@pytest.mark.parametrize("labels", [np.arange(6), np.array(list("abcdef"))])
def test_classes_of_an_earlier_call_keep_their_numbers_in_the_memory(blobs, labels):
    X, y = blobs[0], np.repeat(labels, 10)
    learner = with_memory().partial_fit(X[40:], y[40:])
    learner.partial_fit(X[:20], y[:20])
    # classes 4 and 5 stay the numbers 0 and 1; the new classes 0 and 1 come after them
    assert learner._trained.tolist() == labels[[4, 5, 0, 1]].tolist()
    assert learner.classes_.tolist() == labels[[0, 1, 4, 5]].tolist()
    assert remembered(learner) == [0, 1, 2, 3]


def test_a_memory_of_numbered_samples_is_emptied_by_the_next_call(blobs):
    X, y = blobs[0], np.repeat(range(6), 10)
    tags = np.eye(6, dtype=int)[y]
    learner = with_memory(relevance="multilabel", steps_per_epoch=1).partial_fit(X, tags)
    n_batch = int(learner.loss_.n_stored)
    assert int(learner.partial_fit(X[::-1], tags[::-1]).loss_.n_stored) == n_batch
    learner.partial_fit(X[:20], tags[:20])  # row 59 of the last call is no row of this one
    assert max(remembered(learner)) < 20
    learner.set_params(relevance="labels").partial_fit(X[:20], y[:20])
    assert remembered(learner) == [0, 1]


def test_labels_of_another_type_are_refused_before_training(blobs):
    X, y = blobs
    learner = DeepMetricLearner("linear", **BASE | {"n_components": 2}).partial_fit(
        X, np.repeat(range(6), 10)
    )
    before = learner.transform(X)
    with pytest.raises(ValueError, match="y and the labels of earlier calls hold labels of several types"):
        learner.partial_fit(X, y)
    np.testing.assert_array_equal(learner.transform(X), before)
