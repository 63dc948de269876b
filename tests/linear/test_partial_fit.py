"""The shrinkages that `partial_fit` chooses again for the classes of a call."""

import warnings
from copy import deepcopy

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmetric import MetricLearner
from skmetric.linear._closed_form._scatter import class_scatter
from skmetric.linear._selection._again import Added, _halves, _score
from skmetric.linear._selection._candidates import Candidate
from skmetric.linear._without import without_samples

from .conftest import gaussian_classes


@pytest.fixture
def learner(many):
    return MetricLearner(random_state=0).fit(*many)


def more(per_class):
    """Twelve new classes, with the features of the fixture `many`."""
    X, y = gaussian_classes(12, per_class, 7, seed=5)
    return X, y + 1000


def test_half_of_each_class_asks_and_the_other_is_learned_from():
    codes = np.array([0, 0, 0, 1, 1, 2])
    halves = list(_halves(codes, np.random.RandomState(0)))
    assert [sorted(codes[queries]) for queries, _ in halves] == [[0, 0, 1], [0, 1]]
    for queries, kept in halves:  # the class of one row is only learned from
        assert not set(queries) & set(kept)
        assert set(codes[kept]) == {0, 1, 2}


def test_queries_count_by_their_weight():
    # of class 0, the query at 1 finds its class first and the query at 9 finds class 1: 3 of 4 by weight
    X = np.array([[0.0, 0], [10, 0], [1, 0], [9, 0], [11, 0]])
    codes, weights = np.array([0, 1, 0, 0, 1]), np.array([1.0, 1, 3, 1, 1])
    before = class_scatter(np.array([[0.0, 1], [0, -1], [10, 1], [10, -1]]), np.array([0, 0, 1, 1]), 2)
    added = Added(X, codes, weights, before, np.arange(2), np.arange(2), 2)
    halves, now = (np.array([2, 3, 4]), np.array([0, 1])), Candidate(False, True, 1.0, 1.0)
    np.testing.assert_allclose(_score(added, halves, now, "plda", [(1.0, 1.0)])[now], [3 / 4, 1])
    unweighted = _score(added._replace(weights=None), halves, now, "plda", [(1.0, 1.0)])
    np.testing.assert_allclose(unweighted[now], [1 / 2, 1])


def test_the_map_is_that_of_all_samples_under_the_shrinkage_chosen(many, learner):
    X, y = more(6)
    learner.partial_fit(X, y, choose=True)
    numbers = {"normalize": learner.normalize_, "power": learner.power_, "saturation": learner.saturation_}
    whole = MetricLearner(learner.shrinkage_, **numbers)
    whole.fit(np.concatenate([many[0], X]), np.concatenate([many[1], y]))
    np.testing.assert_allclose(learner.transform(X), whole.transform(X), atol=1e-7)


def test_the_candidates_are_the_shrinkages_alone(learner):
    before = learner.normalize_, learner.power_, learner.saturation_, learner.center_
    learner.partial_fit(*more(6), choose=True)
    assert (learner.normalize_, learner.power_, learner.saturation_, learner.center_) == before
    assert set(learner.cv_results_["param_power"]) == {learner.power_}
    assert learner.shrinkage_ in zip(
        learner.cv_results_["param_within"], learner.cv_results_["param_between"], strict=True
    )


def test_rows_given_twice_are_rows_of_weight_two(learner):
    """In one half a row would find its copy in the other at distance 0."""
    X, y = more(4)
    twice, weighted = deepcopy(learner), deepcopy(learner)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twice.partial_fit(np.concatenate([X, X]), np.concatenate([y, y]), choose=True)
    weighted.partial_fit(X, y, sample_weight=np.full(len(y), 2.0), choose=True)
    assert twice.shrinkage_ == weighted.shrinkage_
    np.testing.assert_allclose(twice.cv_results_["mean_test_score"], weighted.cv_results_["mean_test_score"])


def test_one_row_a_class_keeps_the_shrinkage(learner):
    before, results = learner.shrinkage_, learner.cv_results_
    learner.partial_fit(*more(1), choose=True)
    assert learner.shrinkage_ == before
    assert learner.cv_results_ is results


def test_the_first_call_chooses_as_fit_does(many, learner):
    first = MetricLearner(random_state=0).partial_fit(*many, choose=True)
    assert first.shrinkage_ == learner.shrinkage_
    np.testing.assert_allclose(first.components_, learner.components_, atol=1e-10)


def test_choosing_again_finds_new_rows_of_the_gallery_better():
    """Digits 0 to 4 say little about 5 to 9; two rows of each do."""
    X, y = load_digits(return_X_y=True)
    first = MetricLearner((0.9, 1)).fit(X[y < 5], y[y < 5])
    of_gallery = np.concatenate([np.flatnonzero(y == digit)[:20] for digit in range(5, 10)])
    queries = np.setdiff1d(np.flatnonzero(y >= 5), of_gallery)
    kept, chosen = (
        deepcopy(first).partial_fit(X[of_gallery], y[of_gallery], choose=c) for c in (False, True)
    )
    assert chosen.score(X[queries], y[queries]) > kept.score(X[queries], y[queries]) + 0.01


def test_samples_are_taken_out_again(many, learner):
    X, y = many
    old = y[:1]  # a class that has samples of both calls, and classes of the second call alone
    more_X, more_y = more(6)
    X, y = np.concatenate([more_X, X[:4] + 1]), np.concatenate([more_y, np.repeat(old, 4)])
    both = deepcopy(learner).partial_fit(X, y)
    back = without_samples(both, X, y)
    np.testing.assert_allclose(back.components_, learner.components_, rtol=1e-8)
    np.testing.assert_array_equal(back.classes_, learner.classes_)
    assert len(both.classes_) == len(back.classes_) + 12


def test_samples_that_were_not_given_cannot_be_taken_out(learner):
    with pytest.raises(ValueError, match="classes that the learner was not given"):
        without_samples(learner, *more(2))


# Parameters set between two calls (skorch #349, scikit-learn #13285)


def test_shrinkage_and_saturation_set_between_calls_take_effect(many):
    X, y = many
    half = len(X) // 2
    learner = MetricLearner(random_state=0).fit(X[:half], y[:half])
    rest = {"normalize": learner.normalize_, "power": learner.power_}
    learner.set_params(shrinkage=(0.9, 0.4), saturation=0.1).partial_fit(X[half:], y[half:])
    expected = MetricLearner((0.9, 0.4), saturation=0.1, **rest).fit(X[:half], y[:half])
    expected.partial_fit(X[half:], y[half:])
    np.testing.assert_allclose(learner.components_, expected.components_)
    assert (learner.shrinkage_, learner.saturation_) == ((0.9, 0.4), 0.1)
    for one in (learner, expected):
        one.set_params(shrinkage=(0.2, 0.2)).adapt(X)
    np.testing.assert_allclose(learner.components_, expected.components_)
    assert learner.shrinkage_ == (0.2, 0.2)


def test_what_was_chosen_is_kept_where_nothing_was_set(many):
    X, y = many
    learner = MetricLearner((0.5, 0.5)).fit(X, y).partial_fit(X[:80], y[:80], choose=True)
    chosen = learner.shrinkage_
    assert learner.partial_fit(X[:9], y[:9]).shrinkage_ == chosen


@pytest.mark.parametrize(("name", "value"), [("normalize", False), ("power", 0.5)])
def test_other_rows_are_refused(many, name, value):
    X, y = many
    learner = MetricLearner((0.5, 0.5)).fit(X, y).set_params(**{name: value})
    for call in (lambda: learner.partial_fit(X, y), lambda: learner.adapt(X)):
        with pytest.raises(ValueError, match=f"{name}={value}, and what was learned so far is of rows"):
            call()
