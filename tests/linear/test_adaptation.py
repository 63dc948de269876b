"""Adaptation to a pool without labels."""

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmetric import MetricLearner
from skmetric.linear._closed_form._adaptation import Pool, adapt
from skmetric.linear._closed_form._scatter import ClassScatter
from skmetric.linear._closed_form._solution import Recipe
from skmetric.linear._selection._candidates import Candidate

from .conftest import gaussian_classes

FIXED = (0.3, 0.5)
RECIPE = Recipe(Candidate(False, True, 0.0, 0.0), "lda", None)


def test_by_hand():
    # Sw = identity; means (0, 0) and (2, 0): Sb = diag(2, 0). 300 rows of the pool: r = 0.3 / 2 = 0.15. Their
    # covariance diag(1, 5) exceeds Sw by diag(0, 4): psi = 0.85 * 2 = 1.7 and 0.15 * 4 = 0.6
    scatter = ClassScatter(np.array([10.0, 10]), np.array([[0.0, 0], [2, 0]]), 18 * np.eye(2))
    pool = Pool(300, np.array([5.0, 4]), np.diag([1.0, 5]))
    solution = adapt(scatter, pool, RECIPE)
    metric = solution.components.T @ solution.components
    np.testing.assert_allclose(metric, np.diag([1, 0.6 / 1.7]), atol=1e-12)
    np.testing.assert_allclose(solution.mean, [0.25 * 1 + 0.75 * 5, 0.75 * 4])  # 300 rows against 100


def test_statistics_of_a_pool_are_those_of_numpy(few):
    X, _ = few
    pool = Pool.of(X, RECIPE)
    np.testing.assert_allclose(pool.mean, X.mean(axis=0))
    np.testing.assert_allclose(pool.covariance, np.cov(X.T))


@pytest.mark.parametrize("params", [{}, {"power": 0.5, "saturation": 0.1}, {"n_components": 3}], ids=str)
@pytest.mark.parametrize("shape", [(5, 12, 7), (6, 3, 50)], ids=["more rows", "fewer rows"])
def test_each_call_starts_from_the_fitted_state(shape, params):
    X, y = gaussian_classes(*shape)
    learner = MetricLearner(FIXED, **params).fit(X, y)
    state = learner.scatter_
    once = learner.adapt(X + 1).transform(X)
    np.testing.assert_array_equal(learner.adapt(X[:5]).adapt(X + 1).transform(X), once)
    assert learner.scatter_ is state
    assert learner.n_adapted_ == len(X)
    assert not np.allclose(once, MetricLearner(FIXED, **params).fit(X, y).transform(X), atol=1e-3)


def test_few_rows_change_hardly_anything(many):
    X, y = many
    learner = MetricLearner(FIXED).fit(X, y)
    fitted = learner.transform(X)
    gap = [np.abs(learner.adapt(X[:n] + 3).transform(X) - fitted).max() for n in (1, 4, 160)]
    assert gap[0] < gap[1] < gap[2]
    assert gap[0] < 0.02


def test_fit_and_partial_fit_drop_it(few):
    X, y = few
    learner = MetricLearner(FIXED).fit(X[:40], y[:40]).adapt(X + 2)
    learner.partial_fit(X[40:], y[40:])
    expected = MetricLearner(FIXED).fit(X, y)
    assert learner.n_adapted_ == 0
    np.testing.assert_allclose(learner.transform(X), expected.transform(X), atol=1e-8)
    learner.adapt(X + 2).fit(X, y)
    np.testing.assert_array_equal(learner.transform(X), expected.transform(X))


def test_a_distance_that_nothing_was_learned_for_stays():
    X, y = gaussian_classes(5, 8, 6)
    learner = MetricLearner((1, 1), normalize=False).fit(X, y)
    before = learner.pair_distance(X[:9], X[9:18])
    np.testing.assert_allclose(learner.adapt(X * 3).pair_distance(X[:9], X[9:18]), before)


def test_adapted_learners_are_saved_and_cloned(few, tmp_path):
    X, y = few
    learner = MetricLearner(FIXED).fit(X, y).adapt(X + 1)
    joblib.dump(learner, tmp_path / "learner.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "learner.joblib").transform(X), learner.transform(X))
    np.testing.assert_array_equal(
        clone(learner).fit(X, y).components_, MetricLearner(FIXED).fit(X, y).components_
    )


def test_float32_stays(few):
    X, y = few[0].astype(np.float32), few[1]
    learner = MetricLearner(FIXED).fit(X, y).adapt(X)
    assert learner.components_.dtype == learner.transform(X).dtype == np.float32


def test_a_pool_of_other_directions_is_retrieved_better():
    """Training classes differ in the first features, those of the pool in the last ones."""
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(40), 20)
    X = rng.normal(size=(800, 20))
    X[:400, :5] += 2 * rng.normal(size=(20, 5))[codes[:400]]
    X[400:, 15:] += 2 * rng.normal(size=(20, 5))[codes[400:] - 20]
    learner = MetricLearner((0.3, 0.3), normalize=False).fit(X[:400], codes[:400])
    before = learner.score(X[400::2], codes[400::2])
    assert learner.adapt(X[401::2]).score(X[400::2], codes[400::2]) > 1.1 * before


def test_what_does_not_fit_is_refused(few):
    X, y = few
    with pytest.raises(NotFittedError):
        MetricLearner().adapt(X)
    learner = MetricLearner(FIXED).fit(X, y)
    bad = X.copy()
    bad[3, 2] = np.nan
    for pool, message in [
        (bad, "Input X contains NaN in rows? 3"),
        (X[:, :3], "X has 3 features, but MetricLearner is expecting 7 features"),
        (X[:0], "0 sample"),
    ]:
        with pytest.raises(ValueError, match=message):
            learner.adapt(pool)
    np.testing.assert_array_equal(learner.transform(X), MetricLearner(FIXED).fit(X, y).transform(X))
    assert not hasattr(MetricLearner(margin=0.1), "adapt")
