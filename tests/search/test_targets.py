"""Targets on false accepts: the choice is judged on classes that were not there."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmetric.search import SimilaritySearch
from skmetric.search._calibration._gathering._evidence import Evidence, gather
from skmetric.search._calibration._gathering._two_searches import search_twice
from skmetric.search._calibration._matchers import MATCHERS, ClassCenters, make_matcher
from skmetric.search._calibration._targets import limit_for_target
from skmetric.search._gallery._side import Side

X, y = load_digits(return_X_y=True)


def strangers(distances, classes, matches, seconds, hidden=False):
    none, distances = np.zeros(0), np.array(distances, dtype=float)
    return Evidence(
        none, none, none, none, none, distances, np.array(classes), np.array(matches),
        np.array(seconds, dtype=float), np.array(matches), hidden, none,
    )  # fmt: skip


def test_classes_that_look_alike_do_not_vouch_for_each_other():
    # a and b meet at 1, c and d are 5 and 6 from their matches b and c
    evidence = strangers([1, 1, 5, 6], [0, 1, 2, 3], [1, 0, 1, 2], [9, 8, 5.5, 7])
    # of four strangers one may be accepted at .3. Without a the others are at 8 (not 1), 5, 6: none of three
    # is to be accepted, so all below 5, and a, at 1, would be; so would b. Parts of the first distance pass
    # when 5 * .98**n <= 1, so from n = 80 on; the first distance of all is 1
    assert limit_for_target(evidence, 0.3, 4) == pytest.approx(0.98**80)
    # at .5 two may be: without a one of three is accepted, so below 6, and a is, and b; c (at 5, limit 1) and
    # d (limit 1) are not. Of all four, two: below 5
    assert limit_for_target(evidence, 0.5, 4) == 5


def test_nobody_is_accepted_where_nothing_else_meets_a_target():
    evidence = strangers([0, 0, 5], [0, 1, 2], [1, 0, 1], [5, 5, 5])
    assert limit_for_target(evidence, 0.1, 3) == -np.inf  # without a: below a part of 5, and a is at 0
    search = SimilaritySearch().fit([[0.0], [0.0], [5.0], [6.0]], ["a", "b", "c", "c"])
    cut = search.calibrate(targets={"strict": ("false_accept_rate", 0.1)}).cutpoints["strict"]
    assert (cut["recall"], cut["false_accept_rate"]) == (0, 0)
    assert (search.set_cutpoint("strict").predict([[0.0], [5.0]]) == "unknown").all()


def rules(distances, target, n_classes):
    """Where the rules of the choice put the limit, from a gallery of so many classes."""
    ascending = np.append(np.sort(distances), np.inf)
    power = (n_classes - 1) / n_classes
    rates = 1 - (1 - target * np.linspace(1, 0, 101)) ** power
    by_rate = ascending[np.floor(rates * len(distances) + 1e-9).astype(int)]
    return np.concatenate([by_rate, ascending[0] * 0.98 ** np.arange(1, 400)])


@pytest.mark.parametrize("matcher", ["nearest", ClassCenters()])
@pytest.mark.parametrize("target", [0.02, 0.1, 0.4])
def test_the_choice_is_made_from_a_gallery_without_each_class(matcher, target):
    matcher = make_matcher(matcher)
    rows = np.random.default_rng(0).permutation(len(X))[:300]
    gallery = Side(X[rows], y[rows])
    evidence = gather(matcher, 5, gallery, second=True)
    accepted = 0
    for code in range(10):
        rest = gallery.codes != code
        without = gather(matcher, 5, Side(gallery.embeddings[rest], gallery.codes[rest]))
        limits = rules(without.stranger_distances, target, 9)
        own = evidence.stranger_distances[evidence.stranger_classes == code]
        accepted = accepted + (own[:, None] < limits).sum(axis=0)
    first = np.flatnonzero(accepted <= target * len(evidence.stranger_distances))[0]
    expected = rules(evidence.stranger_distances, target, 10)[first]
    assert limit_for_target(evidence, target, 10) == pytest.approx(expected)


@pytest.mark.parametrize("matcher", [*MATCHERS, ClassCenters(3)])
def test_second_matches_are_those_of_a_gallery_that_lacks_the_first(matcher):
    matcher = make_matcher(matcher)
    gallery, queries = Side(X[:400], y[:400]), Side(X[400:430], y[400:430])
    evidence = gather(matcher, 5, gallery, queries, second=True)
    for i, first in enumerate(evidence.stranger_matches):
        rest = (gallery.codes != queries.codes[i]) & (gallery.codes != first)
        lacking = Side(gallery.embeddings[rest], gallery.codes[rest])
        alone = gather(matcher, 5, lacking, Side(queries.embeddings[[i]], np.array([-1])))
        assert evidence.second_distances[i] == pytest.approx(alone.stranger_distances[0])
        assert evidence.second_matches[i] == alone.stranger_matches[0]


def test_two_classes_leave_nobody_to_judge_the_choice():
    gallery = Side(np.array([[0.0], [1.0], [5.0], [7.0]]), np.array([0, 0, 1, 1]))
    evidence = gather(make_matcher("nearest"), 1, gallery, second=True)
    assert evidence.second_distances is None
    # strangers at 5, 4, 4, 6; of two classes one is faced, so .8 means 1 - .2 ** .5 = .553: two of four
    assert limit_for_target(evidence, 0.8, 2) == 5
    found = search_twice(gallery, None, 1)
    assert found.distances_second is None


@pytest.mark.slow
def test_fresh_strangers_keep_targets_on_average():
    """Few classes, drawn anew each time: a plain choice is far off, ours is not."""
    rng, target, n_draws = np.random.default_rng(0), 0.05, 60
    fresh, plain = np.empty((2, n_draws))
    for draw in range(n_draws):
        centres = rng.normal(size=(92, 3))
        points = centres[:, None] + 0.1 * rng.normal(size=(92, 6, 3))
        known = points[:12]
        search = SimilaritySearch().fit(known.reshape(-1, 3), np.repeat(np.arange(12), 6))
        calibration = search.calibrate(targets={"strict": ("false_accept_rate", target)}, n_resamples=2)
        distances = search.kneighbors(points[12:].reshape(-1, 3), 1)[0]
        fresh[draw] = (distances <= calibration.cutpoints["strict"]["distance"]).mean()
        rates = calibration.thresholds["false_accept_rate"]
        largest = calibration.thresholds["distance"][np.flatnonzero(rates <= target)[-1]]
        plain[draw] = (distances <= largest).mean()
    error = fresh.std() / np.sqrt(n_draws)
    assert fresh.mean() < target + 2 * error
    assert fresh.mean() > target / 4  # not by refusing all
    assert plain.mean() > fresh.mean() + 2 * (plain - fresh).std() / np.sqrt(n_draws)
