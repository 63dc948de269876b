"""The recipe for pretrained networks, and schedules of torch."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.optim.lr_scheduler import ExponentialLR, OneCycleLR, ReduceLROnPlateau, StepLR

from skmetric.deep import DeepMetricLearner, FineTuning


def trunk():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Sequential(nn.Linear(4, 4), nn.ReLU()))


@pytest.fixture
def tune(blobs):
    """Fit a trunk and a map behind it with a recipe; three batches of an epoch."""

    def fit(recipe=None, *, module=None, **settings):
        settings = {"n_components": 3, "pooling": None, "max_epochs": 1, "steps_per_epoch": 3} | settings
        module = (lambda shape: nn.Sequential(trunk(), nn.Linear(4, 3))) if module is None else module
        learner = DeepMetricLearner(
            module, fine_tuning=recipe, random_state=0, device="cpu", loss="triplet", **settings
        )
        return learner.fit(*blobs)

    return fit


def weights(learner, name):
    return learner.module_.trunk.state_dict()[name].numpy()


def before(name):
    return nn.Sequential(trunk()).state_dict()[name].numpy()


def test_frozen_batch_norm_keeps_weights_and_statistics(tune):
    learner = tune(FineTuning(freeze_batch_norm=True))
    np.testing.assert_array_equal(weights(learner, "0.1.running_mean"), before("0.1.running_mean"))
    assert (weights(learner, "0.0.weight") != before("0.0.weight")).any()
    with pytest.raises(ValueError, match="freeze_batch_norm=True, but the network has no batch norm"):
        tune(FineTuning(freeze_batch_norm=True), module=lambda shape: nn.Linear(5, 3))


def test_layer_rates_are_factors(tune):
    rates = {"0": 1e-9, "0.2": 1.0}  # the longest name counts
    learner = tune(FineTuning(layer_rates=rates), optimizer="sgd", learning_rate=0.1)
    np.testing.assert_allclose(weights(learner, "0.0.weight"), before("0.0.weight"), atol=1e-7)
    assert np.abs(weights(learner, "0.2.0.weight") - before("0.2.0.weight")).max() > 1e-4
    same = tune(FineTuning(layer_rates={"trunk": 0.5}), learning_rate=0.02)
    np.testing.assert_allclose(
        weights(same, "0.0.weight"), weights(tune(learning_rate=0.01), "0.0.weight"), rtol=1e-6
    )


def test_unfreezing_begins_behind(tune):
    recipe = FineTuning(unfreeze_epochs=2)
    learner = tune(recipe, warm_start=True, learning_rate=0.01)  # of the two parts none trains, but the last
    np.testing.assert_array_equal(weights(learner, "0.0.weight"), before("0.0.weight"))
    assert all(weight.requires_grad for weight in learner.module_.parameters())
    later = tune(recipe, max_epochs=3, learning_rate=0.01)
    assert (weights(later, "0.0.weight") != before("0.0.weight")).any()
    with pytest.raises(ValueError, match="unfreeze_epochs=2 with max_epochs=2"):
        tune(recipe, max_epochs=2)


def test_accumulated_batches_make_one_step(tune):
    counted = []

    class Counting(torch.optim.SGD):
        def step(self, closure=None):
            counted.append(1)
            return super().step(closure)

    tune(FineTuning(accumulate=2), optimizer=Counting)
    assert len(counted) == 2  # of three batches: two, and one that is left


def test_two_equal_batches_accumulated_are_one(tune):
    whole = {"classes_per_batch": 6, "samples_per_class": 10, "optimizer": "sgd", "module": nn.Linear(5, 3)}
    once = tune(steps_per_epoch=1, **whole)  # a batch is all samples, so two have the same gradient
    twice = tune(FineTuning(accumulate=2), steps_per_epoch=2, **whole)
    np.testing.assert_allclose(weights(twice, "weight"), weights(once, "weight"), atol=1e-6)


def test_the_average_lags_behind(tune):
    plain, averaged = tune(learning_rate=0.1), tune(FineTuning(ema=0.9), learning_rate=0.1)
    start = before("0.0.weight")
    moved = [np.abs(weights(learner, "0.0.weight") - start).sum() for learner in (averaged, plain)]
    assert 0 < moved[0] < moved[1]
    twice = tune(FineTuning(ema=0.9), warm_start=True)
    twice.fit(*_again(twice))
    once = tune(FineTuning(ema=0.9), max_epochs=2)
    np.testing.assert_array_equal(weights(twice, "0.0.weight"), weights(once, "0.0.weight"))


def _again(learner):
    rng = np.random.default_rng(0)
    y = np.repeat(list("abcdef"), 10)
    X = np.repeat(4 * rng.standard_normal((6, 5)), 10, axis=0) + rng.standard_normal((60, 5))
    return X.astype(np.float32), y


def test_warm_up_rises_to_the_rate(tune):
    # the first of three steps has a third of the rate, the second two thirds
    slow = tune(FineTuning(warm_up=1.0), optimizer="sgd", steps_per_epoch=1, learning_rate=0.1)
    assert (
        weights(slow, "0.0.weight")
        == weights(tune(optimizer="sgd", steps_per_epoch=1, learning_rate=0.1), "0.0.weight")
    ).all()  # one step: all of it is the rise, at its end
    third = tune(FineTuning(warm_up=1.0), optimizer="sgd", learning_rate=0.1)
    full = tune(optimizer="sgd", learning_rate=0.1)
    moved = [np.abs(weights(one, "0.0.weight") - before("0.0.weight")).sum() for one in (third, full)]
    assert moved[0] < moved[1]
    for schedule in ("one_cycle", "warmup", partial(StepLR, step_size=2)):
        with pytest.raises(ValueError, match=r"^fine_tuning.warm_up=0.1, but schedule="):
            tune(FineTuning(warm_up=0.1), schedule=schedule)


@pytest.mark.parametrize("loss", ["normalized_softmax", "soft_triple"])
def test_proxies_start_at_the_means_of_their_classes(tune, blobs, loss):
    settings = {"loss": loss, "learning_rate": 1e-12, "proxy_learning_rate": 1e-12}
    learner = DeepMetricLearner(
        nn.Linear(5, 3),
        fine_tuning=FineTuning(proxies="class_means"),
        random_state=0,
        max_epochs=1,
        **settings,
    ).fit(*blobs)
    embeddings = learner.transform(blobs[0])
    mean = embeddings[blobs[1] == "c"].mean(0)
    proxies = learner.loss_.proxies.detach().numpy().reshape(6, -1, 3)[2]
    cosines = proxies @ mean / np.linalg.norm(proxies, axis=1) / np.linalg.norm(mean)
    assert cosines.min() > (0.8 if loss == "soft_triple" else 0.9999)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (FineTuning(proxies="class_means"), "has no proxies: use a loss such as"),
        (FineTuning(layer_rates={"nothing": 0.1}), "layer_rates='nothing' is the beginning of no weight"),
        (FineTuning(layer_rates={"trunk": 0}), "factors above 0; got 'trunk': 0"),
        (FineTuning(ema=1.5), "ema"),
    ],
    ids=str,
)
def test_what_would_be_ignored_is_refused(tune, recipe, message):
    with pytest.raises(ValueError, match=message):
        tune(recipe)


@pytest.mark.parametrize("name", ["freeze_batch_norm", "layer_rates", "unfreeze_epochs"])
def test_the_closed_form_has_no_parts_to_tune(blobs, name):
    value = {"freeze_batch_norm": True, "layer_rates": {"trunk": 0.1}, "unfreeze_epochs": 1}[name]
    with pytest.raises(ValueError, match=rf"^fine_tuning.{name} is for the parts of a trunk"):
        DeepMetricLearner(fine_tuning=FineTuning(**{name: value})).fit(*blobs)


def test_the_recipe_is_a_parameter_like_others():
    learner = DeepMetricLearner(fine_tuning=FineTuning(ema=0.9)).set_params(fine_tuning__ema=0.5)
    assert clone(learner).get_params()["fine_tuning__ema"] == 0.5


def test_a_timm_name_has_the_recipe_of_fine_tuning(timm, pictures):
    X = np.kron(pictures[0], np.ones((1, 1, 4, 4), dtype=np.uint8))
    import skmetric.deep._recipe._defaults as defaults

    learner = DeepMetricLearner("test_resnet", weights=None, random_state=0)
    resolved = defaults.resolve_parameters(learner, X, goes_on=False, single=False)
    assert (resolved.learning_rate, resolved.default_batch) == (1e-3, (16, 64))
    learner.set_params(weights="pretrained")
    resolved = defaults.resolve_parameters(learner, X, goes_on=False, single=False)
    assert (resolved.learning_rate, resolved.default_batch) == (1e-4, (12, 48))
    assert resolved.freezes_batch_norm is None  # all that there are


# Schedules of torch


def test_a_scheduler_of_torch_sets_the_rates(tune):
    rates = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    tune(schedule=partial(ExponentialLR, gamma=0.5), optimizer=Watched, learning_rate=0.8)
    assert rates[-3:] == pytest.approx([0.8, 0.4, 0.2])


def test_a_scheduler_may_ask_for_the_number_of_steps(tune):
    seen = []

    def cycle(optimizer, n_steps):
        seen.append(n_steps)
        return OneCycleLR(optimizer, 1e-2, total_steps=n_steps)

    tune(schedule=cycle, max_epochs=2)
    assert set(seen) == {6}


def test_a_scheduler_that_looks_at_the_progress(tune):
    learner = tune(schedule=partial(ReduceLROnPlateau, patience=0, threshold=10.0), max_epochs=3)
    assert len(learner.history_) == 3
    with pytest.raises(ValueError, match="mode='max'"):
        tune(schedule=partial(ReduceLROnPlateau, mode="max"))


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (partial(OneCycleLR, max_lr=1e-2, total_steps=1), "OneCycleLR ends after 2 of 3 steps"),
        (StepLR, r"StepLR fails as schedule\(optimizer\)"),
        (lambda optimizer: None, "must return a scheduler"),
    ],
)
def test_a_scheduler_of_no_use_is_refused(tune, schedule, message):
    with pytest.raises(ValueError, match=message):
        tune(schedule=schedule)
