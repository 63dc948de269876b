"""Pairs and triplets as row numbers, with several negatives, as paths of images, and with weights."""

import numpy as np
import pytest
import torch
from PIL import Image

from skmetric._pair_threshold import choose_threshold
from skmetric.deep import SiameseLearner, TripletLearner
from skmetric.deep._data._tuple_batches import TupleBatches
from skmetric.deep._data._tuples import ABSENT, read_tuples
from skmetric.deep._training._loss._tuple_loss import TupleLoss
from skmetric.deep.losses import NTXentLoss, TripletMarginLoss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
PAIRS = np.array([RNG.choice(40, 2, replace=False) for _ in range(30)])
SAME = np.arange(30) % 2
TUPLES = np.array([RNG.choice(40, 5, replace=False) for _ in range(30)])


def quick(kind, **settings):
    defaults = {"module": "linear", "n_components": 2, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    return kind(**(defaults | settings))


def same_bits(first, second):
    np.testing.assert_array_equal(first.transform(X), second.transform(X))


# Row numbers


def test_row_numbers_give_the_bits_of_an_array_of_pairs():
    by_index = quick(SiameseLearner).fit(X, SAME, pairs=PAIRS)
    by_array = quick(SiameseLearner).fit(X[PAIRS], SAME)
    same_bits(by_index, by_array)
    assert by_index.threshold_ == pytest.approx(by_array.threshold_)
    np.testing.assert_array_equal(by_index.predict(X, pairs=PAIRS), by_array.predict(X[PAIRS]))
    assert by_index.score(X, SAME, pairs=PAIRS) == pytest.approx(by_array.score(X[PAIRS], SAME))


def test_row_numbers_give_the_bits_of_an_array_of_triplets():
    by_index = quick(TripletLearner).fit(X, triplets=TUPLES[:, :3])
    same_bits(by_index, quick(TripletLearner).fit(X[TUPLES[:, :3]]))
    np.testing.assert_allclose(
        by_index.decision_function(X, triplets=TUPLES[:, :3]), by_index.decision_function(X[TUPLES[:, :3]])
    )


def test_no_row_is_copied_for_its_tuples():
    tuples = read_tuples(quick(SiameseLearner), X, PAIRS, 2, reset=True, trains=True)
    assert np.shares_memory(tuples.samples.table, X)


def test_partial_fit_takes_row_numbers():
    learner = quick(SiameseLearner).partial_fit(X, SAME, pairs=PAIRS).partial_fit(X, SAME, pairs=PAIRS[::-1])
    assert len(learner.history_) == 2


def test_held_out_pairs_share_no_row_with_others():
    chain = np.arange(40).reshape(20, 2)
    assert quick(SiameseLearner).fit(X, np.arange(20) % 2, pairs=chain).validation_disjoint_
    star = np.column_stack([np.zeros(20, dtype=int), np.arange(1, 21)])
    assert not quick(SiameseLearner).fit(X, np.arange(20) % 2, pairs=star).validation_disjoint_


# Several negatives


def test_negatives_of_an_anchor_by_hand():
    embeddings = torch.tensor([0.0, 0.1, 0.2, 5.0, 0.0, 0.3, 0.4, 0.0])[:, None]
    codes = torch.tensor([0, 0, 0, 0, 0, 0, 0, ABSENT])
    value = TupleLoss(TripletMarginLoss(margin=0.2, average="all"), 4)(embeddings, codes)
    # tuple 0: .2 + .1 - .2 = .1 and [.2 + .1 - 5]+ = 0; tuple 1: .2 + .3 - .4 = .1; the last is not there
    assert value.item() == pytest.approx((0.1 + 0.0 + 0.1) / 3)


def test_the_nearest_negative_decides():
    learner = quick(TripletLearner).fit(X, triplets=TUPLES)
    E = learner.transform(X).astype(float)
    near, *far = (np.linalg.norm(E[TUPLES[:, 0]] - E[TUPLES[:, k]], axis=1) for k in range(1, 5))
    decision = learner.decision_function(X, triplets=TUPLES)
    np.testing.assert_allclose(decision, np.min(far, axis=0) - near, atol=1e-6)
    assert learner.score(X, triplets=TUPLES) == np.mean(decision > 0)


def test_what_fills_up_changes_nothing():
    filled = np.column_stack([TUPLES[:, :3], np.full((30, 2), -1)])
    same_bits(
        quick(TripletLearner).fit(X, triplets=filled), quick(TripletLearner).fit(X, triplets=TUPLES[:, :3])
    )


def test_a_loss_that_compares_all_negatives_at_once():
    embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])  # cosines .8, .6, 0
    value = TupleLoss(NTXentLoss(temperature=1.0), 4)(embeddings, torch.zeros(4, dtype=torch.int64))
    assert value.item() == pytest.approx(-np.log(np.exp(0.8) / (np.exp(0.8) + np.exp(0.6) + 1)), abs=1e-6)


# Images


@pytest.fixture
def paths(tmp_path):
    files = [tmp_path / f"{i}.png" for i in range(9)]
    for i, file in enumerate(files):
        Image.fromarray(RNG.integers(0, 256, (8 + i, 8, 3), dtype=np.uint8)).save(file)
    return files


IMAGES = {"module": "conv4", "n_components": None, "max_epochs": 1, "image_size": 8}


def test_paths_in_tuples_are_those_of_row_numbers(paths):
    members, same = RNG.permutation(36).reshape(18, 2) % 9, np.arange(18) % 2
    members[:, 1] = (members[:, 0] + 1 + members[:, 1] % 8) % 9
    learner = quick(SiameseLearner, **IMAGES).fit(paths, same, pairs=members)
    listed = [[paths[i] for i in pair] for pair in members]
    np.testing.assert_allclose(
        learner.decision_function(listed), learner.decision_function(paths, pairs=members), atol=1e-6
    )
    again = quick(SiameseLearner, **IMAGES).fit(np.array(listed, dtype=str), same)
    assert again.predict(listed).shape == (18,)


def test_tuples_of_images_with_different_numbers_of_negatives(paths):
    listed = [tuple(paths[:3]), tuple(paths[3:9])]
    learner = quick(TripletLearner, **IMAGES).fit(listed)
    opened = [[Image.open(path) for path in members] for members in listed]
    np.testing.assert_allclose(
        learner.decision_function(opened), learner.decision_function(listed), atol=1e-6
    )


# Weights


def test_weights_say_how_often_a_tuple_is_drawn():
    weights = np.array([1.0, 2.0, 0.5, 0.5])
    counts = np.zeros(4)
    for epoch in range(200):
        batches = TupleBatches(4, 2, 2, seed=0, weights=weights)
        batches.set_epoch(epoch)
        places = np.concatenate([batch[::2] for batch in batches]) // 2
        assert len(places) == 4
        counts += np.bincount(places, minlength=4)
    np.testing.assert_allclose(counts / 200, weights, atol=0.08)


def test_equal_weights_change_nothing_and_weight_0_leaves_out():
    plain = quick(SiameseLearner, validation_fraction=0).fit(X, SAME, pairs=PAIRS[:30])
    same_bits(
        quick(SiameseLearner, validation_fraction=0).fit(X, SAME, pairs=PAIRS, sample_weight=[3.0] * 30),
        plain,
    )
    weighted = quick(SiameseLearner).fit(X, SAME, pairs=PAIRS, sample_weight=[1.0] * 20 + [0.0] * 10)
    fewer = quick(SiameseLearner).fit(X, SAME[:20], pairs=PAIRS[:20])
    same_bits(weighted, fewer)
    assert weighted.threshold_ == fewer.threshold_


def test_scores_and_thresholds_count_by_weight():
    distances, similar = np.array([0.1, 0.2, 0.3, 0.4]), np.array([True, False, True, False])
    repeated = [0, 1, 2, 2, 2, 3]
    weighted = choose_threshold(distances, similar, weights=np.array([1.0, 1.0, 3.0, 1.0]))
    assert weighted == choose_threshold(distances[repeated], similar[repeated])
    learner, weights = quick(TripletLearner).fit(X, triplets=TUPLES), np.ones(30)
    weights[:10] = 2
    twice = np.concatenate([TUPLES, TUPLES[:10]])
    assert learner.score(X, triplets=TUPLES, sample_weight=weights) == pytest.approx(
        learner.score(X, triplets=twice)
    )


# Bad input


@pytest.mark.parametrize(
    ("triplets", "message"),
    [
        (np.where(TUPLES[3, 4] == TUPLES, 40, TUPLES), r"names row 40, and X has the rows 0 to 39"),
        (np.where(np.arange(5) >= 2, -1, TUPLES), r"triplets\[0\] has no negative"),
        (np.where(np.arange(5) == 1, -1, TUPLES), r"triplets\[0\] names row -1"),
        (TUPLES[:, [0, 1, 2, 1]], "has the positive among the negatives"),
        (TUPLES[:, [0, 0, 2]], "compares a row with itself"),
        ([[0, 1, 2], [0, 1, 2, 3]], "fill the shorter ones with -1"),
        (TUPLES.astype(float), "dtype float64"),
        (TUPLES[:, :2], r"\(n_triplets, 3\)"),
    ],
)
def test_wrong_row_numbers_are_named(triplets, message):
    with pytest.raises(ValueError, match=message):
        quick(TripletLearner).fit(X, triplets=triplets)


def test_tuples_and_row_numbers_together_are_refused():
    with pytest.raises(ValueError, match="pass X alone"):
        quick(SiameseLearner).fit(X[PAIRS], SAME, pairs=PAIRS)
    with pytest.raises(ValueError, match="pairs=, an integer array of row numbers"):
        quick(SiameseLearner).fit(X, SAME)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(29), r"shape \(30,\)"),
        (np.full(30, -1.0), r"sample_weight\[0\] is -1"),
        (np.r_[np.ones(29), np.nan], r"sample_weight\[29\] is nan"),
        (np.zeros(30), "zero for all"),
        (["a"] * 30, "a number for each of the 30 pairs"),
    ],
)
def test_wrong_weights_are_named(weights, message):
    with pytest.raises(ValueError, match=message):
        quick(SiameseLearner).fit(X, SAME, pairs=PAIRS, sample_weight=weights)


def test_lists_of_images_of_another_length_are_named(paths):
    with pytest.raises(ValueError, match="row 1 has 3"):
        quick(SiameseLearner, **IMAGES).fit([paths[:2], paths[2:5]], [0, 1])


def test_colour_images_with_the_channels_first_are_rows_of_triplets():
    images = RNG.integers(256, size=(8, 3, 16, 16), dtype=np.uint8)
    triplets = [[0, 1, 2], [3, 4, 5], [6, 7, 0]]
    learner = quick(TripletLearner, module="conv4", max_epochs=1, channel_axis="first")
    learner.fit(images, triplets=triplets)
    assert learner.predict(images, triplets=triplets).shape == (3,)


@pytest.mark.parametrize(("left", "kind"), [(1, "not similar"), (0, "similar")])
def test_weights_that_leave_one_kind_of_pairs_are_refused(left, kind):
    weights = (left == SAME).astype(float)
    match = f"leaves out all pairs that are {kind}:"
    with pytest.raises(ValueError, match=match):
        quick(SiameseLearner).fit(X, SAME, pairs=PAIRS, sample_weight=weights)
    with pytest.raises(ValueError, match=match):
        quick(SiameseLearner).fit(X, SAME, pairs=PAIRS).score(X, SAME, pairs=PAIRS, sample_weight=weights)


@pytest.mark.parametrize("kind", [SiameseLearner, TripletLearner])
def test_scores_depend_on_the_ratios_of_weights_alone(kind):
    given = {"pairs": PAIRS} if kind is SiameseLearner else {"triplets": TUPLES}
    y, weights = SAME if kind is SiameseLearner else None, RNG.random(30)
    learner = quick(kind).fit(X, y, **given)
    expected = learner.score(X, y, sample_weight=weights, **given)
    # sums of the large ones are infinite
    for factor in (1e308, 1e-300):
        assert learner.score(X, y, sample_weight=factor * weights, **given) == pytest.approx(expected)
