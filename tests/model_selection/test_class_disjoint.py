import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.model_selection import GridSearchCV, cross_validate

from skmetric.model_selection import ClassDisjointKFold, ClassDisjointShuffleSplit, class_disjoint_split


def long_tail(n_classes, seed=0):
    """Labels of classes of 2 to 30 samples, shuffled, and a stand-in for their samples."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(n_classes), rng.integers(2, 31, n_classes)))
    return np.zeros((len(y), 1)), y


any_splitter = pytest.mark.parametrize(
    "splitter",
    [
        ClassDisjointKFold(2),
        ClassDisjointKFold(5, shuffle=True, random_state=0),
        ClassDisjointShuffleSplit(3, random_state=0),
        ClassDisjointShuffleSplit(3, test_size=0.2, random_state=0),
    ],
    ids=repr,
)


@any_splitter
def test_no_class_is_on_both_sides(splitter):
    X, y = long_tail(23)
    splits = list(splitter.split(X, y))
    assert len(splits) == splitter.get_n_splits(X, y)
    for train, test in splits:
        assert not set(y[train]) & set(y[test])
        assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(y)))
        assert_array_equal(train, np.sort(train))


@any_splitter
def test_string_labels_split_as_their_codes_do(splitter):
    X, y = long_tail(23)
    names = np.array([f"class {label:02d}" for label in y])
    for (train, test), (train_names, test_names) in zip(
        splitter.split(X, y), splitter.split(X, list(names)), strict=True
    ):
        assert_array_equal(train, train_names)
        assert_array_equal(test, test_names)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("n_classes", [20, 21, 23, 24, 50])
def test_folds_are_balanced_in_classes_then_in_samples(n_classes, shuffle):
    X, y = long_tail(n_classes)
    folds = [y[test] for _, test in ClassDisjointKFold(5, shuffle=shuffle).split(X, y)]
    assert sum(len(fold) for fold in folds) == len(y)
    assert np.ptp([len(np.unique(fold)) for fold in folds]) == (n_classes % 5 > 0)
    largest = np.bincount(y).max()
    assert np.ptp([len(fold) for fold in folds]) < largest * (1 if n_classes % 5 == 0 else 2)


def test_folds_by_hand():
    # by size: c 4, a 3 | b 2, d 1. Of {a, c} the first in sorted order goes to fold 0, of {b, d} too
    y = np.array(list("ccccaaabbd"))
    (_, first), (_, second) = ClassDisjointKFold(2).split(y, y)
    assert (set(y[first]), set(y[second])) == ({"a", "b"}, {"c", "d"})


def test_shuffled_folds_depend_on_the_seed_alone():
    X, y = long_tail(30)

    def fold_of_seed(seed):
        return next(ClassDisjointKFold(3, shuffle=True, random_state=seed).split(X, y))[1].tolist()

    assert fold_of_seed(0) == fold_of_seed(0)
    assert fold_of_seed(0) != fold_of_seed(1)


@pytest.mark.parametrize(
    ("sizes", "n_train", "n_test"),
    [
        ({}, 10, 11),  # half of 21, rounded up for the test
        ({"test_size": 0.2}, 16, 5),
        ({"train_size": 0.2}, 4, 17),
        ({"train_size": 6, "test_size": 4}, 6, 4),
    ],
)
def test_sizes_count_classes(sizes, n_train, n_test):
    X, y = long_tail(21)
    ((train, test),) = ClassDisjointShuffleSplit(1, random_state=0, **sizes).split(X, y)
    assert (len(np.unique(y[train])), len(np.unique(y[test]))) == (n_train, n_test)
    _, _, y_train, y_test = class_disjoint_split(X, y, random_state=0, **sizes)
    assert_array_equal(y_train, y[train])
    assert_array_equal(y_test, y[test])


def test_repr_is_scikit_learns():
    assert repr(ClassDisjointKFold(3)) == (
        "ClassDisjointKFold(group_disjoint=False, n_splits=3, random_state=None,\n"
        "          relevance='labels', shuffle=False)"
    )
    assert repr(ClassDisjointShuffleSplit(test_size=4)) == (
        "ClassDisjointShuffleSplit(group_disjoint=False, n_splits=5, random_state=None,\n"
        "             relevance='labels', test_size=4, train_size=None)"
    )


class _SharedClasses(TransformerMixin, BaseEstimator):
    """Scores the share of the test classes that `fit` has seen: 0 on class-disjoint folds."""

    def __init__(self, width=1):
        self.width = width

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def score(self, X, y):
        return np.isin(y, self.classes_).mean()


@pytest.mark.parametrize("routing", [False, True])
@any_splitter
def test_inside_scikit_learns_searches(splitter, routing):
    X, y = long_tail(23)
    with sklearn.config_context(enable_metadata_routing=routing):
        scores = cross_validate(_SharedClasses(), X, y, cv=splitter)["test_score"]
        search = GridSearchCV(_SharedClasses(), {"width": [1, 2]}, cv=splitter).fit(X, y)
    assert scores.tolist() == [0.0] * splitter.get_n_splits()
    assert search.best_score_ == 0


def test_groups_are_ignored_with_a_warning_as_scikit_learn_does():
    X, y = long_tail(6)
    with pytest.warns(UserWarning, match="groups parameter is ignored by ClassDisjointKFold"):
        next(ClassDisjointKFold(2).split(X, y, groups=y))


@any_splitter
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "y is missing: the classes in y"),
        (np.linspace(0, 1, 40), "Unknown label type: continuous"),
        (np.repeat(np.arange(13), 3), "inconsistent numbers of samples"),
        (np.repeat([0, 1, 2], [20, 10, 10]), "y has 3 classes; two to train on"),
        (np.array(["a", "b", None, "c"] * 10, dtype=object), r"no label in rows 2, 6, .* \(10 in all\)"),
        (np.tile([0, 1, 2, np.nan], 10), r"y contains NaN in rows 3, 7, .* \(10 in all\)"),
    ],
    ids=["missing", "continuous", "length", "classes", "None", "NaN"],
)
def test_bad_labels_are_named(splitter, y, message):
    with pytest.raises(ValueError, match=message):
        next(splitter.split(np.zeros((40, 1)), y))


def test_labels_of_mixed_types_are_refused():
    y = np.array([1, "a"] * 10, dtype=object)
    with pytest.raises(ValueError, match="y mixes labels of several types"):
        next(ClassDisjointKFold(2).split(y, y))


def test_too_many_folds_says_how_many_there_may_be():
    X, y = long_tail(7)
    with pytest.raises(ValueError, match=r"n_splits=5 needs 10 classes.*y has 7, enough for n_splits=3"):
        next(ClassDisjointKFold(5).split(X, y))


@pytest.mark.parametrize(("size", "counts"), [(1, "9 .* and 1 to test"), (9, "1 classes .* and 9 to test")])
def test_a_side_of_one_class_is_refused(size, counts):
    X, y = long_tail(10)
    with pytest.raises(ValueError, match=f"leaves {counts}"):
        next(ClassDisjointShuffleSplit(test_size=size).split(X, y))


def test_split_keeps_the_type_of_every_array():
    _, y = long_tail(8)
    rows = np.arange(len(y))
    frame, matrix = pd.DataFrame({"row": rows}), sparse.csr_array(rows[:, None])
    paths = [f"{row}.png" for row in rows]
    parts = class_disjoint_split(frame, y, matrix, paths, random_state=0)
    assert [type(part) for part in parts[::2]] == [pd.DataFrame, np.ndarray, sparse.csr_array, list]
    for frame, y_part, matrix, paths in (parts[::2], parts[1::2]):
        assert_array_equal(y[frame["row"]], y_part)
        assert_array_equal(matrix.toarray().ravel(), frame["row"])
        assert paths == [f"{row}.png" for row in frame["row"]]


@any_splitter
def test_no_group_is_on_both_sides_either(splitter):
    X, y = long_tail(23)
    groups = np.arange(len(y)) // 3  # documents that hold several classes
    grouped = clone_with(splitter, group_disjoint=True)
    for (train, test), (_, plain_test) in zip(
        grouped.split(X, y, groups.astype(str)), splitter.split(X, y), strict=True
    ):
        assert not set(groups[train]) & set(groups[test])
        assert not set(y[train]) & set(y[test])
        assert_array_equal(test, plain_test)  # training rows are left out, test rows are not


def clone_with(splitter, **settings):
    return type(splitter)(**{**vars(splitter), **settings})


def test_training_rows_of_a_group_of_the_test_classes_are_left_out():
    X, y, groups = np.zeros((8, 1)), np.array(list("aabbccdd")), [0, 1, 2, 3, 2, 4, 5, 6]
    ((train, test), _) = ClassDisjointKFold(2, group_disjoint=True).split(X, y, groups)
    # the test classes are a and c, whose groups are 0, 1, 2 and 4: row 2, a b of group 2, is left out
    assert (train.tolist(), test.tolist()) == ([3, 6, 7], [0, 1, 4, 5])
    X_train, X_test, *_, g_train, g_test = class_disjoint_split(X, y, groups, groups=groups, random_state=0)
    assert not set(g_train) & set(g_test)
    assert len(X_train) + len(X_test) == 7


def test_group_disjoint_needs_groups_that_keep_to_few_classes():
    X, y = np.zeros((8, 1)), np.repeat(range(4), 2)
    splitter = ClassDisjointKFold(2, group_disjoint=True)
    with pytest.raises(ValueError, match="group_disjoint=True needs groups: give split"):
        next(splitter.split(X, y))
    with pytest.raises(ValueError, match="leaves 0 classes to train on without the groups of the test"):
        next(splitter.split(X, y, [0, 1] * 4))
    with pytest.raises(ValueError, match="groups has 3 values for 8 rows"):
        next(splitter.split(X, y, [0, 1, 2]))


@pytest.mark.parametrize("routing", [False, True])
def test_a_grid_search_gives_groups_to_a_splitter_that_needs_them(routing):
    X, y = long_tail(12)
    with sklearn.config_context(enable_metadata_routing=routing):
        splitter = ClassDisjointKFold(2, group_disjoint=True)
        given = {"params": {"groups": y}} if routing else {"groups": y}
        cross_validate(Scored(), X, y, cv=splitter, error_score="raise", **given)


class Scored(BaseEstimator):
    def fit(self, X, y):
        return self

    def score(self, X, y):
        return 0.0
