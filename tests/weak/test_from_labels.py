"""Learners of tuples on labels: as an estimator of scikit-learn, with unlabelled rows, in a search."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skmetric import MetricLearner
from skmetric.linear import ITML
from skmetric.weak import FromLabels

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture(scope="module")
def learner():
    return FromLabels(ITML(random_state=0), n_tuples=300, random_state=0).fit(X, y)


def test_names_of_classes_change_nothing(learner):
    named = clone(learner).fit(X, NAMES)
    assert named.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    np.testing.assert_array_equal(named.components_, learner.components_)


def test_the_distance_is_that_of_the_matrix(learner):
    M, gap = learner.get_mahalanobis_matrix(), X[0] - X[99]
    expected = np.sqrt(gap @ M @ gap)
    assert learner.pair_distance(X[:1], X[99:100])[0] == pytest.approx(expected)
    assert learner.get_metric()(X[0], X[99]) == pytest.approx(expected)
    assert pickle.loads(pickle.dumps(learner.get_metric()))(X[0], X[99]) == pytest.approx(expected)


def test_float32_and_set_output(learner):
    single = clone(learner).fit(X.astype(np.float32), y)
    assert single.components_.dtype == single.transform(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(single.components_, learner.components_, rtol=0.05, atol=0.02)
    frame = clone(learner).set_output(transform="pandas").fit_transform(X, y)
    np.testing.assert_array_equal(frame.to_numpy(), learner.transform(X))


def test_pickles(learner):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(learner)).transform(X), learner.transform(X))


def test_never_more_tuples_than_asked_for(learner):
    assert learner.n_tuples_ == 300


def test_in_a_grid_search():
    pipeline = make_pipeline(
        FromLabels(ITML(random_state=0), n_tuples=100, random_state=0), KNeighborsClassifier()
    )
    grid = GridSearchCV(pipeline, {"fromlabels__estimator__gamma": [0.1, 1.0]}, cv=2).fit(X, NAMES)
    assert grid.best_score_ > 0.9


def test_unlabelled_rows_are_in_no_pair_but_in_the_prior():
    """The covariance is that of all rows."""
    labels = np.where(np.arange(150) % 3 == 0, y, -1)
    estimator = ITML("covariance", gamma=1e-9, tol=1e-12, random_state=0)  # which stays at the prior
    learner = FromLabels(estimator, n_tuples=50, unlabeled=-1, random_state=0).fit(X, labels)
    assert learner.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(learner.get_mahalanobis_matrix(), np.linalg.inv(np.cov(X.T)), rtol=1e-5)


def test_a_class_called_minus_one_is_a_class():
    learner = FromLabels(ITML(random_state=0), n_tuples=50, random_state=0).fit(X, y - 1)
    assert learner.classes_.tolist() == [-1, 0, 1]


def test_a_learner_of_labels_is_refused():
    with pytest.raises(ValueError, match="fit of MetricLearner takes neither pairs= nor triplets="):
        FromLabels(MetricLearner()).fit(X, y)


def test_a_learner_that_is_not_linear_has_no_matrix():
    assert not hasattr(FromLabels(KNeighborsClassifier()), "get_mahalanobis_matrix")
