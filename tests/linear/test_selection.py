"""Choice of shrinkage on held-out classes."""

import numpy as np
import pytest

from skmetric import MetricLearner
from skmetric.base import unit_rows
from skmetric.linear._closed_form._whitening import whiten
from skmetric.linear._selection._candidates import (
    COSINE,
    EUCLIDEAN,
    Candidate,
    Offered,
    between_choices,
    check_shrinkage,
)
from skmetric.linear._selection._results import standard_error, surest
from skmetric.linear._selection._scoring import class_scores
from skmetric.linear._selection._selection import Choice, select
from skmetric.linear._selection._splits import MIN_CLASSES, Split, class_splits, distinct_rows
from skmetric.linear._selection._squares import Room, squared_distances, squares_scores

from .conftest import gaussian_classes


def choose(X, codes, *, weights=None, normalize=None, seed=0):
    families = (True, False) if normalize is None else (normalize,)
    offered = Offered("plda", families)
    return select(Choice(X, codes, codes.max() + 1, weights, offered, np.random.RandomState(seed)))


@pytest.mark.parametrize("n_classes", [4, 5, 15, 16, 40])
def test_splits_share_no_class(n_classes):
    X, codes = gaussian_classes(n_classes, 5, 3)
    splits = class_splits(X, codes, n_classes, None, np.random.RandomState(0))
    assert len(splits) == {4: 6, 5: 10, 15: 12}.get(n_classes, 4)  # all pairs of 4 and of 5 classes
    for split in splits:
        trained, held_out = set(codes[split.train]), set(split.held_out_codes)
        assert not trained & held_out
        assert trained | held_out == set(range(n_classes))
        assert len(held_out) >= 2
        assert split.train_codes.max() + 1 == len(trained)
        np.testing.assert_array_equal(split.held_out_codes, codes[split.held_out])
    if n_classes >= 16:  # folds: each class is held out once
        assert sorted(np.concatenate([np.unique(s.held_out_codes) for s in splits])) == list(range(n_classes))


@pytest.mark.parametrize("n_classes", [6, 8, 11])
def test_few_classes_are_held_out_as_often(n_classes):
    X, codes = gaussian_classes(n_classes, 5, 3)
    splits = class_splits(X, codes, n_classes, None, np.random.RandomState(0))
    times = np.bincount(np.concatenate([np.unique(split.held_out_codes) for split in splits]))
    assert np.ptp(times) <= 1 + n_classes % 2  # of an odd number, one class is left out of each turn
    assert len(times) == n_classes


def test_the_choice_on_five_classes_does_not_vary_with_the_seed():
    """All ten pairs of classes are held out, so no draw decides."""
    X, codes = gaussian_classes(5, 6, 5)
    (chosen, results), (other, others) = (choose(X, codes, normalize=True, seed=seed) for seed in (0, 1))
    assert other == chosen
    np.testing.assert_allclose(others["mean_test_score"], results["mean_test_score"])


def test_no_splits_of_few_classes():
    X, codes = gaussian_classes(MIN_CLASSES - 1, 5, 3)
    assert class_splits(X, codes, MIN_CLASSES - 1, None, np.random.RandomState(0)) == []


def test_rows_that_are_scored_are_bounded():
    X, codes = gaussian_classes(20, 300, 3)
    splits = class_splits(X, codes, 20, None, np.random.RandomState(0))
    assert sum(len(split.held_out) for split in splits) == 2000


def test_distinct_rows_by_hand():
    X = np.array([[1.0, 0.0], [3, 4], [1, -0.0], [1, 0], [3, 4]])
    codes = np.array([0, 0, 0, 1, 0])  # row 3 has the values of row 0, and another class
    rows, weights = distinct_rows(X, codes, np.array([1.0, 2, 3, 4, 5]), np.arange(5))
    np.testing.assert_array_equal(rows, [0, 1, 3])
    np.testing.assert_array_equal(weights, [1 + 3, 2 + 5, 4])


def test_score_of_a_class_by_hand():
    # on a line: a at 0, 1 and 3.5, b at 3 and 9. R is 2 for a and 1 for b
    embeddings, codes = np.array([[0.0], [1], [3.5], [3], [9]]), np.array([0, 0, 0, 1, 1])
    split = Split(None, None, None, codes, np.array([1.0, 1, 2, 1, 1]))
    # a: 0 finds a b: 1/2; 1 finds a b: 1/2; 3.5 finds b a: (0 + 1/2) / 2, counted twice. b: 3 a; 9 a
    np.testing.assert_allclose(class_scores(embeddings, split), [(0.5 + 0.5 + 2 * 0.25) / 4, 0])


def test_no_class_with_a_pair_has_no_score():
    split = Split(None, None, None, np.arange(3), np.ones(3))
    assert class_scores(np.eye(3), split).shape == (0,)
    assert squares_scores(squared_distances(np.eye(3), True), split).shape == (0,)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("sizes", [2, 3, 40, [1, 2, 30]])  # R is 1, a small, a large part of the rows
def test_scores_of_products_are_those_of_the_embeddings(normalize, sizes):
    rows, codes = gaussian_classes(3, sizes, 5)
    rows[0] = 0  # a row of no length stays zero
    split = Split(None, None, None, codes, np.arange(1.0, len(codes) + 1))
    embeddings = unit_rows(rows) if normalize else rows
    scores = squares_scores(squared_distances(rows @ rows.T, normalize), split)
    np.testing.assert_allclose(scores, class_scores(embeddings, split))


def test_of_two_rows_at_one_distance_the_first_is_found():
    rows, codes = np.array([[0.0], [1], [-1], [1]]), np.array([0, 1, 0, 1])
    split = Split(None, None, None, codes, np.ones(4))
    # 0 is as far from all others and finds row 1, a b; the rows at 1 find each other; -1 finds 0
    scores = squares_scores(squared_distances(rows @ rows.T, False), split)
    np.testing.assert_array_equal(scores, [(0 + 1) / 2, 1])


def test_the_smallest_squares_there_are_have_an_order():
    squares = np.array([[0.0, 3, 1, 2], [3, 0, 2, 1], [1, 2, 0, 3], [2, 1, 3, 0]]) * 5e-324
    split = Split(None, None, None, np.array([0, 1, 0, 1]), np.ones(4))
    np.testing.assert_array_equal(squares_scores(squares, split), [1, 1])  # 0 and 2, 1 and 3 are nearest


def test_room_that_other_candidates_have_used_changes_no_score():
    rows, codes = gaussian_classes(5, [2, 4, 6, 3, 9], 4)
    split, room = Split(None, None, None, codes, np.ones(len(codes))), Room.of(len(rows))
    for part in room:
        part.fill(7)
    scores = squares_scores(squared_distances(rows @ rows.T, True), split, room)
    np.testing.assert_array_equal(scores, squares_scores(squared_distances(rows @ rows.T, True), split))


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("n_classes", [7, 20])  # the scatter of a split is put together of classes, of folds
def test_a_candidate_is_scored_as_the_learner_that_it_makes(normalize, n_classes):
    X, codes = gaussian_classes(n_classes, 6, 9)
    weights = np.random.default_rng(0).integers(1, 4, len(X))
    offered = Offered("plda", (normalize,))
    choice = Choice(X, codes, n_classes, weights, offered, np.random.RandomState(0))
    select(choice)
    centred = [candidate for candidate in choice.scores if candidate.center]
    for candidate in centred[:: len(centred) // 7]:  # the first is unlearned
        shrinkage, split = candidate[2:4], choice.splits[-1]
        learner = MetricLearner(
            shrinkage, normalize=normalize, power=candidate.power, saturation=candidate.saturation
        ).fit(X[split.train], codes[split.train], weights[split.train])
        expected = class_scores(learner.transform(X[split.held_out]), split)
        np.testing.assert_allclose(choice.scores[candidate][-1], expected, err_msg=str(candidate))


def test_few_classes_are_whitened_once_for_all_stages(monkeypatch):
    asked = []

    def counted(scatter, within):
        asked.append((within, scatter.within.tobytes()))
        return whiten(scatter, within)

    monkeypatch.setattr("skmetric.linear._selection._scoring.whiten", counted)
    MetricLearner(random_state=0).fit(*gaussian_classes(5, 8, 7))  # all ten pairs, each once
    assert len(asked) == len(set(asked))


def test_given_numbers_are_not_searched(many):
    offered = Offered("plda", powers=(0.5,), saturations=(0.1,))
    X, codes = many
    chosen, results = select(Choice(X, codes, 20, None, offered, np.random.RandomState(0)))
    assert (results["param_power"] == 0.5).all()
    learned = results["param_within"] < 1
    assert (results["param_saturation"][learned] == 0.1).all()
    assert chosen.power == 0.5


def test_a_long_tail_is_drawn_in():
    """Classes differ in the logarithm of the features, of which a few huge ones hide the others."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(24), 8)
    X = np.exp(3 * rng.normal(size=(24, 30))[codes] + rng.normal(size=(192, 30)))
    chosen, _ = choose(X, codes)
    assert chosen.power == 0.5


def test_the_surest_is_not_always_the_best_mean():
    reference, lucky, sure = (Candidate(True, True, a, 1.0) for a in (0.5, 0.3, 0.1))
    base = np.array([0.5, 0.5, 0.5, 0.5])
    scores = {
        reference: [base],
        lucky: [np.add(base, [0.4, -0.1, -0.1, 0.0])],  # mean 0.05, half a standard error 0.059
        sure: [np.add(base, [0.03, 0.02, 0.03, 0.02])],  # mean 0.025, half a standard error 0.001
    }
    assert surest(scores, reference, np.arange(4)) == sure
    del scores[sure]
    assert surest(scores, reference, np.arange(4)) == reference


def test_a_class_that_is_held_out_twice_is_one_observation():
    reference, candidate = (Candidate(True, True, a, 1.0) for a in (1.0, 0.5))
    scores = {reference: [np.zeros(4)], candidate: [np.array([0.06, -0.02, 0.06, -0.02])]}
    # mean 0.02; half a standard error 0.0115 of four classes, and 0.02 of two that gain 0.06 and -0.02
    assert surest(scores, reference, np.array([0, 1, 2, 3])) == candidate
    assert surest(scores, reference, np.array([0, 1, 0, 1])) == reference


def test_standard_error_by_hand():
    assert standard_error(np.array([1.0, 3])) == pytest.approx(1)  # sqrt(2) / sqrt(2)
    assert standard_error(np.array([1.0])) == np.inf


def test_few_classes_bear_little_between():
    assert between_choices(1) == between_choices(2) == [1.0]
    assert between_choices(8) == [0.85, 1.0]  # 30 / 37 = 0.81
    assert between_choices(100) == [0.3, 0.5, 0.7, 0.85, 1.0]  # 30 / 129 = 0.23


def test_euclid_and_cosine_are_candidates(many):
    _, results = choose(*many)
    params = [Candidate(**entry) for entry in results["params"]]
    assert EUCLIDEAN in params
    assert COSINE in params
    assert len(set(params)) == len(params)


@pytest.mark.parametrize(("data", "within"), [("few", 0.9), ("many", 0.5)])
def test_gains_are_those_over_what_others_must_beat(request, data, within):
    _, results = choose(*request.getfixturevalue(data))
    (reference,) = np.flatnonzero((results["mean_gain"] == 0) & (results["standard_error_of_gain"] == 0))
    assert results["params"][reference]["within"] == within
    gains = results["mean_test_score"] - results["mean_test_score"][reference]
    np.testing.assert_allclose(results["mean_gain"], gains, atol=1e-12)  # each class is held out as often


@pytest.mark.parametrize("normalize", [True, False])
def test_a_given_normalisation_is_kept(many, normalize):
    chosen, results = choose(*many, normalize=normalize)
    assert chosen.normalize == normalize
    assert (results["param_normalize"] == normalize).all()


def test_results_have_the_form_of_a_grid_search(many):
    chosen, results = choose(*many)
    n_candidates = len(results["params"])
    splits = [f"split{i}_test_score" for i in range(4)]
    keys = [f"param_{name}" for name in Candidate._fields]
    keys += [*splits, "mean_test_score", "std_test_score", "rank_test_score"]
    keys += ["mean_gain", "standard_error_of_gain"]
    assert set(results) == {"params", *keys}
    assert all(len(results[key]) == n_candidates for key in keys)
    by_split = np.array([results[key] for key in splits])
    assert ((by_split >= 0) & (by_split <= 1)).all()
    np.testing.assert_allclose(results["std_test_score"], by_split.std(axis=0))
    np.testing.assert_allclose(results["mean_test_score"], by_split.mean(axis=0))  # 5 classes in each fold
    assert results["mean_test_score"][results["rank_test_score"] == 1] == results["mean_test_score"].max()
    assert chosen in [Candidate(**entry) for entry in results["params"]]


def test_finds_what_there_is_to_find():
    """Two informative features of unit scale, twenty loud ones: no metric is far worse than a learned one."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(30), 10)
    X = rng.normal(size=(300, 22))
    X[:, :2] += 5 * rng.normal(size=(30, 2))[codes]
    X[:, 2:] *= 10
    chosen, results = choose(X, codes)
    score = dict(
        zip([Candidate(**entry) for entry in results["params"]], results["mean_test_score"], strict=True)
    )
    assert score[chosen] > score[EUCLIDEAN] + 0.2
    assert chosen.within < 0.5


def test_keeps_euclid_where_nothing_is_to_be_learned():
    """All directions are alike: unit balls around random points."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(30), 10)
    X = (4 * rng.normal(size=(30, 5)))[codes] + rng.normal(size=(300, 5))
    chosen, results = choose(X, codes, normalize=False)
    score = dict(
        zip([Candidate(**entry) for entry in results["params"]], results["mean_test_score"], strict=True)
    )
    assert score[chosen] >= score[EUCLIDEAN] - 0.01


@pytest.mark.parametrize("n_classes", [2, 3])
def test_few_classes_take_the_default(n_classes):
    chosen, results = choose(*gaussian_classes(n_classes, 10, 4))
    assert results is None
    assert (chosen.within, chosen.between) == (0.5, 1)


def test_held_out_classes_without_a_pair_take_the_default():
    X = np.random.default_rng(0).normal(size=(8, 4))
    for seed in range(5):  # one class has a pair, and is held out in some splits, or in none
        chosen, _ = choose(X, np.array([0, 0, 1, 2, 3, 4, 5, 6]), seed=seed)
        assert 0 <= chosen.within <= 1
    chosen, results = choose(np.ones((20, 4)), np.arange(20) % 5)
    assert results is None
    assert chosen.within == 0.5


def test_shrinkage_as_a_pair():
    assert check_shrinkage([0, 1]) == (0.0, 1.0)
    for wrong in [(2, 0), (0.1,), (0.1, 0.2, 0.3), ("a", "b"), (np.nan, 0)]:
        with pytest.raises(ValueError, match=r"shrinkage must be 'cv' or a pair of numbers from 0 to 1"):
            check_shrinkage(wrong)
