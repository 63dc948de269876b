"""Thresholds of classes: factors by hand, and what a search does with them."""

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from skmetric.retrieval import nearest
from skmetric.search import ClassCenters, SimilaritySearch
from skmetric.search._calibration._gathering._evidence import Evidence
from skmetric.search._calibration._matchers import MATCHERS, Match, make_matcher
from skmetric.search._calibration._scoring._class_factors import class_factors, scaled

X, y = load_digits(return_X_y=True)
WORDS = np.array(["nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
names = WORDS[y]
GALLERY, QUERIES, STRANGERS = (np.flatnonzero(part) for part in (y < 7, y < 7, y >= 7))
GALLERY, QUERIES = GALLERY[::2], QUERIES[1::2]


def evidence(logs, classes, matches, second_logs, known_rows=(), known_matches=()):
    """Strangers at these logarithms; those of `known_rows` are known queries too, all at distance 1."""
    rows, classes = np.array(known_rows, dtype=int), np.array(classes)
    known = np.array(known_matches, dtype=int)
    right = known == classes[rows]
    return Evidence(
        np.ones(len(rows)), right, classes[rows], known, rows, np.exp(logs), classes, np.array(matches),
        np.exp(second_logs), np.zeros(len(classes), dtype=int), True, np.ones(len(rows)),
    )  # fmt: skip


LOGS, CLASSES = [0.0, 2, 4, 6, 8, 10], [0, 0, 1, 1, 2, 2]


def test_factors_by_hand():
    # means 1, 5, 9 of two each; inside, squares of 6 over 6 - 3 degrees: s = 2. Between, 2 * (16 + 0 + 16)
    # less (3 - 1) * 2, over 6 - (4 + 4 + 4) / 6 = 4: t = 15. Reliability of two: 15 / (15 + 2 / 2)
    found = class_factors(evidence(LOGS, CLASSES, [1, 1, 2, 2, 1, 1], LOGS))
    shift = 15 / 16 * 4 / 2  # half of the deviation that is left
    assert found.by_class == pytest.approx({0: np.exp(-shift), 1: 1.0, 2: np.exp(shift)})


def test_no_query_judges_a_factor_that_it_made():
    # row 0 as itself: class 0 without it has one query, at 2: 15 / (15 + 2) * (2 - 5) / 2. Row 5, taken for
    # class 0, is not of it and meets its whole factor
    case = evidence(LOGS, CLASSES, [1, 2, 2, 2, 1, 0], [0, 7, 4, 6, 8, 10], [0, 5], [0, 0])
    found = class_factors(case)
    np.testing.assert_allclose(found.known, np.exp([-15 / 17 * 3 / 2, -15 / 16 * 4 / 2]))
    # row 5, of class 2, as a stranger at class 0: the second item there had its match in class 2, which is
    # hidden, and goes from 2 to 7. The mean is 3.5, and 15 / 16 * (3.5 - 5) / 2 the shift
    assert found.strangers[5] == pytest.approx(np.exp(-15 / 16 * 1.5 / 2))
    # row 4, also of class 2, at class 1: both items there had their match in class 2, at 4 and 6 again
    assert found.strangers[4] == pytest.approx(1.0)
    over = scaled(case, found)
    np.testing.assert_allclose(over.stranger_distances, case.stranger_distances / found.strangers)
    np.testing.assert_allclose(over.known_distances, 1 / found.known)


def test_classes_of_one_query_and_classes_alike_have_the_common_threshold():
    one = class_factors(evidence([0.0, 2, 4, 6, 9], [0, 0, 1, 1, 2], [1, 1, 2, 2, 0], [0.0, 2, 4, 6, 9]))
    assert one.by_class.keys() == {0, 1}
    alike = class_factors(evidence([0.0, 2, 0, 2, 0, 2], CLASSES, [1, 1, 2, 2, 0, 0], [0.0, 2, 0, 2, 0, 2]))
    assert alike.by_class == {}
    np.testing.assert_array_equal(alike.strangers, 1)
    equal = class_factors(evidence([3.0] * 6, CLASSES, [1, 1, 2, 2, 0, 0], [3.0] * 6, [0], [0]))
    assert equal.by_class == {}  # no variance at all
    steps = class_factors(evidence([0.0, 0, 1, 1, 2, 5], [0, 0, 1, 1, 2, 3], [1] * 6, [9.0] * 6, [5], [3]))
    np.testing.assert_allclose(steps.known, 1)  # a class of one, without which it has none


def test_many_classes_do_not_overflow():
    codes = np.repeat(np.arange(70_000, dtype=np.int32), 2)  # whose squares need more than 32 bits
    logs = np.where(codes % 2, 1.0, 0.0) + np.tile([0.01, -0.01], 70_000)
    found = class_factors(evidence(logs, codes, codes[::-1], logs))
    assert min(found.by_class.values()) == pytest.approx(np.exp(-0.25), rel=1e-3)
    np.testing.assert_allclose(found.strangers, np.exp(np.where(codes[::-1] % 2, 0.25, -0.25)), rtol=1e-3)


@pytest.mark.parametrize("matcher", [*MATCHERS, ClassCenters(3)])
def test_a_query_is_held_against_the_threshold_of_its_match(matcher):
    search = SimilaritySearch(matcher=matcher).fit(X[GALLERY], names[GALLERY])
    calibration = search.calibrate(per_class=True, targets={"strict": ("false_accept_rate", 0.05)})
    assert set(calibration.class_factors) == set(names[GALLERY])
    rows = np.concatenate([QUERIES, STRANGERS])
    matched, distances = match_by_hand(make_matcher(matcher), X[rows])
    for cut in ("optimal", "strict"):
        limit = calibration.cutpoints[cut]["distance"]
        limits = np.array([limit * calibration.class_factors[name] for name in matched])
        np.testing.assert_allclose(calibration.class_thresholds(matched, cut), limits)
        found = search.set_cutpoint(cut).predict(X[rows])
        sure = np.abs(distances - limits) > 1e-9 * limits
        np.testing.assert_array_equal(found[sure], np.where(distances <= limits, matched, "unknown")[sure])
        evaluation = search.evaluate(X[QUERIES], names[QUERIES], X[STRANGERS])
        assert evaluation["unknown_accepted"] == (search.predict(X[STRANGERS]) != "unknown").mean()
        at = np.searchsorted(evaluation.oscr_curve["distance"], limit, side="right") - 1
        assert evaluation.oscr_curve["identified"][at] == pytest.approx(evaluation["identified"])


def match_by_hand(matcher, queries):
    """Name and distance of the match of each query in the gallery."""
    labels = y[GALLERY]
    if hasattr(matcher, "prototypes"):
        centers = [matcher.prototypes(X[GALLERY][labels == digit]) for digit in range(7)]
        distances, found = nearest(queries, np.concatenate(centers), 1)
        match = Match(np.repeat(np.arange(7), [len(part) for part in centers])[found[:, 0]], distances[:, 0])
    else:
        distances, found = nearest(queries, X[GALLERY], matcher.depth(5))
        match = matcher.match(distances, labels[found])
    return WORDS[match.codes], match.distances


def crowded_and_lonely(rng):
    """Thirty classes on a small patch and thirty far apart; three in four known, with eight items each."""
    centres = np.concatenate([rng.normal(size=(30, 4)), 8 * rng.normal(size=(30, 4))])
    points = centres[:, None] + 0.35 * rng.normal(size=(60, 8, 4))
    known = rng.permutation(60) < 45
    return points[known], points[~known]


def test_it_pays_where_classes_are_crowded_and_lonely_and_says_what_it_does():
    rng, found = np.random.default_rng(0), []
    for _ in range(12):
        known, strange = crowded_and_lonely(rng)
        labels = np.repeat(np.arange(len(known)), 4)
        search = SimilaritySearch().fit(known[:, :4].reshape(-1, 4), labels)
        for per_class in (False, True):
            calibration = search.calibrate(per_class=per_class, runner_up=0, n_resamples=2)
            cut = calibration.cutpoints["optimal"]
            evaluation = search.evaluate(known[:, 4:].reshape(-1, 4), labels, strange.reshape(-1, 4))
            promised = (cut["recall"] + 1 - cut["false_accept_rate"]) / 2
            found.append([evaluation["balanced_accuracy"], promised])
    common, own = np.array(found).reshape(12, 2, 2).transpose(1, 0, 2)
    gain = own[:, 0] - common[:, 0]
    assert gain.mean() > 3 * gain.std() / np.sqrt(12)
    for kept, promised in (common.T, own.T):  # known queries had one item fewer to find: promises are below
        assert -0.01 < kept.mean() - promised.mean() < 0.05


def calibrated(**options):
    search = SimilaritySearch(**options).fit(X[GALLERY], names[GALLERY])
    search.calibrate(per_class=True)
    return search


def test_new_classes_have_the_common_threshold_and_removed_ones_take_theirs_along():
    search = calibrated()
    common, factors = search.calibration_.cutpoints["optimal"]["distance"], search.calibration_.class_factors
    assert search.calibration_.class_thresholds(["nine"]).tolist() == [common]
    far = np.zeros((1, 64))
    search.partial_fit(far, ["alone"])
    step = np.eye(64)[:1] * common
    assert search.predict(np.concatenate([far + 0.999 * step, far - 1.001 * step])).tolist() == [
        "alone", "unknown",
    ]  # fmt: skip
    assert search.calibration_.class_factors is factors
    search.remove(search.ids_[search.labels_ == "six"])
    assert search.calibration_.class_factors == {k: v for k, v in factors.items() if k != "six"}
    fives = search.ids_[search.labels_ == "five"]
    search.update(fives, X[y == 9][: len(fives)], ["nine"] * len(fives))
    assert "five" not in search.calibration_.class_factors
    search.calibrate()
    assert search.calibration_.class_factors == {}


@pytest.mark.parametrize("labels", [y, names, names.astype(object)])
def test_they_are_saved(labels, tmp_path):
    search = SimilaritySearch().fit(X[GALLERY], labels[GALLERY])
    search.calibrate(per_class=True)
    search.save(tmp_path / "folder")
    joblib.dump(search, tmp_path / "search.joblib")
    expected = search.predict(X)
    for loaded in (SimilaritySearch.load(tmp_path / "folder"), joblib.load(tmp_path / "search.joblib")):
        np.testing.assert_array_equal(loaded.predict(X), expected)
        assert loaded.calibration_.class_factors == search.calibration_.class_factors
        assert repr(loaded.calibration_) == repr(search.calibration_)
    assert "in 7 classes, 7 with their own threshold, from 0." in repr(search.calibration_)


def test_other_queries_may_calibrate_them():
    search = SimilaritySearch().fit(X[GALLERY], names[GALLERY])
    few = np.concatenate(
        [QUERIES[y[QUERIES] < 5], STRANGERS[:20]]
    )  # two classes of the gallery have no query
    calibration = search.calibrate(X[few], names[few], per_class=True)
    assert set(calibration.class_factors) == {"nought", "one", "two", "three", "four"}
    assert calibration.n_strangers == len(few)


class Negative:
    """The nearest item, at minus its closeness."""

    def depth(self, n_neighbors):
        return 1

    def match(self, distances, codes):
        return Match(codes[:, 0], -1 / (1 + distances[:, 0]))


def test_refusals():
    search = SimilaritySearch().fit([[0.0], [1.0], [5.0], [6.0]], ["a", "a", "b", "b"])
    with pytest.raises(ValueError, match="per_class=True compares classes: the gallery must have three or"):
        search.calibrate(per_class=True)
    with pytest.raises(ValueError, match="per_class=True needs strangers, and protocol='closed' has none"):
        search.calibrate(per_class=True, protocol="closed")
    with pytest.raises(ValueError, match=r"per_class=True scales distances: matcher=.*Negative.* below 0"):
        calibrated(matcher=Negative())
    with pytest.raises(ValueError, match="per_class must be True or False; got 'yes'"):
        search.calibrate(per_class="yes")
    assert not hasattr(search, "calibration_")


def test_thresholds_of_integers_that_a_float_cannot_hold():  # scikit-learn #25073: database ids around 2**60
    ids = 2**60 + 1 + np.arange(24) % 3
    rows = np.random.default_rng(0).normal(size=(24, 3)) + 5 * (np.arange(24) % 3)[:, None]
    calibration = SimilaritySearch().fit(rows, ids).calibrate(per_class=True)
    calibration.class_factors.clear()
    calibration.class_factors.update({2**60 + 1: 0.5, 2**60 + 2: 2.0})
    common = calibration.cutpoints["optimal"]["distance"]
    asked = [2**60 + 2, 2**60 + 1, 2**60]  # the last is no class: its factor is 1
    for labels in (asked, np.array(asked), pd.Series(asked, dtype="Int64"), np.array(asked, dtype=object)):
        assert calibration.class_thresholds(labels).tolist() == [2 * common, 0.5 * common, common]


@pytest.mark.parametrize("wrong", [True, np.True_, "1", np.nan, -1.0])
def test_what_is_no_distance_is_refused(wrong):  # True was a radius of 1
    search = SimilaritySearch().fit(X[:9], names[:9])
    for call in (
        lambda: search.radius_neighbors(X[:1], wrong),
        lambda: search.lookup(X[:1], max_distance=wrong),
        lambda: search.duplicates(wrong),
    ):
        with pytest.raises(ValueError, match=r"(radius|max_distance|threshold) must be a number|no cutpoint"):
            call()
