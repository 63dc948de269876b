import pickle

import numpy as np
import pytest

from skmetric import metrics
from skmetric.metrics import retrieval_report
from skmetric.metrics._bootstrap import resampled_means

ALL = [
    *("recall_at_1", "recall_at_10", "precision_at_10", "r_precision", "map_at_r"),
    *("mean_average_precision", "mean_reciprocal_rank", "ndcg_at_10"),
]


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    y = np.append(np.repeat(["<b>", "nut", "cog"], [10, 15, 25]), "lone")
    return rng.normal(size=(51, 3)) + np.where(y == "nut", 1.0, 0.0)[:, None], y


def test_scores_are_those_of_the_functions(data):
    report = retrieval_report(*data)
    assert list(report.scores) == ALL == list(report.intervals) == list(report.chance)
    for name in ALL:
        function = getattr(metrics, name, None) or getattr(metrics, f"{name.rpartition('_')[0]}_k")
        k = {} if hasattr(metrics, name) else {"k": int(name.rpartition("_")[2])}
        assert report[name] == pytest.approx(function(*data, **k), abs=1e-15)
        low, high = report.intervals[name]
        assert 0 <= low <= report[name] <= high <= 1
    assert (report.n_queries, report.n_unanswerable, report.n_gallery) == (50, 1, 50)


def test_gallery(data):
    X, y = data
    report = retrieval_report(X[::2], y[::2], gallery=X[1::2], y_gallery=y[1::2])
    assert (report.n_queries, report.n_unanswerable, report.n_gallery) == (25, 1, 25)
    assert report["map_at_r"] == metrics.map_at_r(X[::2], y[::2], gallery=X[1::2], y_gallery=y[1::2])


def test_only_the_default_cutoffs_are_clipped():
    X, y = np.arange(6.0)[:, None], [0, 0, 0, 1, 1, 1]
    assert "recall_at_10" not in retrieval_report(X, y).scores
    with pytest.raises(ValueError, match=r"k=10 is more than the 5 items"):
        retrieval_report(X, y, k=[1, 10])
    assert [
        name for name in retrieval_report(X, y, k=[5, 2]).scores if "_at_5" in name or "_at_2" in name
    ] == [*("recall_at_5", "recall_at_2", "precision_at_5", "precision_at_2", "ndcg_at_5", "ndcg_at_2")]


def test_chosen_scores(data):
    full = retrieval_report(*data)
    some = retrieval_report(*data, scores=("map_at_r", "recall_at_10"))
    assert list(some.scores) == ["map_at_r", "recall_at_10"]
    for name in some.scores:
        assert some[name] == pytest.approx(full[name], abs=1e-15)
        assert some.intervals[name] == pytest.approx(full.intervals[name], abs=1e-12)  # the same draws
    with pytest.raises(ValueError, match="unknown score 'accuracy'; the choices are recall_at_<k>"):
        retrieval_report(*data, scores=["accuracy"])
    for both in [{"k": [1], "scores": ["map_at_r"]}, {"scores": []}]:
        with pytest.raises(ValueError, match="give k or the names of at least one score"):
            retrieval_report(*data, **both)


def test_per_class_scores_average_to_the_whole(data):
    report = retrieval_report(*data, per_class=True)
    assert list(report.per_class) == ["<b>", "cog", "nut"]  # "lone" has nothing to find
    sizes = {"<b>": 10, "cog": 25, "nut": 15}
    for name in ALL:
        mean = sum(report.per_class[label][name] * size for label, size in sizes.items()) / 50
        assert mean == pytest.approx(report[name], abs=1e-12)
    assert retrieval_report(*data).per_class is None


def test_intervals_repeat_and_narrow_with_confidence(data):
    assert retrieval_report(*data).intervals == retrieval_report(*data).intervals
    other, one = (retrieval_report(*data, random_state=seed, resample="queries") for seed in (1, 0))
    assert other.intervals != one.intervals
    wide, narrow = (
        retrieval_report(*data, confidence_level=level).intervals["map_at_r"] for level in (0.99, 0.5)
    )
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_resampled_means_have_the_standard_error_of_the_mean():
    values = np.random.default_rng(0).exponential(size=(2, 400))
    means = resampled_means(values, 4000, np.random.default_rng(1))
    expected = values.std(axis=1) / np.sqrt(400)
    assert means.mean(axis=0) == pytest.approx(values.mean(axis=1), abs=4 * expected.max() / np.sqrt(4000))
    assert means.std(axis=0) == pytest.approx(expected, rel=4 / np.sqrt(2 * 4000))  # 4 standard errors


def test_constant_scores_have_an_interval_of_no_width():
    report = retrieval_report(np.repeat([[0.0], [9.0]], 20, axis=0), np.repeat([0, 1], 20))
    assert set(report.intervals.values()) == {(1.0, 1.0)}


def test_tables(data):
    report = retrieval_report(*data, per_class=True)
    text = str(report).splitlines()
    assert text[0].split() == ["score", "95%", "interval", "chance"]
    assert len({len(line) for line in text[:9]}) == 1  # aligned
    assert text[1].split()[:2] == ["recall_at_1", f"{report['recall_at_1']:.3f}"]
    assert text[-1] == (
        "50 queries, each searched among 50 items; 1 more had nothing to find and were left out; "
        "intervals over classes"
    )
    html = report._repr_html_()
    assert "<td>&lt;b&gt;</td>" in html
    assert "<td><b></td>" not in html


def test_pickle(data):
    report = retrieval_report(*data, per_class=True)
    again = pickle.loads(pickle.dumps(report))
    assert (again.scores, again.per_class) == (report.scores, report.per_class)


def test_interval_over_classes_by_hand():
    """A class of two queries that find each other, and one of two that do not: three samples of classes."""
    X, y = [[0.0], [1.0], [10.0], [12.0], [11.0], [11.1]], list("aabbcd")
    report = retrieval_report(X, y, scores=["recall_at_1"], n_resamples=4000, confidence_level=0.9)
    assert (report["recall_at_1"], report.resample) == (0.5, "classes")
    assert report.intervals["recall_at_1"] == (0.0, 1.0)  # aa, ab, ba, bb: 1, 1/2, 1/2, 0


def test_resampled_classes_have_the_mean_of_their_queries():
    values, codes = np.array([[1.0, 2.0, 6.0]]), np.array([0, 0, 1])
    means = resampled_means(values, 200, np.random.default_rng(0), codes)
    # both once: 9 / 3; the first twice: 6 / 4; the second twice: 12 / 2
    assert set(means[:, 0].tolist()) == {3.0, 1.5, 6.0}


def class_effects(rng, n_classes=40, size=8):
    """Embeddings of classes of which some hold together and some do not."""
    y = np.repeat(np.arange(n_classes), size)
    spread = rng.choice([0.3, 1.5], n_classes)[y, None]
    return rng.normal(size=(n_classes, 4))[y] * 1.5 + spread * rng.normal(size=(len(y), 4)), y


def test_intervals_over_classes_cover_what_other_classes_score():
    rng, asked = np.random.default_rng(0), {"scores": ["map_at_r"], "n_resamples": 200}
    sets = [class_effects(rng) for _ in range(150)]
    truth = np.mean([metrics.map_at_r(*data) for data in sets])
    covered = {}
    for kind in ("classes", "queries"):
        intervals = [retrieval_report(*data, **asked, resample=kind).intervals["map_at_r"] for data in sets]
        covered[kind] = np.mean([low <= truth <= high for low, high in intervals])
    assert covered["classes"] > 0.88  # of 0.95; 150 sets tell it to 0.02
    assert covered["queries"] < 0.75


def test_one_class_has_no_interval_over_classes():
    asked = {"gallery": [[1.0], [2.0]], "y_gallery": [0, 1], "scores": ["recall_at_1"]}
    with pytest.warns(UserWarning, match="intervals over classes are NaN.*resample='queries'") as caught:
        report = retrieval_report([[0.0], [3.0]], [0, 0], **asked)
    assert caught[0].filename == __file__
    assert np.isnan(report.intervals["recall_at_1"]).all()
    assert retrieval_report([[0.0], [3.0]], [0, 0], **asked, resample="queries")["recall_at_1"] == 0.5
