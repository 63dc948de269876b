"""The closed form from differences of pairs."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from skmetric import MetricLearner
from skmetric.linear._pairs._pair_choice import areas
from skmetric.linear._pairs._pair_folds import pair_folds
from skmetric.weak import sample_pairs

from .conftest import gaussian_classes

KISSME = MetricLearner((0, 0), weighting="kissme", normalize=False)


def all_pairs(y):
    pairs = np.column_stack(np.triu_indices(len(y), 1))
    return pairs, np.where(y[pairs[:, 0]] == y[pairs[:, 1]], 1, -1)


def proportional(A, B):
    return A / np.trace(A), pytest.approx(B / np.trace(B), rel=1e-6, abs=1e-9)


def test_kissme_by_hand():
    """Similar pairs differ by (1, 0) and (0, 1), others by (3, 0) and (0, 2): 1/.5 - 1/4.5 and 1/.5 - 1/2."""
    rows = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 2.0]]
    learner = clone(KISSME).fit_pairs(rows, [1, 1, 0, 0], pairs=[[0, 1], [0, 2], [0, 3], [0, 4]])
    found, expected = proportional(learner.get_mahalanobis_matrix(), np.diag([16 / 9, 3 / 2]))
    assert found == expected


def test_kissme_is_the_difference_of_inverse_covariances():
    X, y = gaussian_classes(30, 6, 4, spread=3)
    pairs, y_pairs = all_pairs(y)
    gaps = X[pairs[:, 0]] - X[pairs[:, 1]]
    similar, others = (gap.T @ gap / len(gap) for gap in (gaps[y_pairs > 0], gaps[y_pairs < 0]))
    learner = clone(KISSME).fit_pairs(X, y_pairs, pairs=pairs)
    found, expected = proportional(
        learner.get_mahalanobis_matrix(), np.linalg.inv(similar) - np.linalg.inv(others)
    )
    assert found == expected


def test_a_negative_part_is_left_out():
    """Along y others differ less than similar ones do."""
    rows = [[0.0, 0.0], [1.0, 1.0], [1.0, -1.0], [2.0, 0.5], [2.0, -0.5]]
    learner = clone(KISSME).fit_pairs(rows, [1, 1, 0, 0], pairs=[[0, 1], [0, 2], [0, 3], [0, 4]])
    found, expected = proportional(learner.get_mahalanobis_matrix(), np.diag([1.0, 0.0]))
    assert found == expected


@pytest.mark.parametrize("normalize", [False, True])
def test_all_pairs_of_classes_of_one_size_give_what_the_classes_give(normalize):
    """The covariance inside classes is the same, and "wccn" needs no other."""
    X, y = gaussian_classes(6, 5, 4)
    learner = MetricLearner((0.3, 0.5), weighting="wccn", normalize=normalize)
    pairs, y_pairs = all_pairs(y)
    of_pairs = clone(learner).fit_pairs(X, y_pairs, pairs=pairs)
    np.testing.assert_allclose(
        of_pairs.pair_distance(X[1:], X[:-1]), learner.fit(X, y).pair_distance(X[1:], X[:-1])
    )


def test_both_forms_of_pairs_and_both_marks_say_the_same():
    X, y = gaussian_classes(6, 5, 4)
    pairs, y_pairs = sample_pairs(y, 40, random_state=0)
    one = clone(KISSME).fit_pairs(X, y_pairs, pairs=pairs)
    other = clone(KISSME).fit_pairs(X[pairs].astype(np.float32), (y_pairs > 0).astype(int))
    assert other.components_.dtype == np.float32
    np.testing.assert_allclose(
        other.get_mahalanobis_matrix(), one.get_mahalanobis_matrix(), rtol=1e-4, atol=1e-5
    )


def test_shrinkage_is_chosen_on_classes_held_out():
    X, y = gaussian_classes(20, 6, 5, spread=3)
    X = np.c_[X, 40 * np.random.default_rng(0).normal(size=len(X))]  # noise that Euclid follows
    pairs, y_pairs = sample_pairs(y[y < 12], 360, random_state=0)
    learner = MetricLearner(random_state=0).fit_pairs(X[y < 12], y_pairs, pairs=pairs)
    fresh, y_fresh = sample_pairs(y[y >= 12], 240, random_state=0)
    new = X[y >= 12]
    area = roc_auc_score(y_fresh, -learner.pair_distance(new[fresh[:, 0]], new[fresh[:, 1]]))
    euclid = roc_auc_score(y_fresh, -np.linalg.norm(new[fresh[:, 0]] - new[fresh[:, 1]], axis=1))
    assert area > euclid + 0.2
    best = np.argmax(learner.cv_results_["mean_gain"] - 0.5 * learner.cv_results_["standard_error_of_gain"])
    chosen = learner.cv_results_["params"][best]
    assert (chosen["within"], chosen["between"]) == learner.shrinkage_
    again = pickle.loads(pickle.dumps(learner))
    np.testing.assert_array_equal(again.transform(new), learner.transform(new))


def test_folds_have_no_class_on_both_sides():
    """Rows 0-1-2 are linked; a pair that is not similar may cross, and is then in neither part."""
    _, y = gaussian_classes(9, 6, 2)
    pairs, y_pairs = sample_pairs(y, 120, random_state=0)
    folds, n_classes = pair_folds(pairs, y_pairs > 0, len(y), np.random.RandomState(0))
    assert n_classes >= 9
    assert len(folds) == 4
    for fold in folds:
        assert not set(pairs[fold.train].ravel()) & set(pairs[fold.held_out].ravel())
    held_out = np.concatenate([fold.held_out for fold in folds])
    assert set(np.flatnonzero(y_pairs > 0)) == set(held_out[y_pairs[held_out] > 0])


def test_few_linked_classes_choose_nothing(few):
    X, y = few[0][few[1] < 3], few[1][few[1] < 3]
    pairs, y_pairs = all_pairs(y)
    learner = MetricLearner().fit_pairs(X, y_pairs, pairs=pairs)
    assert (learner.shrinkage_, learner.cv_results_) == ((0.5, 1.0), None)


def test_pairs_leave_no_classes_behind(few):
    X, y = few
    pairs, y_pairs = sample_pairs(y, 60, random_state=0)
    learner = MetricLearner((0.3, 0.5)).fit(X, y).fit_pairs(X, y_pairs, pairs=pairs)
    assert not hasattr(learner, "classes_")
    with pytest.raises(ValueError, match="adapt needs what fit learned of classes"):
        learner.adapt(X)
    learner.partial_fit(X, y)
    np.testing.assert_allclose(learner.components_, MetricLearner((0.3, 0.5)).partial_fit(X, y).components_)


def test_a_margin_refines_on_classes(few):
    assert not hasattr(MetricLearner(margin=0.1), "fit_pairs")


def test_directions_that_similar_pairs_do_not_show_are_named(few):
    X, y = few
    pairs, y_pairs = sample_pairs(y, 60, random_state=0)
    with pytest.warns(UserWarning, match=r"do not differ along 1 of 8 directions") as caught:
        clone(KISSME).fit_pairs(np.c_[X, np.ones(len(X))], y_pairs, pairs=pairs)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, y: (p, np.ones(60)), "got 1.0 for all 60 pairs"),
        (lambda p, y: (p, y + 1), r"got the values \[0, 2\]"),
        (lambda p, y: (p + 100, y), "names row"),
        (lambda p, y: (p[:, :1], y), r"got shape \(60, 1\)"),
        (lambda p, y: (np.repeat(p[:, :1], 2, axis=1), y), "compares a row with itself"),
    ],
)
def test_pairs_that_cannot_be_learned_from(change, message, few):
    pairs, y_pairs = sample_pairs(few[1], 60, random_state=0)
    pairs, y_pairs = change(pairs, y_pairs)
    with pytest.raises(ValueError, match=message):
        MetricLearner().fit_pairs(few[0], y_pairs, pairs=pairs)


def test_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    distances, similar = np.round(rng.random((40, 3)), 1), rng.random(40) < 0.4  # with ties
    expected = [roc_auc_score(similar, -column) for column in distances.T]
    np.testing.assert_allclose(areas(distances, similar), expected)


HARD = {
    "duplicated points": lambda X: np.repeat(X[::4], 4, axis=0)[: len(X)],
    "constant features": lambda X: np.c_[X, np.full(len(X), 0.1), np.zeros(len(X))],
    "more features than rows": lambda X: np.random.default_rng(0).normal(size=(len(X), 70)) + X[:, :1],
    "one feature": lambda X: X[:, :1],
    "uint8": lambda X: np.clip(40 * X + 128, 0, 255).astype(np.uint8),
    "booleans": lambda X: X > 0,
    "1e30": lambda X: X * 1e30,
    "1e-30": lambda X: X * 1e-30,
    "features of 1e30 and 1e-30": lambda X: X * np.array([1e30, 1e-30, 1, 1, 1, 1, 1]),
}


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("normalize", [False, True])
def test_hard_input_gives_numbers(kind, normalize, few):
    X, (pairs, y_pairs) = HARD[kind](few[0]), sample_pairs(few[1], 60, random_state=0)
    learner = MetricLearner((0.3, 0.5), normalize=normalize).fit_pairs(X, y_pairs, pairs=pairs)
    assert np.isfinite(learner.components_).all()
    assert np.abs(learner.components_).max() > 0
    assert np.isfinite(learner.transform(X)).all()


def test_unsigned_differences_do_not_wrap(few):
    X, (pairs, y_pairs) = HARD["uint8"](few[0]), sample_pairs(few[1], 60, random_state=0)
    learner = MetricLearner((0.3, 0.5)).fit_pairs(X[pairs], y_pairs)
    expected = MetricLearner((0.3, 0.5)).fit_pairs(X[pairs].astype(float), y_pairs)
    np.testing.assert_array_equal(learner.components_, expected.components_)
