import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skmetric.deep import DeepMetricLearner, losses
from skmetric.deep._training._loss._criterion import loss_names
from skmetric.deep._training._optim import constant, cosine, one_cycle, warmup
from skmetric.exceptions import CollapseWarning, DivergenceWarning, StuckLossWarning, TrainingWarning
from skmetric.metrics import RetrievalScorer
from skmetric.model_selection import ClassDisjointKFold

TWO_VIEWS = ("barlow_twins", "clip", "sig_lip", "sim_clr", "vicreg")


class Recorder:
    """A callback that writes down what it is told and stops after some epochs."""

    def __init__(self, stop_after=None, act=None):
        self.stop_after, self.act, self.tasks, self.widths = stop_after, act, [], []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(f"begin {context.task_name} {context.task_id}")
        if self.act is not None:
            self.act(context)

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.tasks.append(f"end {context.task_name} {context.task_id}")
        self.widths.append(fitted_estimator.transform(X).shape)
        return self.stop_after is not None and context.task_id + 1 >= self.stop_after


# Callbacks


def test_an_epoch_is_a_task(tiny, blobs):
    recorder = Recorder()
    tiny(max_epochs=2).set_callbacks(recorder).fit(*blobs)
    epochs = ["begin epoch 0", "end epoch 0", "begin epoch 1", "end epoch 1"]
    assert recorder.tasks == ["setup", "begin fit 0", *epochs, "end fit 0", "teardown"]
    assert recorder.widths == [(60, 3)] * 3


def test_a_callback_stops_training(tiny, blobs):
    learner = tiny(max_epochs=9).set_callbacks(Recorder(stop_after=3)).fit(*blobs)
    assert len(learner.history_) == 3


def test_scoring_monitor_sees_each_epoch(tiny, blobs):
    monitor = ScoringMonitor(scoring=RetrievalScorer("map_at_r", "recall_at_1"))
    learner = tiny(max_epochs=3).set_callbacks(monitor).fit(*blobs)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 3
    assert rows[-1]["map_at_r"] == pytest.approx(learner.score(*blobs))


def test_the_progress_bar_of_scikit_learn_counts_epochs(tiny, blobs, capsys):
    tiny(max_epochs=3).set_callbacks(ProgressBar()).fit(*blobs)
    assert "DeepMetricLearner - fit" in capsys.readouterr().out
    search = GridSearchCV(tiny(), {"margin": [0.1, 0.2]}, cv=ClassDisjointKFold(2)).set_callbacks(
        ProgressBar()
    )
    search.fit(*blobs)
    out = capsys.readouterr().out
    assert "GridSearchCV - fit" in out
    assert "DeepMetricLearner - fit" in out


def test_callbacks_reach_through_pipeline_and_search(tiny, blobs):
    recorder = Recorder()
    recorder.max_propagation_depth = None
    pipeline = make_pipeline(StandardScaler(), tiny(max_epochs=1))
    search = GridSearchCV(
        pipeline, {"deepmetriclearner__margin": [0.1]}, cv=ClassDisjointKFold(2), refit=False
    )
    search.set_callbacks(recorder)
    recorder.on_fit_task_end = lambda estimator, context: recorder.tasks.append(context.task_name) or False
    search.fit(*blobs)
    assert recorder.tasks.count("epoch") == 2


# Validation


def test_the_network_is_left_in_evaluation_mode(tiny, blobs):
    X, y = blobs
    learner = tiny().fit(X, y)
    assert not any(part.training for part in learner.module_.modules())
    assert not any(part.training for part in learner.partial_fit(X, y).module_.modules())


def test_classes_held_out_are_not_trained_on_and_the_best_epoch_is_kept(tiny, blobs):
    X, y = blobs
    learner = tiny("mlp", max_epochs=4, validation_fraction=0.3, learning_rate=0.01).fit(X, y)
    assert len(learner.validation_classes_) == 2  # 0.3 of 6, rounded up
    scores = [row["validation_map_at_r"] for row in learner.history_]
    assert learner.best_epoch_ == 1 + int(np.argmax(scores))
    held_out = np.isin(y, learner.validation_classes_)
    assert learner.score(X[held_out], y[held_out]) == pytest.approx(max(scores))


def test_early_stopping_waits_for_patience(tiny, blobs):
    # nothing changes: the learning rate is as good as zero
    learner = tiny(max_epochs=9, early_stopping=True, patience=3, learning_rate=1e-12)
    with pytest.warns(StuckLossWarning):
        learner.fit(*blobs)
    assert len(learner.history_) == 3
    assert learner.best_epoch_ == 0  # the untrained network is as good


def test_scoring_by_several_names_or_a_scorer(tiny, blobs):
    names = tiny(max_epochs=1, validation_fraction=0.5, scoring=["recall_at_1", "map_at_r"]).fit(*blobs)
    assert {"validation_recall_at_1", "validation_map_at_r"} <= names.history_[0].keys()
    own = tiny(max_epochs=1, validation_fraction=0.5, scoring=lambda e, X, y: e.transform(X).shape[1])
    assert own.fit(*blobs).history_[0]["validation_score"] == 3


# Going on


@pytest.mark.parametrize("loss", ["multi_similarity", "proxy_anchor"])
@pytest.mark.parametrize("validation_fraction", [0.0, 0.4])
def test_warm_start_is_exact(tiny, blobs, loss, validation_fraction):
    X, y = blobs
    settings = {"loss": loss, "validation_fraction": validation_fraction, "warm_start": True}
    once = tiny("mlp", max_epochs=4, **settings).fit(X, y)
    twice = tiny("mlp", max_epochs=2, **settings).fit(X, y).fit(X, y)
    assert [row["loss"] for row in twice.history_] == [row["loss"] for row in once.history_]
    assert twice.best_epoch_ == once.best_epoch_
    np.testing.assert_array_equal(twice.transform(X), once.transform(X))


def jitter(rows):
    return rows + 0.1 * torch.randn_like(rows)


REMEMBER = [  # or draw something between batches
    pytest.param(losses.ArcFaceLoss(sampled_classes=4), id="sampled classes"),
    pytest.param(losses.CrossBatchMemory(losses.ContrastiveLoss()), id="cross-batch memory"),
]


@pytest.mark.parametrize("loss", [*sorted(loss_names()), *REMEMBER])
def test_each_loss_goes_on_exactly_from_a_pickle(tiny, blobs, loss):
    X, y = blobs
    batches = {"augment": ["two_views", jitter]} if str(loss) in TWO_VIEWS else {"classes_per_batch": 4}
    distance = "poincare" if str(loss) == "hyperbolic_info_nce" else "euclidean"
    settings = {"loss": loss, "distance": distance, **batches}
    once = tiny("mlp", max_epochs=2, **settings).fit(X, y)
    half = tiny("mlp", max_epochs=1, warm_start=True, **settings).fit(X, y)
    again = pickle.loads(pickle.dumps(half)).fit(X, y)
    assert [row["loss"] for row in again.history_] == [row["loss"] for row in once.history_]
    np.testing.assert_array_equal(again.transform(X), once.transform(X))


def test_warm_start_takes_the_new_learning_rate(tiny, blobs):
    X, y = blobs
    learner = tiny(warm_start=True).fit(X, y)
    before = learner.transform(X)
    moved = learner.set_params(learning_rate=1e-12).fit(X, y).transform(X)
    np.testing.assert_allclose(moved, before, atol=1e-6)


def test_without_warm_start_fit_begins_anew(tiny, blobs):
    X, y = blobs
    learner = tiny().fit(X, y)
    first = learner.transform(X)
    np.testing.assert_array_equal(learner.fit(X, y).transform(X), first)
    assert len(learner.history_) == 2


class Telling:
    """A loss that tells what share of its tuples is active."""

    def __call__(self, embeddings, labels):
        self.active_share_ = 0.25
        return torch.cdist(embeddings, embeddings).mean()


def test_active_share_is_noted_where_a_loss_tells(tiny, blobs):
    assert tiny(loss=Telling()).fit(*blobs).history_[0]["active_share"] == 0.25
    assert np.isnan(tiny(loss="nt_xent").fit(*blobs).history_[0]["active_share"])


# What goes wrong


class BrokenAfter:
    """A loss that is NaN from some call on."""

    def __init__(self, n_calls):
        self.n_calls = n_calls

    def __call__(self, embeddings, labels):
        self.n_calls -= 1
        value = torch.cdist(embeddings, embeddings).mean()
        return value if self.n_calls >= 0 else value * torch.nan


def test_divergence_keeps_the_last_good_state(tiny, blobs):
    X, y = blobs
    settings = {"steps_per_epoch": 2, "normalize": False}
    good = tiny(loss=BrokenAfter(99), max_epochs=2, **settings).fit(X, y)
    with pytest.warns(DivergenceWarning, match=r"epoch 3\. Training stopped and the state after epoch 2"):
        learner = tiny(loss=BrokenAfter(5), max_epochs=5, **settings).fit(X, y)
    assert len(learner.history_) == 2
    np.testing.assert_array_equal(learner.transform(X), good.transform(X))
    with pytest.warns(DivergenceWarning, match=r"the untrained network was kept"):
        learner = tiny(loss=BrokenAfter(0), **settings).fit(X, y)
    assert np.isfinite(learner.transform(X)).all()


def test_weights_that_overflow_are_divergence(tiny, blobs):
    with pytest.warns(DivergenceWarning):
        learner = tiny("mlp", optimizer="sgd", learning_rate=1e38, normalize=False).fit(*blobs)
    assert np.isfinite(learner.transform(blobs[0])).all()


def test_interrupt_leaves_a_fitted_estimator(tiny, blobs):
    def interrupt(context):
        if context.task_name == "epoch" and context.task_id == 2:
            raise KeyboardInterrupt

    learner = tiny(max_epochs=9).set_callbacks(Recorder(act=interrupt))
    with pytest.warns(UserWarning, match=r"interrupted in epoch 3: the network is usable"):
        learner.fit(*blobs)
    assert len(learner.history_) == 2
    np.testing.assert_array_equal(learner.transform(blobs[0]), tiny().fit(*blobs).transform(blobs[0]))


def test_interrupt_inside_an_epoch_keeps_the_weights_of_now(tiny, blobs):
    calls = []

    def loss(embeddings, labels):
        calls.append(len(calls))
        if len(calls) == 4:  # the second step of the second epoch
            raise KeyboardInterrupt
        return torch.cdist(embeddings, embeddings).mean()

    state = torch.get_rng_state()
    with pytest.warns(UserWarning, match=r"interrupted in epoch 2"):
        learner = tiny(loss=loss, steps_per_epoch=2, normalize=False).fit(*blobs)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(learner.history_) == 1
    assert np.isfinite(learner.transform(blobs[0])).all()


def test_collapse_is_reported(tiny, blobs):
    def pull_together(embeddings, labels):
        return torch.cdist(embeddings, embeddings).mean()

    with pytest.warns(CollapseWarning, match=r"the embeddings collapsed: after epoch 30"):
        tiny("mlp", loss=pull_together, max_epochs=30, learning_rate=0.1).fit(*blobs)


def test_a_loss_that_does_not_move_is_reported(tiny, blobs):
    def still(embeddings, labels, margin=0.2):
        return margin + 0 * embeddings.sum()

    with pytest.warns(StuckLossWarning, match=r"does not move: 0.2 in epoch 1, 0.2 in epoch 4"):
        tiny(loss=still, max_epochs=4).fit(*blobs)
    assert issubclass(StuckLossWarning, TrainingWarning)


def test_good_training_warns_of_nothing(tiny, blobs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny("mlp", max_epochs=5).fit(*blobs)


# Settings


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", torch.optim.RMSprop])
@pytest.mark.parametrize("schedule", [None, "cosine", "one_cycle", "warmup"])
def test_optimizers_and_schedules_train(tiny, blobs, optimizer, schedule):
    settings = {"optimizer": optimizer, "schedule": schedule, "clip_norm": 1.0, "weight_decay": 1e-4}
    history = tiny(max_epochs=4, loss="proxy_anchor", **settings).fit(*blobs).history_
    assert history[-1]["loss"] < history[0]["loss"]


def test_schedules_by_hand():
    assert [constant(share) for share in (0, 1)] == [1, 1]
    assert [cosine(share) for share in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
    assert [warmup(share) for share in (0.05, 0.1, 1)] == pytest.approx([0.5, 1, 1])
    assert [one_cycle(share) for share in (0, 0.3, 1)] == pytest.approx([1 / 25, 1, 1e-4])


def test_augment_sees_floats_while_training_only(tiny, pictures):
    seen = []

    def augment(batch):
        seen.append((batch.dtype, batch.shape[1:], float(batch.max()) <= 1))
        return batch + 0.01 * torch.randn_like(batch)

    X, y = pictures
    learner = tiny("conv4", augment=augment, max_epochs=1, steps_per_epoch=2).fit(X, y)
    learner.transform(X)
    assert seen == [(torch.float32, (3, 8, 8), True)] * 2


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_gives_float32(tiny, blobs, precision):
    learner = tiny("mlp", precision=precision).fit(*blobs)
    assert learner.transform(blobs[0]).dtype == np.float32
    assert next(learner.module_.parameters()).dtype == torch.float32


def test_frozen_weights_stay(tiny, blobs):
    network = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    network[0].requires_grad_(False)
    learner = tiny(network).fit(*blobs)
    assert torch.equal(learner.module_[0][0].weight, network[0].weight)
    with pytest.raises(ValueError, match=r"no weights to train"):
        DeepMetricLearner(network[0], n_components=None).fit(*blobs)
