"""Weights of samples and of classes: how often they are drawn."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

from skmetric import DeepMetricLearner
from skmetric.deep.samplers import BalancedBatchSampler
from skmetric.deep.samplers._weighted import draw_distinct

RNG = np.random.default_rng(0)
Y = np.repeat(["a", "b", "c", "d"], 8)
X = np.hstack([np.eye(4)[np.repeat(range(4), 8)], RNG.normal(size=(32, 3))])


def quick(**settings):
    defaults = {"module": "linear", "n_components": 2, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    return DeepMetricLearner(**(defaults | settings))


def counts(weights, n_classes=2, n_each=2, steps=600):
    sampler = BalancedBatchSampler(Y, n_classes, n_each, steps_per_epoch=steps, weights=weights)
    return np.array(list(sampler)), steps


def test_a_sample_of_weight_2_is_drawn_twice_as_often_in_its_class():
    weights = np.ones(32)
    weights[:4] = 2
    batches, _ = counts(weights)
    drawn = np.bincount(batches.ravel(), minlength=32)
    assert drawn[:4].mean() / drawn[4:8].mean() == pytest.approx(2, rel=0.1)


def test_classes_are_drawn_in_proportion_to_their_mean_weight():
    weights = compute_sample_weight({"a": 0.5, "b": 1, "c": 1.5, "d": 1}, Y)
    batches, steps = counts(weights)
    share = np.array([(Y[batches] == label).any(axis=1).mean() for label in "abcd"])
    np.testing.assert_allclose(share, 2 * np.array([0.5, 1, 1.5, 1]) / 4, atol=0.07)  # 2 of 4 classes a batch
    assert len(batches) == steps


def test_no_sample_comes_twice_in_a_batch_that_can_have_others():
    weights = np.ones(32)
    weights[0] = 1000
    batches, _ = counts(weights, n_classes=4, n_each=3, steps=50)
    assert all(len(set(batch)) == 12 for batch in batches.tolist())
    assert all(0 in batch for batch in batches.tolist())


def test_chances_by_hand():
    drawn = np.array(
        [np.bincount(draw_distinct(np.array([6.0, 1, 1, 2, 0]), 2, RNG), minlength=5) for _ in range(1500)]
    )
    # two of four: 6 of 10 would come 1.2 times, so once for sure; one more of weights 1, 1 and 2
    np.testing.assert_allclose(drawn.mean(0), [1, 0.25, 0.25, 0.5, 0], atol=0.05)


def test_equal_weights_change_nothing():
    plain, weighted = quick().fit(X, Y), quick().fit(X, Y, sample_weight=np.full(32, 0.1))
    np.testing.assert_array_equal(plain.transform(X), weighted.transform(X))


def test_weight_0_leaves_out_in_fit_and_partial_fit():
    kept = np.arange(32) % 4 > 0
    for name in ("fit", "partial_fit"):
        left_out = getattr(quick(), name)(X, Y, sample_weight=kept.astype(float))
        fewer = getattr(quick(), name)(X[kept], Y[kept])
        np.testing.assert_array_equal(left_out.transform(X), fewer.transform(X))


def test_weights_go_with_the_classes_that_are_trained_on():
    y = np.repeat(np.arange(20), 4)
    rows = np.random.default_rng(0).normal(size=(80, 3))
    learner = quick(validation_fraction=0.25).fit(rows, y, sample_weight=1.0 + y)
    assert len(learner.validation_classes_) == 5
    assert learner.refit_history_ == []


def test_weights_of_samples_with_two_views():
    noise = ["two_views", lambda batch: batch + 0.1]
    assert quick(augment=noise, loss="sim_clr").fit(X, sample_weight=np.arange(32.0)).history_


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(31), r"shape \(32,\), a number for each of the samples"),
        (-np.ones(32), r"sample_weight\[0\] is -1"),
        (np.zeros(32), "zero for all"),
        (np.r_[np.ones(8), np.zeros(24)], "one class only"),
    ],
)
def test_wrong_weights_are_named(weights, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(X, Y, sample_weight=weights)
