"""Intervals of an evaluation: the class is the unit."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from skmetric.search import SimilaritySearch
from skmetric.search._calibration._class_bootstrap import intervals_over_classes

LINE = SimilaritySearch().fit([[0.0], [10.0], [20.0]], ["a", "b", "c"])


def test_two_classes_by_hand():
    # class 0 is right on all 30 queries, class 1 on none: a quarter of the draws has class 0 alone, a quarter
    # class 1 alone, so the interval is all; of queries it would be .5 +- .13
    right, classes = np.repeat([True, False], 30), np.repeat([0, 1], 30)
    known, distances = np.ones(60, dtype=bool), np.ones(60)
    found = intervals_over_classes(
        {"accuracy": right}, right, known, known, distances, classes, 0.95, 200, np.random.default_rng(0)
    )
    assert found == {"accuracy": (0.0, 1.0)}


def test_every_score_has_an_interval_around_it():
    rng = np.random.default_rng(0)
    centres = 2 * rng.normal(size=(40, 5))
    points = centres[:, None] + 0.5 * rng.normal(size=(40, 8, 5))
    y = np.repeat(np.arange(40), 4)
    search = SimilaritySearch().fit(points[:30, :4].reshape(-1, 5), y[:120])
    search.calibrate()
    evaluation = search.evaluate(points[:, 4:].reshape(-1, 5), y)  # ten classes of strangers by label
    assert evaluation.intervals.keys() == evaluation.scores.keys()
    for name, (low, high) in evaluation.intervals.items():
        assert low <= evaluation[name] <= high
        assert f"[{low:.3f}, {high:.3f}]" in repr(evaluation)
    unlabelled = search.evaluate(points[:30, 4:].reshape(-1, 5), y[:120], points[30:, 4:].reshape(-1, 5))
    assert unlabelled.scores == pytest.approx(evaluation.scores)
    wide, narrow = (np.ptp(e.intervals["unknown_accepted"]) for e in (evaluation, unlabelled))
    assert wide > 1.2 * narrow  # strangers without labels count as a class each


def test_areas_of_equal_weights_are_those_of_the_scores():
    rng = np.random.default_rng(0)
    distances = rng.integers(5, size=60).astype(float)  # ties
    known, right = rng.random(60) < 0.5, rng.random(60) < 0.7
    classes = np.arange(60)
    found = intervals_over_classes(
        {"identified": right[known]}, right & known, known, known, distances, classes, 1e-9, 4001, rng
    )
    assert found["auroc"][0] == pytest.approx(roc_auc_score(known, -distances), abs=0.01)  # the median


def test_one_class_has_no_interval_and_options_are_checked():
    evaluation = LINE.evaluate([[0.1], [0.2]], ["a", "a"])
    assert evaluation.intervals == {}
    assert "interval" not in repr(evaluation)
    with pytest.raises(ValueError, match="confidence_level must be between 0 and 1; got 95"):
        LINE.evaluate([[0.1]], ["a"], confidence_level=95)
    with pytest.raises(ValueError, match="n_resamples must be an integer from 1; got 0"):
        LINE.evaluate([[0.1]], ["a"], n_resamples=0)
