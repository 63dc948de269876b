"""Labels as they come: integers of every kind stay integers, a table of one column is a column."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning

from skmetric import DeepMetricLearner, MetricLearner, SimilaritySearch
from skmetric._checks import check_labels, encode_labels, join_labels
from skmetric.deep._data._labelled import _numbered
from skmetric.deep.samplers import BalancedBatchSampler
from skmetric.inspection import DistanceHistogramDisplay, EmbeddingDisplay
from skmetric.metrics import RetrievalScorer, map_at_r, retrieval_report, verification_report
from skmetric.metrics._scores import _depth, parse_score
from skmetric.model_selection import ClassDisjointKFold, class_disjoint_split, query_gallery_split

FIRST = 1_200_000_000_000_000_001  # float64 counts by 256 there
IDS = np.repeat(np.arange(FIRST, FIRST + 8), 4)
X = np.random.default_rng(0).normal(size=(8, 3))[IDS - FIRST] * 9 + np.random.default_rng(1).normal(
    size=(32, 3)
)
KINDS = {
    "Int64": lambda y: pd.Series(y, dtype="Int64"),
    "UInt64": lambda y: pd.Series(y, dtype="UInt64"),
    "arrow": lambda y: pd.Series(y, dtype="int64[pyarrow]"),
    "array": lambda y: pd.array(y, dtype="Int64"),
    "objects": lambda y: pd.Series(y, dtype=object),
    "column of Int64": lambda y: pd.DataFrame({"id": pd.Series(y, dtype="Int64")}),
    "categories": lambda y: pd.Series(y, dtype="Int64").astype("category"),
    "uint64": lambda y: y.astype(np.uint64),
    "int64 and uint64": lambda y: [np.uint64(v) if i % 2 else np.int64(v) for i, v in enumerate(y)],
    "column": lambda y: y[:, None],
    "list": lambda y: y.tolist(),
    "polars": lambda y: pytest.importorskip("polars").Series(y),
    "polars frame": lambda y: pytest.importorskip("polars").DataFrame({"id": y}),
    "pyarrow": lambda y: pytest.importorskip("pyarrow").array(y),
}  # fmt: skip
any_kind = pytest.mark.parametrize("kind", KINDS)


@any_kind
def test_integers_stay_integers(kind):
    """scikit-learn/scikit-learn #25073, #25953: nullable integers become float64."""
    labels = check_labels(KINDS[kind](IDS), 32)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, IDS)


@any_kind
def test_every_place_that_reads_labels(kind):
    y = KINDS[kind](IDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataConversionWarning)
        search = SimilaritySearch().fit(X, y)
    np.testing.assert_array_equal(search.predict(X), IDS)
    np.testing.assert_array_equal(MetricLearner((0.5, 1)).fit(X, y).classes_, np.unique(IDS))
    for train, test in ClassDisjointKFold(2).split(X, y):
        assert len(set(IDS[train]) & set(IDS[test])) == 0
        assert len(set(IDS[test])) == 4
    assert len(query_gallery_split(X, y, query_size=1, random_state=0)[0]) == 8
    assert map_at_r(X, y) == RetrievalScorer("map_at_r")(search, X, y) == map_at_r(X, IDS)
    display = DistanceHistogramDisplay.from_estimator(search, X, y)
    assert len(display.same) == 32
    drawn = EmbeddingDisplay.from_predictions(X, y)
    plt.close("all")
    assert len(np.unique(drawn.labels)) == 8


@any_kind
def test_networks(kind):
    learner = DeepMetricLearner("mlp", max_epochs=1, random_state=0).fit(X, KINDS[kind](IDS))
    assert learner.classes_.tolist() == np.unique(IDS).tolist()


@pytest.mark.parametrize("missing", [None, pd.NA, float("nan")], ids=str)
def test_missing_labels_are_refused_by_row(missing):
    for y in (
        [FIRST, missing, 2, 3],
        pd.Series([FIRST, missing, 2, 3], dtype=object if isinstance(missing, float) else "Int64"),
        np.array([FIRST, missing, 2, 3], dtype=object),
    ):
        with pytest.raises(ValueError, match=r"y (has no label|contains NaN) in row 1: label or drop"):
            check_labels(y, 4)


def test_a_frame_of_one_row_has_one_label():
    frame = pd.DataFrame({"label": ["ant"]})
    assert check_labels(frame, 1).tolist() == ["ant"]
    search = SimilaritySearch().fit([[0.0], [5.0]], ["ant", "bee"])
    with pytest.warns(DataConversionWarning) as caught:
        search.partial_fit([[9.0]], frame)
    assert caught[0].filename == __file__
    assert search.classes_.tolist() == ["ant", "bee"]


def test_a_frame_goes_through_the_splitters_into_fit():
    frame = pd.DataFrame({"label": [f"c{code % 8}" for code in IDS - FIRST]})
    X_train, X_test, y_train, y_test = class_disjoint_split(X, frame, random_state=0)
    assert list(y_train) == ["label"]
    learner = MetricLearner((0.5, 1)).fit(X_train, y_train)
    assert learner.score(X_test, y_test) == learner.score(X_test, y_test["label"])
    networks = DeepMetricLearner("mlp", max_epochs=1, random_state=0)
    assert networks.fit(X_train, y_train).classes_.tolist() == learner.classes_.tolist()


def test_several_columns_are_refused_with_their_shape():
    with pytest.raises(ValueError, match=r"a 1d array, one label for each row; got shape \(2, 2\)"):
        check_labels(pd.DataFrame({"a": [1, 2], "b": [1, 2]}), 2)


@pytest.mark.parametrize("y", ["abc", {"a": 1}, 5], ids=str)
def test_no_column_at_all(y):
    with pytest.raises(ValueError, match="y should be a 1d array"):
        check_labels(y, 3)


def test_two_sides_of_int64_and_uint64():
    codes, codes_gallery, classes = encode_labels(np.array([-1, FIRST]), np.array([2**63, FIRST], np.uint64))
    assert classes.tolist() == [-1, FIRST, 2**63]
    assert codes.tolist() == [0, 1]
    assert codes_gallery.tolist() == [2, 1]
    assert join_labels(np.array([FIRST]), np.array([2.0])).tolist() == [FIRST, 2]


def test_partial_fit_of_int64_then_uint64():
    learner = MetricLearner((0.5, 1)).partial_fit(X, IDS).partial_fit(X, IDS.astype(np.uint64) + 4)
    assert learner.classes_.dtype == np.int64
    np.testing.assert_array_equal(learner.classes_, np.arange(FIRST, FIRST + 12))


def test_numbers_of_both_kinds():
    assert check_labels([1, 2.0, 3], 3).dtype == np.float64  # as they always were
    assert check_labels([FIRST, 2.0], 2).tolist() == [FIRST, 2]
    assert check_labels([FIRST, FIRST + 1, 0.5], 3).tolist() == [FIRST, FIRST + 1, 0.5]
    assert check_labels([2**63, -1], 2).tolist() == [2**63, -1]
    assert check_labels([True, False], 2).dtype == bool


def test_text_of_a_frame_costs_what_it_is_long():
    labels = check_labels(pd.Series(["a"] * 1000 + ["b" * 10_000]), 1001)
    assert labels.nbytes < 10_000  # pointers, not 1001 times the longest


def test_classes_of_a_report_keep_integers():
    y = pd.Series(IDS, dtype="UInt64")
    report = retrieval_report(X, y, per_class=True, scores=["map_at_r"], n_resamples=2)
    assert list(report.per_class) == np.unique(IDS).tolist()


def test_depth_of_a_score_counts_each_integer():
    # ids that float64 takes for one would ask for all 32 ranks; nothing is found deeper than 4
    assert map_at_r(X, IDS.tolist()) == map_at_r(X, pd.Series(IDS, dtype="UInt64"))
    assert _depth([parse_score("map_at_r")], pd.Series(IDS, dtype="Int64"), None) == 4


def test_the_same_pairs_of_pandas():
    same = pd.Series([True, False, True, False], dtype="boolean")
    assert verification_report([0.1, 0.9, 0.2, 0.8], same, n_resamples=2)["auc"] == 1
    with pytest.raises(ValueError, match=r"same .* in row 1: label or drop"):
        verification_report([0.1, 0.9], pd.Series([True, None], dtype="boolean"))


@pytest.mark.parametrize("more", [2**63 + 1, 2.0], ids=str)
def test_a_gallery_that_grows_by_numbers_of_another_type(more):
    search = SimilaritySearch().fit([[0.0], [5.0]], [FIRST, FIRST + 1])
    search.partial_fit([[9.0]], [more])
    assert sorted(search.classes_.tolist()) == sorted([FIRST, FIRST + 1, more])
    assert search.predict([[9.1], [5.1]]).tolist() == [more, FIRST + 1]


def test_proxies_of_int64_and_uint64():
    classes, codes = _numbered(np.array([FIRST + 1, FIRST], np.uint64), np.array([FIRST, FIRST + 1, -1]))
    assert classes.tolist() == [FIRST, FIRST + 1, -1]
    assert codes.tolist() == [1, 0]
    with pytest.raises(ValueError, match=rf"no proxies for the labels \[{FIRST + 2}\]"):
        _numbered(np.array([FIRST + 2], np.uint64), classes)


def test_batches_of_nullable_integers():
    labels = pd.Series(IDS, dtype="Int64").astype(object)
    sampler = BalancedBatchSampler(labels, classes_per_batch=8, samples_per_class=2)
    for batch in sampler:
        assert np.unique(IDS[batch], return_counts=True)[1].tolist() == [2] * 8
    with pytest.raises(ValueError, match=r"labels .* in row 1: label or drop"):
        BalancedBatchSampler(pd.Series([1, None, 2], dtype="Int64"), 2, 1)


@pytest.mark.filterwarnings("ignore:.* of the 32 queries")  # which find themselves, as is wanted here
@pytest.mark.parametrize("offset", [0, 2**63], ids=["int64", "uint64"])
@pytest.mark.parametrize(
    "kind", [list, lambda y: pd.Series(y, dtype=object), lambda y: pd.Series(y).astype("UInt64")]
)
def test_accuracy_of_labels_of_any_kind(kind, offset):
    """pandas gives objects after dropna, and UInt64 beyond 2**63 passes through float64 in scikit-learn."""
    y = kind([int(label) + offset for label in IDS])
    search = SimilaritySearch().fit(X, y)
    assert search.score(X, y) == 1
    wrong = np.array(y, dtype=object)
    wrong[:8] += 1  # two classes of four rows take the next one's name
    assert search.score(X, kind(wrong.tolist())) == 0.75
    assert search.score(X, kind(wrong.tolist()), sample_weight=[0] * 8 + [1] * 24) == 1


@pytest.mark.filterwarnings("ignore:.* of the 32 queries")
def test_accuracy_needs_a_weight():
    with pytest.raises(ValueError, match="sample_weight is 0 for all"):
        SimilaritySearch().fit(X, IDS).score(X, IDS, sample_weight=np.zeros(32))


@pytest.mark.parametrize("no_match_label", [-1, 0.5, float("nan")])
def test_no_match_label_does_not_round_the_others(no_match_label):
    y = (IDS + (2**63 - FIRST)).astype(np.uint64) if no_match_label == -1 else IDS
    search = SimilaritySearch(no_match_label=no_match_label).fit(X, y)
    search.calibrate()
    found = search.predict([X[0], [99.0] * 3]).tolist()
    assert found[0] == int(y[0])
    np.testing.assert_equal(found[1], no_match_label)


@pytest.mark.parametrize("made", [list, lambda y: pytest.importorskip("pyarrow").array(y)])
def test_one_long_label_costs_its_own_length(made):
    """deepchecks #2642: an array of fixed width takes the longest text of all for each row."""
    names = [f"class {row // 2}" for row in range(4000)]
    names[-2:] = ["x" * 20_000] * 2
    labels = check_labels(made(names), 4000)
    assert labels.nbytes < 1e6  # 320 MB at a fixed width
    assert labels.tolist() == names


def test_a_nested_column_keeps_its_integers():
    assert check_labels([[2**63], [-1], [FIRST]], 3).tolist() == [2**63, -1, FIRST]


def sets():
    column = np.empty(8, dtype=object)
    column[:] = [{0, code % 2} for code in range(8)]
    return [list(column), column, pd.Series(list(column)), [sorted(labels) for labels in column]]


@pytest.mark.parametrize("kind", range(4))
def test_sets_are_no_labels(kind):
    """They sort as subsets, so that a score of them would mean nothing."""
    X, y = np.random.default_rng(0).normal(size=(8, 2)), sets()[kind]
    for call in (map_at_r, retrieval_report, MetricLearner().fit, DeepMetricLearner("mlp").fit):
        with pytest.raises(ValueError, match=r"1d array, one label for each row; got .*relevance="):
            call(X, y)
    with pytest.raises(ValueError, match="1d array, one label for each row"):
        class_disjoint_split(X, y)
    with pytest.raises(ValueError, match=r"groups should be a 1d array.*; got (?!.*relevance=)"):
        map_at_r(X, range(8), groups=y)


@pytest.mark.parametrize("text", ["ann\0", b"ann\0", np.array(["bob", "ann\0"], dtype=object)[1]], ids=repr)
def test_labels_that_numpy_would_make_one_are_refused(text):
    # an array of fixed width cuts the NUL off: "ann\0" and "ann" were one class, in every score and learner
    short = text[:-1]
    X, y = np.arange(8.0).reshape(8, 1), [short, text] * 4
    for labels in (y, np.array(y, dtype=object)):
        for call in (
            lambda y: MetricLearner().fit(X, y),
            lambda y: retrieval_report(X, y),
            lambda y: retrieval_report(X, [1, 2] * 4, groups=y),
            lambda y: list(ClassDisjointKFold(2).split(X, y)),
        ):
            with pytest.raises(ValueError, match=r"ends with a NUL character in row 1, .*take it out"):
                call(labels)
