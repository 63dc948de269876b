"""Calibration: strangers decide."""

import tracemalloc
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix

from skmetric.retrieval import nearest
from skmetric.search import Calibration, ClassCenters, Evaluation, SimilaritySearch
from skmetric.search._calibration._gathering._evidence import gather
from skmetric.search._calibration._gathering._two_searches import search_twice
from skmetric.search._calibration._matchers import MATCHERS, make_matcher
from skmetric.search._gallery._side import Side

X, y = load_digits(return_X_y=True)
KNOWN, STRANGERS = np.flatnonzero(y < 7), np.flatnonzero(y >= 7)
GALLERY, QUERIES = KNOWN[::2], KNOWN[1::2]


def digits(**options):
    return SimilaritySearch(**options).fit(X[GALLERY], y[GALLERY])


def by_hand():
    """Items at 0, 1 (a), 4 (b), 4.5 (b), 10 (c, alone)."""
    return SimilaritySearch().fit([[0.0], [1.0], [4.0], [4.5], [10.0]], ["a", "a", "b", "b", "c"])


def test_queries_of_many_classes_take_no_matrix_of_all_classes():
    n = 3000
    search = SimilaritySearch().fit(np.arange(n)[:, None], np.arange(n))
    search.calibrate_pairs([[0.0], [1.0]], [[0.2], [2.0]], [1, 0])
    tracemalloc.start()
    evaluation = search.evaluate([[0.1], [7.1]], [0, 7], n_resamples=10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6  # the matrix takes 72 MB
    assert len(evaluation.labels) == n + 1
    assert evaluation.confusion.shape == (n + 1, n + 1)
    assert evaluation.confusion[7, 7] == 1


def test_evidence_by_hand():
    search = by_hand()
    evidence = gather(make_matcher("nearest"), 1, search._gallery.side())
    # as themselves: a 1, 1; b .5, .5; c has nothing to find
    # hidden: 0 to 4, 1 to 4, 4 to 1, 4.5 to 1, 10 to 4.5
    np.testing.assert_allclose(np.sort(evidence.known_distances), [0.5, 0.5, 1, 1])
    assert evidence.known_right.all()
    np.testing.assert_allclose(np.sort(evidence.stranger_distances), [3, 3, 3.5, 4, 5.5])


def test_rates_by_hand():
    calibration = by_hand().calibrate(
        extra_metrics=["recall", "false_accept_rate", "false_accept_bound", "f1"]
    )
    assert isinstance(calibration, Calibration)
    table = calibration.thresholds
    np.testing.assert_allclose(table["distance"][1:], [0.5, 1, 3, 3.5, 4, 5.5])
    np.testing.assert_allclose(table["recall"], [0, 0.5, 1, 1, 1, 1, 1])
    far = 1 - (1 - np.array([0, 0, 0, 2, 3, 4, 5]) / 5) ** (3 / 2)  # 3 classes in place of 2
    np.testing.assert_allclose(table["false_accept_rate"], far)
    np.testing.assert_allclose(table["false_accept_bound"], (3 * far + 1) / 4)
    assert calibration.cutpoints["optimal"]["distance"] == 2  # half-way from 1 to 3
    assert (calibration.n_known, calibration.n_strangers, calibration.n_gallery) == (4, 5, 5)


def brute_force(search, matcher, k):
    """Hide each query's class from the gallery, one query after the other."""
    side, strangers = search._gallery.side(), np.empty(len(GALLERY))
    for i, code in enumerate(side.codes):
        rest = side.codes != code
        found = nearest(side.embeddings[[i]], side.embeddings[rest], k)
        strangers[i] = matcher.match(found.distances, side.codes[rest][found.indices]).distances[0]
    return np.sort(strangers)


@pytest.mark.parametrize("name", ["nearest", "majority", "distance", "ratio"])
def test_strangers_are_those_of_a_gallery_without_their_class(name):
    search, matcher = digits(matcher=name), make_matcher(name)
    evidence = gather(matcher, 5, search._gallery.side())
    np.testing.assert_allclose(
        np.sort(evidence.stranger_distances), brute_force(search, matcher, matcher.depth(5))
    )


@pytest.mark.parametrize("n_classes", [3, 40])
@pytest.mark.parametrize("itself", [True, False])
def test_one_pass_finds_what_two_searches_find(n_classes, itself):
    rng = np.random.default_rng(0)
    gallery = Side(rng.integers(0, 4, size=(400, 3)).astype(float), rng.integers(n_classes, size=400))  # ties
    queries = Side(gallery.embeddings[:50] + 0.5, rng.integers(-1, n_classes, size=50))
    found = search_twice(gallery, None if itself else queries, 4)
    whole = nearest(gallery.embeddings if itself else queries.embeddings, None if itself else gallery[0], 4)
    np.testing.assert_array_equal(found.distances, whole.distances)
    np.testing.assert_array_equal(found.codes, gallery.codes[whole.indices])
    for i, code in enumerate(gallery.codes[:50] if itself else queries.codes):
        rest = gallery.codes != code
        asked = gallery.embeddings if itself else queries.embeddings
        hidden = nearest(asked[[i]], gallery.embeddings[rest], 4)
        np.testing.assert_array_equal(found.distances_hidden[i], hidden.distances[0])
        np.testing.assert_array_equal(found.codes_hidden[i], gallery.codes[rest][hidden.indices[0]])


@pytest.mark.parametrize("matcher", [*MATCHERS, ClassCenters(3)])
def test_strangers_are_turned_away_and_the_known_stay(matcher):
    search = digits(matcher=matcher)
    search.calibrate()
    evaluation = search.evaluate(X[QUERIES], y[QUERIES], X[STRANGERS])
    assert isinstance(evaluation, Evaluation)
    assert evaluation["balanced_accuracy"] > 0.6
    given = search.predict(X[np.r_[QUERIES, STRANGERS]]).astype(str)
    labels = evaluation.labels.astype(str)
    true = [*y[QUERIES].astype(str), *[labels[-1]] * len(STRANGERS)]
    np.testing.assert_array_equal(evaluation.confusion, confusion_matrix(true, given, labels=labels))
    assert evaluation.confusion[-1, -1] == pytest.approx(
        (1 - evaluation["unknown_accepted"]) * len(STRANGERS)
    )
    for printed in (repr(evaluation), evaluation._repr_html_()):
        for name, value in evaluation.scores.items():
            assert name in printed
            assert f"{value:.3f}" in printed
        assert f"{len(QUERIES)} queries of classes in the gallery, {len(STRANGERS)} strangers" in printed
    best = (evaluation.oscr_curve["identified"] + 1 - evaluation.oscr_curve["unknown_accepted"]).max() / 2
    assert evaluation["balanced_accuracy"] > best - 0.07  # seven classes to learn from


def test_calibration_on_other_queries_and_on_real_strangers():
    search = digits()
    own = search.calibrate(X[QUERIES], y[QUERIES])
    assert own.n_strangers == own.n_known == len(QUERIES)
    both = np.concatenate([QUERIES, STRANGERS])
    more = search.calibrate(X[both], y[both])
    assert more.n_strangers == len(both)
    assert more.n_known == len(QUERIES)


SPLIT = SimilaritySearch().fit([[0.0], [10.0]], ["a", "b"])  # "a" is found at .1 to .3, "b" at .1, and
SPLIT_QUERIES = [
    [0.1],
    [0.2],
    [0.3],
    [10.1],
    [5.2],
    [5.3],
    [5.4],
]  # three "a" are taken for "b" at 4.8 to 4.6
SPLIT_LABELS = ["a", "a", "a", "b", "a", "a", "a"]


@pytest.mark.filterwarnings("ignore:.*accepts 100.0% of the queries")
@pytest.mark.parametrize("metric", ["precision", "f1", "binary_accuracy", "recall"])
def test_closed_takes_the_best_of_all_distances(metric):
    """As TensorFlow Similarity from 0.16 on; up to 0.15 its loop ended at the largest distance."""
    calibration = SPLIT.calibrate(SPLIT_QUERIES, SPLIT_LABELS, protocol="closed", metric=metric)
    table = calibration.thresholds
    np.testing.assert_allclose(table["distance"], [0.1, 0.2, 0.3, 4.6, 4.7, 4.8])
    # right matches accepted: 2, 3, 4, 4, 4, 4 of 4; wrong ones: 0, 0, 0, 1, 2, 3 of 3
    expected = {
        "precision": [1, 1, 1, 4 / 5, 4 / 6, 4 / 7],
        "recall": [2 / 4, 3 / 4, 1, 1, 1, 1],
        "f1": [2 / 3, 6 / 7, 1, 8 / 9, 8 / 10, 8 / 11],
        "binary_accuracy": [5 / 7, 6 / 7, 1, 6 / 7, 5 / 7, 4 / 7],  # (tp + tn) / n
    }[metric]
    np.testing.assert_allclose(table[metric], expected)
    np.testing.assert_allclose(table["value"], expected, atol=1e-6)
    best = 4.8 if metric == "recall" else 0.3  # of equals the last
    assert calibration.cutpoints["optimal"]["distance"] == pytest.approx(best)
    names = ["value", "distance", "precision", "recall", "binary_accuracy"]
    assert list(calibration.cutpoints["optimal"])[:5] == names


@pytest.mark.parametrize("protocol", ["closed", "open"])
def test_closed_says_that_nearly_all_are_accepted(protocol):
    search = digits()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.calibrate(X[QUERIES], y[QUERIES], protocol=protocol)
    assert len(caught) == (protocol == "closed")
    for warning in caught:
        assert "of the queries, and so most strangers" in str(warning.message)
        assert warning.filename == __file__


@pytest.mark.parametrize("matcher", [*MATCHERS, ClassCenters(2)])
@pytest.mark.parametrize("per_class", [False, True])
def test_any_number_of_stranger_classes(matcher, per_class):
    three = y < 3
    search = SimilaritySearch(matcher=matcher).fit(X[three][::4], y[three][::4].astype(str))
    names = [f"stranger {i}" for i in range(120)]
    calibration = search.calibrate(X[STRANGERS[:120]], names, per_class=per_class)
    assert (calibration.n_known, calibration.n_strangers) == (0, 120)
    assert search.evaluate(X[three][1::4], y[three][1::4].astype(str), X[STRANGERS])["unknown_accepted"] < 0.1
    both = np.concatenate([np.flatnonzero(three)[1::4], STRANGERS[:120]])
    labels = np.concatenate([y[three][1::4].astype(str), names])
    targets = {"strict": ("false_accept_rate", 0.1)}
    calibration = search.calibrate(X[both], labels, targets=targets, per_class=per_class)
    assert calibration.n_strangers == len(both) == calibration.n_known + 120
    assert search.evaluate(X[both], labels).n_unknown == 120


ALONE = SimilaritySearch().fit([[0.0], [4.0], [10.0]], ["a", "b", "c"])


@pytest.mark.parametrize("matcher", ["nearest", "majority", "center"])
def test_one_photo_a_person(matcher):
    """deepface #829, CompreFace #950."""
    search = SimilaritySearch(matcher=matcher).fit(X[[0, 1, 2, 5, 9]], ["a", "b", "c", "d", "e"])
    calibration = search.calibrate(targets={"s": ("false_accept_rate", 0.5)})
    cut = calibration.cutpoints["s"]
    assert np.isnan(cut["recall"])
    assert 0 <= cut["false_accept_rate"] <= 0.5
    assert "recall" not in calibration.intervals["s"]
    assert "recall is not known (nan): no query has another item of its class to find" in repr(calibration)


def test_strangers_alone_set_the_optimum_where_none_is_accepted():
    # strangers at 2, 3 and 1 from the gallery: none is accepted below 1
    calibration = ALONE.calibrate([[2.0], [13.0], [5.0]], ["x", "y", "z"])
    assert calibration.cutpoints["optimal"]["distance"] < 1
    assert calibration.cutpoints["optimal"]["false_accept_rate"] == 0
    np.testing.assert_allclose(calibration.thresholds["false_accept_rate"], [0, 1 / 3, 2 / 3, 1])
    assert ALONE.predict([[0.5], [5.0]]).tolist() == ["a", "unknown"]


def test_recall_cannot_be_asked_of_one_photo_a_person():
    strict = {"s": ("false_accept_rate", 0.1), "wide": ("recall", 0.9)}
    with pytest.raises(ValueError, match=r"targets\['wide'\] asks for recall, and no query has an item"):
        ALONE.calibrate(targets=strict)
    for options in ({}, {"protocol": "closed"}):
        with pytest.raises(ValueError, match="With one item a class, ask for false accepts, as targets="):
            ALONE.calibrate(**options)


@pytest.mark.parametrize("rate", ["false_accept_rate", "false_accept_bound", "recall", "precision", "f1"])
@pytest.mark.parametrize("value", [1, 1.0, 0, 5, -0.1, True, np.nan, "0.5"])
def test_rates_outside_0_and_1_are_refused(rate, value):
    percent = {1: "0.01 means 1 %", 5: "0.05 means 5 %"}.get(value, "0.01 means 1 %")
    with pytest.raises(
        ValueError, match=rf"targets\['s'\] must ask for a value from 0 to 1, neither.*{percent}"
    ):
        by_hand().calibrate(targets={"s": (rate, value)})


def test_neighbouring_floats():
    """The threshold is below the nearest stranger, also where nothing lies between."""
    here, after = 1.0 + 2**-52, 1.0 + 2**-51  # their mean rounds to the larger
    assert (here + after) / 2 == after
    search = SimilaritySearch().fit([[0.0], [60.0]], ["a", "b"])
    calibration = search.calibrate([[here], [-after]], ["a", "nobody"])
    assert calibration.cutpoints["optimal"]["false_accept_rate"] == 0
    assert search.predict([[here], [-after]]).tolist() == ["a", "unknown"]


def test_a_hopeless_calibration_says_so():
    rng = np.random.default_rng(0)
    noise, labels = rng.normal(size=(200, 20)), np.repeat(np.arange(50), 4)
    search = SimilaritySearch().fit(noise, labels)
    with pytest.warns(UserWarning, match="of little use: known queries and strangers lie") as w:
        calibration = search.calibrate()
    assert w[0].filename == __file__
    for printed in (repr(calibration), calibration._repr_html_()):
        assert "no threshold tells them apart. Train or choose another embedder" in printed
    assert "no threshold tells" not in repr(digits().calibrate())


def test_a_target_that_refuses_everyone_says_so():
    search = SimilaritySearch().fit([[0.0], [0.0], [5.0], [6.0]], ["a", "b", "c", "c"])
    assert "'strict' refuses nearly everyone (recall 0.000): ask for" in repr(
        search.calibrate(targets={"strict": ("false_accept_rate", 0.1)})
    )


def test_targets_by_name():
    targets = {
        "strict": ("false_accept_rate", 0.01),
        "sure": ("false_accept_bound", 0.2),
        "precise": ("precision", 0.95),
        "open door": ("recall", 0.99),
    }
    search = digits()
    calibration = search.calibrate(targets=targets)
    cuts = calibration.cutpoints
    assert cuts["strict"]["false_accept_rate"] <= 0.01
    assert cuts["sure"]["false_accept_bound"] <= 0.2
    assert cuts["precise"]["precision"] >= 0.95
    assert cuts["open door"]["recall"] >= 0.99
    assert cuts["strict"]["distance"] < cuts["open door"]["distance"]
    low, high = calibration.intervals["strict"]["false_accept_rate"]
    assert low <= cuts["strict"]["false_accept_rate"] < high
    refused = [
        (search.set_cutpoint(name).predict(X[STRANGERS]) == -1).mean() for name in ("strict", "open door")
    ]
    assert refused[0] > refused[1]
    assert (search.set_cutpoint(None).predict(X[STRANGERS]) >= 0).all()


def test_prints_as_a_table():
    text = repr(by_hand().calibrate())
    assert text.splitlines()[1].startswith("optimal")
    assert "open protocol, 4 known queries and 5 strangers; gallery of 5 items in 3 classes" in text
    assert "<td>optimal</td>" in by_hand().calibrate()._repr_html_()


def test_no_match_labels():
    assert digits().no_match_label_ == -1
    search = by_hand()
    search.calibrate()
    assert search.predict([[0.2], [100.0]]).tolist() == ["a", "unknown"]
    search = SimilaritySearch(no_match_label="nobody").fit([[0.0], [0.1], [5.0], [5.2]], [1, 1, 2, 2])
    search.calibrate()
    assert search.predict([[0.0], [100.0]]).tolist() == [1, "nobody"]


def test_predict_before_calibrate_says_so_once_where_it_matters():
    search = SimilaritySearch(no_match_label="nobody").fit([[0.0], [1.0]], ["a", "b"])
    with pytest.warns(UserWarning, match="no query gets no_match_label='nobody' before calibrate"):
        assert search.predict([[100.0]]).tolist() == ["b"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.predict([[100.0]])


def test_a_gallery_that_grows_says_so_again_when_it_has_doubled():
    search = by_hand()
    search.calibrate()
    search.partial_fit([[20.0]], ["d"])
    with pytest.warns(
        UserWarning, match="grown from 5 items in 3 classes at calibration to 8 in 6"
    ) as caught:
        search.partial_fit([[30.0], [40.0]], ["e", "f"])  # twice the classes
    assert caught[0].filename == __file__
    search.partial_fit(10.0 * np.arange(5, 11)[:, None], list("ghijkl"))  # four times
    with pytest.warns(UserWarning, match="to 15 in 13"):
        search.partial_fit([[110.0]], ["m"])
    assert search.calibrate(targets={"s": ("false_accept_rate", 0.1)}).n_gallery == 15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.calibrate(protocol="half"), "protocol must be 'open' or 'closed'; got 'half'"),
        (lambda s: s.calibrate(metric="accuracy"), "'accuracy' is not a rate of this protocol"),
        (lambda s: s.calibrate(targets={"a": 0.5}), r"targets\['a'\] must be a rate and its value"),
        (
            lambda s: s.calibrate(targets={"a": ("recall", 2)}),
            "from 0 to 1, neither 0 nor 1: 0.02 means 2 %; got",
        ),
        (lambda s: s.calibrate(targets={"optimal": ("recall", 1)}), "'optimal' is the name of the cutpoint"),
        (
            lambda s: s.calibrate(targets={"a": ("false_accept_bound", 0.1)}),
            "no threshold reaches that, the best has 0.25",
        ),
        (
            lambda s: s.calibrate(targets={"a": ("recall", "all")}),
            "from 0 to 1, neither 0 nor 1: 0.01 means 1 %; got",
        ),
        (
            lambda s: s.calibrate(targets=[("recall", 1)]),
            "targets must be a dict of names to rates and values",
        ),
        (
            lambda s: s.calibrate(extra_metrics="recall"),
            r"extra_metrics must be a list of rates; got 'recall'",
        ),
        (lambda s: s.calibrate(metric="false_accept_rate"), "is a rate to keep low, and 'optimal' maximises"),
        (lambda s: s.calibrate(n_resamples=0), "n_resamples must be an integer from 1; got 0"),
        (lambda s: s.calibrate([[0.0]]), "X and y go together"),
        (lambda s: s.calibrate(confidence_level=95), "confidence_level must be between 0 and 1; got 95"),
        (lambda s: s.calibrate(confidence_level="95"), "confidence_level must be between 0 and 1; got '95'"),
        (lambda s: s.calibrate(metric=3), "3 is not a rate of this protocol"),
        (lambda s: s.calibrate(targets={1: ("recall", 0.5)}), "the name of a cutpoint is text.*got 1"),
        (lambda s: s.set_cutpoint(["strict"]), "no cutpoint .'strict'.: the calibration is missing"),
        (lambda s: s.evaluate([[0.2]], ["a"], recall_at=5), "recall_at must hold integers from 1; got 5"),
        (lambda s: s.set_cutpoint("strict"), "no cutpoint 'strict': the calibration is missing"),
        (lambda s: s.remove([2, 3, 4]).calibrate(), "the gallery must have two or more"),
        (lambda s: s.remove([0, 2]).calibrate(), "no query has an item of its class to find"),
        (lambda s: s.evaluate([[0.2]], ["z"]), "no query is of a class in the gallery"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(by_hand())
    search = SimilaritySearch().fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match="calibrate needs labels, and the gallery has none"):
        search.calibrate()
