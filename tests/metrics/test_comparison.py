"""compare: differences are those of two reports, intervals are paired."""

import numpy as np
import pytest

from skmetric.metrics import Comparison, compare, retrieval_report, verification_report
from skmetric.search import SimilaritySearch

RNG = np.random.default_rng(0)
y = np.repeat(np.arange(12), 6)
A = RNG.normal(size=(12, 4))[y] + RNG.normal(size=(72, 4))
B = np.hstack([A, RNG.normal(size=(12, 2))[y] + RNG.normal(size=(72, 2))])
NAMES = ["recall_at_1", "map_at_r", "mean_average_precision"]


@pytest.mark.parametrize("options", [{}, {"k": [1, 5]}, {"scores": NAMES, "resample": "queries"}])
def test_scores_are_those_of_two_reports(options):
    found, first, second = compare(A, B, y, **options), *(retrieval_report(X, y, **options) for X in (A, B))
    assert isinstance(found, Comparison)
    assert (found.scores_a, found.scores_b) == (first.scores, second.scores)
    assert found.differences == {name: second[name] - first[name] for name in first.scores}
    assert (found.n_queries, found.n_gallery) == (first.n_queries, first.n_gallery)


def test_a_metric_against_itself_differs_in_no_sample():
    assert set(compare(A, A, y).intervals.values()) == {(0.0, 0.0)}
    assert set(compare(A, 2 * A + 1, y).differences.values()) == {0.0}


def test_three_classes_by_hand():
    a, b = [[0.0], [1.0], [1.1], [2.0], [9.0], [2.1]], [[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]]
    found = compare(a, b, ["x", "x", "y", "y", "z", "z"], scores=["recall_at_1"])
    # a: 0 finds 1 (right), 1 finds 1.1, 1.1 finds 1, 2 finds 2.1, 9 finds 2.1 (right), 2.1 finds 2
    assert found.scores_a["recall_at_1"] == pytest.approx(2 / 6)
    assert found["recall_at_1"] == pytest.approx(4 / 6)
    assert found.intervals["recall_at_1"] == pytest.approx((0.5, 1.0), abs=1e-9)  # x: .5, y: 1, z: .5


def test_the_interval_is_narrower_than_that_of_unpaired_draws():
    found, first, second = compare(A, B, y), retrieval_report(A, y), retrieval_report(B, y, random_state=1)
    low, high = found.intervals["map_at_r"]
    widths = [np.ptp(report.intervals["map_at_r"]) for report in (first, second)]
    assert high - low < np.hypot(*widths)
    assert low <= found["map_at_r"] <= high


def test_a_pair_of_galleries():
    queries, items = np.arange(72) % 6 == 0, np.arange(72) % 6 != 0
    found = compare(A[queries], B[queries], y[queries], gallery=(A[items], B[items]), y_gallery=y[items])
    expected = retrieval_report(B[queries], y[queries], gallery=B[items], y_gallery=y[items])
    assert found.scores_b == expected.scores
    assert found.n_gallery == 60


def test_it_prints_a_table():
    found = compare(A, B, y, scores=["map_at_r"])
    for text in (repr(found), found._repr_html_()):
        assert "b - a" in text
        assert f"{found['map_at_r']:+.3f}" in text
        assert "72 queries, each searched among 71 items; paired intervals over classes" in text


def test_one_class_has_no_interval():
    with pytest.warns(UserWarning, match="of one class") as warned:
        found = compare(A[:8], B[:8], [0] * 6 + [1, 2], scores=["map_at_r"])
    assert np.isnan(found.intervals["map_at_r"]).all()
    assert found.n_unanswerable == 2
    assert warned[0].filename == __file__


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare(A, B[:-1], y), "a and b must be the same samples .* 72 and 71 rows"),
        (
            lambda: compare(A, B, y, gallery=A, y_gallery=y),
            r"gallery=\(gallery_a, gallery_b\); got a ndarray",
        ),
        (lambda: compare(A, B, y, gallery=(A, B[:9]), y_gallery=y), "galleries .* 72 and 9 rows"),
        (lambda: compare(A, B, y, k=[1], scores=["map_at_r"]), "give k or the names"),
        (lambda: compare(A, B, np.arange(72)), "no query has anything to find"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_in_a_report_is_asked_by_name():
    y = np.repeat([0, 1, 2], 4)
    X = np.random.default_rng(0).normal(size=(12, 3)) + y[:, None]
    search = SimilaritySearch().fit(X, y)
    for report in (
        retrieval_report(X, y),
        compare(X, 2 * X, y),
        verification_report(X[:, 0], y == 1),
        search.evaluate(X + 0.3, y),
    ):
        assert list(report) == report.keys() == list(dict(report))
        assert report.keys()[0] in report
        assert "recall_at_99" not in report
        with pytest.raises(KeyError, match=rf"no score 'recall_at_99'; there are {report.keys()[0]}"):
            report["recall_at_99"]
