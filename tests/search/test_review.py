"""Between known and unknown: the probability that a match is right, the review band, what was promised."""

import joblib
import numpy as np
import pytest

from skmetric.search import SimilaritySearch

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(30, 8)) * 2
y = np.repeat(np.arange(30), 12)
X = CENTRES[y] + RNG.normal(size=(len(y), 8))
KNOWN = y < 20
GALLERY, QUERIES = np.flatnonzero(KNOWN)[::2], np.flatnonzero(KNOWN)[1::2]
TARGETS = {"sure": ("false_accept_rate", 0.02), "maybe": ("false_accept_rate", 0.3)}


def calibrated(labels=y, **options):
    search = SimilaritySearch(**options).fit(X[GALLERY], labels[GALLERY])
    search.calibrate(targets=TARGETS)
    return search


@pytest.mark.parametrize("matcher", ["nearest", "center", "majority"])
def test_a_probability_falls_with_the_score_and_holds_on_new_queries(matcher):
    search = calibrated(matcher=matcher)
    search.calibrate(runner_up=0)
    rows = np.concatenate([X[QUERIES], X[~KNOWN]])
    found = search.match_probability(rows)
    right = search.set_cutpoint(None).predict(rows) == np.concatenate(
        [y[QUERIES], np.full((~KNOWN).sum(), -2)]
    )
    assert ((found >= 0) & (found <= 1)).all()
    if matcher == "nearest":
        distances = search.kneighbors(rows, 1)[0][:, 0]
        assert (np.diff(found[np.argsort(distances)]) <= 0).all()
    assert found.mean() == pytest.approx(right.mean(), abs=0.12)
    assert found[right].mean() > found[~right].mean() + 0.1


def test_a_probability_by_the_formula_of_the_calibration_with_any_runner_up():
    search = calibrated()
    calibration = search.calibrate(runner_up=0.5)
    distances = np.linalg.norm(X[~KNOWN][:, None] - X[GALLERY], axis=2)
    of_class = np.sort(np.stack([distances[:, y[GALLERY] == c].min(axis=1) for c in range(20)]), axis=0)
    square = of_class[0] ** 2 - 0.5 * of_class[1] ** 2
    score = np.copysign(np.sqrt(np.abs(square)), square)
    expected = 1 / (
        1 + np.exp(-calibration.probability["intercept"] - calibration.probability["slope"] * score)
    )
    np.testing.assert_allclose(search.match_probability(X[~KNOWN]), expected)


def test_no_probability_without_known_queries_or_strangers():
    with pytest.raises(ValueError, match=r"call calibrate\(\) first"):
        SimilaritySearch().fit(X[GALLERY], y[GALLERY]).match_probability(X)
    alone = SimilaritySearch().fit(CENTRES, np.arange(30))
    alone.calibrate(targets=TARGETS)
    with pytest.raises(ValueError, match="two items of some classes"):
        alone.match_probability(X)


@pytest.mark.parametrize("runner_up", [0, 0.35])
@pytest.mark.parametrize(("labels", "review", "unknown"), [(y, -2, -1), (y.astype(str), "review", "unknown")])
def test_three_answers(labels, review, unknown, runner_up):
    search = SimilaritySearch().fit(X[GALLERY], labels[GALLERY])
    search.calibrate(targets=TARGETS, runner_up=runner_up)
    sure, maybe = (search.set_cutpoint(name).predict(X) for name in TARGETS)
    three = search.set_cutpoint("sure", review="maybe").predict(X)
    between = (sure == unknown) & (maybe != unknown)
    assert between.any()
    np.testing.assert_array_equal(three, np.where(between, review, sure))
    assert (search.review_cutpoint_, search.review_label_) == ("maybe", review)
    assert repr(review) in repr(search)
    assert search.set_cutpoint("sure").review_cutpoint_ is None


def test_a_review_survives_folders_and_pickles_and_ends_with_the_next_calibration(tmp_path):
    search = calibrated(review_label=-7).set_cutpoint("sure", review="maybe")
    search.save(tmp_path / "folder")
    joblib.dump(search, tmp_path / "pickle")
    predicted = search.predict(X)
    assert (predicted == -7).any()
    for again in (SimilaritySearch.load(tmp_path / "folder"), joblib.load(tmp_path / "pickle")):
        np.testing.assert_array_equal(again.predict(X), predicted)
        np.testing.assert_array_equal(again.match_probability(X), search.match_probability(X))
    search.calibrate()
    assert search.review_cutpoint_ is None


@pytest.mark.parametrize(
    ("options", "cutpoints", "message"),
    [
        ({}, ("maybe", "sure"), r"'sure' is stricter than 'maybe': set_cutpoint\('sure', review='maybe'\)"),
        ({}, (None, "sure"), "needs a cutpoint that accepts less"),
        ({}, ("sure", "wide"), "there is no cutpoint 'wide'"),
        ({"review_label": 3}, ("sure", "maybe"), "review_label=3 is a class"),
        ({"review_label": -1}, ("sure", "maybe"), "or the label of strangers"),
    ],
)
def test_refusals(options, cutpoints, message):
    search = calibrated(**options)
    with pytest.raises(ValueError, match=message):
        search.set_cutpoint(cutpoints[0], review=cutpoints[1])
    assert (search.cutpoint_, search.review_cutpoint_) == ("optimal", None)


def test_evaluate_shows_what_was_promised():
    search = calibrated()
    evaluation = search.evaluate(X[QUERIES], y[QUERIES], X[~KNOWN], n_resamples=20)
    cut = search.calibration_.cutpoints["optimal"]
    recall, far = cut["recall"], cut["false_accept_rate"]
    assert evaluation.promised == {
        "identified": recall, "unknown_accepted": far, "balanced_accuracy": (recall + 1 - far) / 2
    }  # fmt: skip
    assert evaluation.promised_intervals["identified"] == search.calibration_.intervals["optimal"]["recall"]
    for text in (repr(evaluation), evaluation._repr_html_()):
        assert "promised" in text
        assert f"{far:.3f}" in text
    assert "promised" not in repr(search.set_cutpoint(None).evaluate(X[QUERIES], y[QUERIES], n_resamples=20))
