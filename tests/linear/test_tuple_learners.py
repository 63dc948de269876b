"""Laws for all linear learners of tuples, and values by hand for each."""

import pickle

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.covariance import graphical_lasso
from sklearn.datasets import load_iris
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score

from skmetric._pair_threshold import choose_threshold, read_target
from skmetric.linear import ITML, LSML, MMC, SCML, SDML
from skmetric.linear._from_tuples._forms._dense_forms import forms_of
from skmetric.linear._from_tuples._lsml import residual_loss
from skmetric.linear._from_tuples._solvers import _weighing
from skmetric.linear._from_tuples._solvers._weighing import smooth_objective
from skmetric.weak import sample_pairs, sample_quadruplets, sample_triplets

X, LABELS = load_iris(return_X_y=True)
PAIRS, Y = sample_pairs(LABELS, 200, random_state=0)
TRIPLETS = sample_triplets(LABELS, 200, random_state=0)
QUADRUPLETS = sample_quadruplets(LABELS, 200, random_state=0)
ON_PAIRS = [ITML(random_state=0), MMC(), MMC(diagonal=True), SDML()]
LEARNERS = [*ON_PAIRS, SCML(random_state=0), LSML()]
any_learner = pytest.mark.parametrize("learner", LEARNERS, ids=str)
any_of_pairs = pytest.mark.parametrize("learner", ON_PAIRS, ids=str)


def tuples_of(learner):
    """Name, row numbers and y of the tuples that a learner takes."""
    if isinstance(learner, SCML):
        return "triplets", TRIPLETS, None
    if isinstance(learner, LSML):
        return "quadruplets", QUADRUPLETS, None
    return "pairs", PAIRS, Y


def fitted(learner, rows=X, tuples=None, y=None):
    name, members, labels = tuples_of(learner)
    members = members if tuples is None else tuples
    return clone(learner).fit(rows, labels if y is None else y, **{name: members})


@any_learner
def test_both_forms_of_tuples_say_the_same(learner):
    name, members, y = tuples_of(learner)
    one, other = fitted(learner), clone(learner)
    if "covariance" in str(learner) or isinstance(learner, SDML | ITML):  # whose prior or bounds ask all rows
        one, other = (clone(learner).set_params(prior=np.eye(4)) for _ in range(2))
        if isinstance(learner, ITML):
            one.bounds = other.bounds = (0.5, 4.0)
        one.fit(X, y, **{name: members})
    other.fit(X[members], y)
    np.testing.assert_allclose(
        one.get_mahalanobis_matrix(), other.get_mahalanobis_matrix(), rtol=0.05, atol=0.02
    )
    np.testing.assert_allclose(one.decision_function(X, **{name: members}), one.decision_function(X[members]))
    assert one.score(X, y, **{name: members}) == one.score(X[members], y)


@any_learner
def test_sparse_rows_without_tuples_are_refused(learner):
    with pytest.raises(ValueError, match=r"got shape \(150, 4\)"):
        clone(learner).fit(csr_array(X), tuples_of(learner)[2])


@any_learner
def test_better_than_chance_and_finite(learner):
    name, members, y = tuples_of(learner)
    model = fitted(learner)
    assert np.isfinite(model.components_).all()
    assert model.score(X, y, **{name: members}) > 0.9
    assert set(model.predict(X, **{name: members})) <= {-1, 1}


@any_learner
def test_distances_are_those_of_the_matrix(learner):
    model = fitted(learner)
    M, gap = model.get_mahalanobis_matrix(), X[0] - X[99]
    distance = np.sqrt(gap @ M @ gap)
    assert model.pair_distance(X[:1], X[99:100])[0] == pytest.approx(distance)
    assert model.get_metric()(X[0], X[99]) == pytest.approx(distance)


@any_learner
def test_float32_pickles_and_output(learner):
    model = fitted(learner, X.astype(np.float32))
    assert model.components_.dtype == model.transform(X.astype(np.float32)).dtype == np.float32
    again = pickle.loads(pickle.dumps(model)).set_output(transform="pandas")
    np.testing.assert_array_equal(again.transform(X).to_numpy(), model.transform(X))


@any_learner
@pytest.mark.parametrize(
    "change",
    [
        lambda X: X * 1e30,
        lambda X: X * 1e-30,
        lambda X: np.hstack([X, np.ones((len(X), 1))]),
        lambda X: np.repeat(X[::10], 10, axis=0),
        lambda X: X[:, :1],
        lambda X: np.random.default_rng(0).normal(size=(len(X), 220)) + X[:, :1],
        lambda X: (50 * X).astype(np.uint8),
        lambda X: X.mean(axis=0) < X,
    ],
    ids=["1e30", "1e-30", "constant", "duplicates", "one feature", "d > n", "uint8", "booleans"],
)
@pytest.mark.filterwarnings("ignore:the two samples of pair", "ignore:.*did not converge")
def test_hard_input_gives_finite_maps(learner, change):
    """metric-learn #313, #237: NaN without a word, or no end."""
    model = fitted(learner, change(X))
    assert np.isfinite(model.components_).all()
    assert np.abs(model.components_).max() > 0
    assert np.isfinite(model.transform(change(X))).all()


@pytest.mark.parametrize("learner", [ITML(random_state=0), SDML(), LSML()], ids=str)
def test_unsigned_pixels_do_not_wrap(learner):
    pixels = np.clip(30 * X, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(
        fitted(learner, pixels).components_, fitted(learner, pixels.astype(float)).components_
    )


@any_learner
def test_rows_that_do_not_exist(learner):
    name, members, _ = tuples_of(learner)
    for row in (150, -1):
        bad = members.copy()
        bad[3, 1] = row
        with pytest.raises(ValueError, match=rf"{name}\[3\] names row {row}, and X has the rows 0 to 149"):
            fitted(learner, tuples=bad)


@any_learner
def test_tuples_of_the_wrong_kind(learner):
    name, members, _ = tuples_of(learner)
    with pytest.raises(
        ValueError, match=rf"{name} must be an integer array .* got shape \(200, {members.shape[1] + 1}\)"
    ):
        fitted(learner, tuples=np.hstack([members, members[:, :1]]))
    with pytest.raises(ValueError, match="got dtype float64"):
        fitted(learner, tuples=members.astype(float))
    with pytest.raises(ValueError, match=rf"{name} is empty"):
        fitted(learner, tuples=members[:0])
    with pytest.raises(ValueError, match="use FromLabels"):
        clone(learner).fit(X, LABELS)


@any_learner
def test_a_row_compared_with_itself(learner):
    name, members, _ = tuples_of(learner)
    bad = members.copy()
    bad[5, 1] = bad[5, 0]
    with pytest.raises(ValueError, match=rf"{name}\[5\] = .* compares a row with itself"):
        fitted(learner, tuples=bad)


@any_learner
def test_missing_values_are_named(learner):
    _, members, y = tuples_of(learner)
    rows = X.copy()
    rows[7, 2] = np.nan
    with pytest.raises(ValueError, match="NaN in row 7"):
        fitted(learner, rows)
    bad = X[members]
    bad[4, 1, 0] = np.inf
    with pytest.raises(ValueError, match="infinity in row 4, member 1"):
        clone(learner).fit(bad, y)


@any_of_pairs
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.ones(200), "got 1.0 for all 200 pairs"),
        (np.zeros(200), "got 0.0 for all 200 pairs"),
        (Y + 1, r"got the values \[0, 2\]"),
        (Y[:7], "y has 7 labels for 200 rows"),
    ],
    ids=["similar", "not similar", "0 and 2", "too few"],
)
def test_labels_of_pairs(learner, y, message):
    with pytest.raises(ValueError, match=message):
        fitted(learner, y=y)


@any_of_pairs
def test_zeros_and_ones_or_booleans_are_signs(learner):
    signs = fitted(learner)
    for y in ((Y > 0).astype(int), Y > 0):
        other = fitted(learner, y=y)
        np.testing.assert_array_equal(other.components_, signs.components_)
        assert set(other.predict(X, pairs=PAIRS).tolist()) == {0, 1}


@any_of_pairs
def test_score_is_the_area_under_the_curve(learner):
    model = fitted(learner)
    distances = model.pair_distance(X[PAIRS[:, 0]], X[PAIRS[:, 1]])
    assert model.score(X, Y, pairs=PAIRS) == roc_auc_score(Y, -distances)
    np.testing.assert_allclose(model.decision_function(X, pairs=PAIRS), model.threshold_ - distances)
    model.calibrate_threshold(X, Y, pairs=PAIRS, max_false_accept_rate=0.0).set_threshold(model.threshold_)
    assert (model.predict(X, pairs=PAIRS)[Y == -1] == -1).all()


@pytest.mark.parametrize("scoring", ["roc_auc", "average_precision", "f1", "accuracy"])
def test_scorers_of_scikit_learn_take_pairs(scoring):
    """metric-learn's learners of pairs are classifiers: decisions are scored, and folds hold both kinds."""
    learner = ITML(max_iter=20, tol=0.1, random_state=0)
    order = np.argsort(Y, kind="stable")
    scores = cross_val_score(learner, X[PAIRS[order]], Y[order], scoring=scoring, cv=3, error_score="raise")
    assert scores.min() > 0.7


DISTANCES = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
SIMILAR = np.array([True, True, False, True, False, False])


@pytest.mark.parametrize(
    ("arguments", "threshold"),
    [
        ({}, 2.5),  # tpr - fpr: 2/3 at 2, 2/3 at 4; the smaller of the two
        ({"criterion": "accuracy"}, 2.5),  # 5 of 6 at 2 and at 4
        ({"criterion": "f_beta", "beta": 2.0}, 4.5),  # recall counts: 5*3/(4 + 4*3) = .94 against 10/14
        ({"criterion": "f_beta", "beta": 0.1}, 2.5),  # precision counts
        ({"criterion": "max_tpr", "min_rate": 0.6}, 4.5),  # one of three may be accepted wrongly
        ({"criterion": "max_tpr", "min_rate": 1.0}, 2.5),
        ({"criterion": "max_tnr", "min_rate": 1.0}, 4.5),
        ({"criterion": "max_tnr", "min_rate": 0.3}, 1.5),
        ({"max_false_accept_rate": 0.4}, 4.5),
    ],
)
def test_thresholds_by_hand(arguments, threshold):
    assert choose_threshold(DISTANCES, SIMILAR, read_target(**arguments)) == threshold


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"criterion": "best"}, "criterion must be one of"),
        ({"beta": 2.0}, "beta is for criterion='f_beta'"),
        ({"criterion": "max_tpr"}, "needs min_rate, the true negative rate"),
        ({"criterion": "max_tnr", "min_rate": 2}, "min_rate must be a true positive rate from 0 to 1"),
        ({"criterion": "accuracy", "min_rate": 0.5}, "min_rate is for"),
        ({"criterion": "accuracy", "max_false_accept_rate": 0.5}, "a criterion in itself"),
        ({"criterion": "f_beta", "beta": 0}, "beta must be a finite number above 0"),
    ],
)
def test_arguments_without_an_effect_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        read_target(**arguments)


def test_mmc_by_hand():
    """Similar pairs differ by 1 along x and 1 along y, others by 3 along x: all weight goes to x.

    Of A with A_xx + A_yy = 1 the best has A_xx = 1, and the distance 3.
    """
    rows = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [3.0, 0.0]]
    for diagonal in (False, True):
        learner = MMC(diagonal, shrinkage=0.0, tol=1e-15).fit(rows, [1, 1, 0], pairs=[[0, 1], [0, 2], [0, 3]])
        assert learner.objective_ == pytest.approx(3, abs=1e-3)
        np.testing.assert_allclose(learner.get_mahalanobis_matrix(), [[1, 0], [0, 0]], atol=0.02)


def test_mmc_keeps_the_size_of_similar_pairs():
    learner = MMC(shrinkage=0.0).fit(X, Y, pairs=PAIRS)
    distances = learner.pair_distance(X[PAIRS[:, 0]], X[PAIRS[:, 1]])
    assert np.sum(distances[Y == 1] ** 2) == pytest.approx(1)
    assert learner.objective_ == pytest.approx(distances[Y == -1].sum())


def test_mmc_without_shrinkage_needs_similar_pairs_that_differ():
    with pytest.raises(ValueError, match="use a shrinkage above 0"):
        MMC(shrinkage=0.0).fit(np.hstack([X, np.ones((150, 1))]), Y, pairs=PAIRS)


def test_sdml_is_the_graphical_lasso():
    learner = SDML(balance=0.5, alpha=0.05, tol=1e-9).fit(X, Y, pairs=PAIRS)
    gaps = X[PAIRS[:, 0]] - X[PAIRS[:, 1]]
    P = np.cov(X.T) + 0.5 * (gaps.T * Y) @ gaps / 200
    expected = graphical_lasso(P, 0.05, tol=1e-9, enet_tol=1e-10)[1]
    np.testing.assert_allclose(learner.get_mahalanobis_matrix(), expected, rtol=1e-3, atol=1e-4)
    assert learner.balance_ == 0.5


def test_sdml_says_which_balance_is_too_large():
    with pytest.raises(ValueError, match=r"balance=50 is too large.*It must be below \d"):
        SDML(balance=50).fit(X, Y, pairs=PAIRS)


def test_lsml_by_hand():
    """On a line, d(a, b) = 3 s, d(c, d) = s, A = s^2: s^2 - log s^2 - 1 + (2 s)^2 is least at 5 s^2 = 1."""
    learner = LSML(tol=1e-14).fit([[0.0], [3.0], [1.0]], quadruplets=[[0, 1, 0, 2]])
    assert learner.get_mahalanobis_matrix()[0, 0] == pytest.approx(0.2)
    assert learner.objective_ == pytest.approx(0.2 - np.log(0.2) - 1 + 0.8)


def test_lsml_weights_are_proportions():
    weights = np.repeat([1.0, 0.0], 100)
    with pytest.raises(ValueError, match=r"sample_weight\[100\] is -1.*finite numbers, 0 or larger"):
        LSML().fit(X, sample_weight=weights - 1, quadruplets=QUADRUPLETS)
    with pytest.raises(ValueError, match="sample_weight is zero for all"):
        LSML().fit(X, sample_weight=0 * weights, quadruplets=QUADRUPLETS)
    weighted = LSML().fit(X, sample_weight=7 * weights, quadruplets=QUADRUPLETS)
    np.testing.assert_allclose(weighted.components_, LSML().fit(X, quadruplets=QUADRUPLETS[:100]).components_)


def test_lsml_slopes_by_finite_differences():
    squares, weights = np.array([4.0, 1.0, 2.0, 1.0, 3.0, 0.5]), np.array([0.2, 0.5, 0.3])
    slopes = approx_fprime(squares, lambda s: residual_loss(s, weights=weights)[0], 1e-7)
    np.testing.assert_allclose(residual_loss(squares, weights=weights)[1], slopes, atol=1e-5)


def test_scml_by_hand():
    """On a line, d = w x^2, the positive at 1, the negative at 3: 1 + w - 9 w = 0 at w = 1/8."""
    learner = SCML(basis=[[1.0]], beta=0.0, tol=1e-12).fit([[0.0], [1.0], [3.0]], triplets=[[0, 1, 2]])
    assert learner.objective_ == pytest.approx(0, abs=1e-6)
    assert learner.weights_[0] >= 1 / 8 - 1e-9


def test_scml_gradient_by_finite_differences():
    rng = np.random.default_rng(0)
    basis, weights = rng.normal(size=(6, 4)), rng.random(6)
    forms = forms_of(X, np.vstack([TRIPLETS[:, :2], TRIPLETS[:, ::2]]))
    options = (forms, basis, 0.1, 0.3)
    slopes = approx_fprime(weights, lambda w: smooth_objective(w, *options)[0], 1e-7)
    np.testing.assert_allclose(smooth_objective(weights, *options)[1], slopes, atol=1e-4)


@pytest.mark.parametrize("n_triplets", [60, 200], ids=["differences", "rows"])
def test_scml_keeps_numbers_or_makes_them_again_with_one_result(n_triplets, monkeypatch):
    triplets = TRIPLETS[:n_triplets]
    kept = SCML(random_state=0).fit(X, triplets=triplets)
    monkeypatch.setattr(_weighing, "_KEPT", 0)
    made = SCML(random_state=0).fit(X, triplets=triplets)
    assert made.objective_ == pytest.approx(kept.objective_, rel=1e-6)
    forms = forms_of(X, np.vstack([triplets[:, :2], triplets[:, ::2]]))
    basis, weights = kept.basis_, np.random.default_rng(0).random(len(kept.basis_))
    changes = _weighing.order_changes(forms, basis)
    value, gradient = _weighing.kept_objective(weights, changes, 0.1, 0.3)
    expected, slopes = smooth_objective(weights, forms, basis, 0.1, 0.3)
    assert value == pytest.approx(expected)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-9)


def test_scml_of_triplets_in_the_wrong_order():
    with pytest.raises(ValueError, match="no direction puts more triplets in order"):
        SCML(random_state=0).fit([[0.0], [1.0], [3.0]], triplets=[[0, 2, 1]])
