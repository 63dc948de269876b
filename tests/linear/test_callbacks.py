"""Each iteration of a learner that descends is a task of scikit-learn's callbacks."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor

from skmetric.linear import LMNN, MLKR, NCA
from skmetric.metrics import RetrievalScorer

from .conftest import gaussian_classes

DESCEND = [NCA(max_iter=6), NCA(max_iter=6, batch_size=20), LMNN(max_iter=6), MLKR(max_iter=6)]
each = pytest.mark.parametrize("learner", DESCEND, ids=repr)
X, y = gaussian_classes(6, 10, 4, spread=0.7)


class Recorder:
    """Writes down tasks, keeps maps, and stops after some iterations."""

    def __init__(self, stop_after=None):
        self.stop_after, self.tasks, self.maps = stop_after, [], []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.tasks.append(f"end {context.task_name}")
        self.maps.append(fitted_estimator.components_)
        fitted_estimator.transform(X)
        return self.stop_after is not None and context.task_id + 1 >= self.stop_after


@each
def test_each_iteration_is_a_task(learner):
    recorder = Recorder()
    learner = clone(learner).set_callbacks(recorder).fit(X, y)
    n = learner.n_iter_
    assert recorder.tasks[:2] == ["setup", "begin fit"]
    assert recorder.tasks[-2:] == ["end fit", "teardown"]
    assert recorder.tasks.count("begin iteration") == recorder.tasks.count("end iteration") >= n > 1
    np.testing.assert_allclose(recorder.maps[n - 1], learner.components_, rtol=1e-3, atol=1e-3)


@each
def test_a_callback_stops_it(learner):
    learner = clone(learner).set_callbacks(Recorder(stop_after=2)).fit(X, y)
    assert learner.n_iter_ == 2


@each
def test_callbacks_of_scikit_learn(learner, capsys):
    monitor = ScoringMonitor(scoring=RetrievalScorer("map_at_r", "recall_at_1"))
    clone(learner).set_callbacks(monitor, ProgressBar()).fit(X, y)
    assert len([row for row in monitor.get_logs().data if row["task_name"] == "iteration"]) > 1


@each
def test_warm_start_goes_on(learner):
    """Twice half the way is farther than half the way."""
    learner = clone(learner).set_params(warm_start=True, max_iter=3, random_state=0)
    first = learner.fit(X, y).objective_
    second = learner.fit(X, y).objective_
    assert second < first if isinstance(learner, LMNN | MLKR) else second > first
    with pytest.raises(
        ValueError, match=r"goes on from a map of shape \(4, 4\), and X and n_components ask for"
    ):
        learner.set_params(n_components=2).fit(X, y)


@each
def test_first_map_that_is_given(learner):
    for init, match in [
        (np.eye(3), r"init has shape \(3, 3\), and must be \(n_components, 4\)"),
        (np.eye(5, 4), "init has 5 rows, more than the 4 features"),
        (np.full((2, 4), np.nan), "init contains NaN or infinity"),
    ]:
        with pytest.raises(ValueError, match=match):
            clone(learner).set_params(init=init).fit(X, y)
    init = np.eye(2, 4)
    learner = clone(learner).set_params(init=init, max_iter=1).fit(X, y)
    assert learner.transform(X).shape == (60, 2)
    assert (init == np.eye(2, 4)).all()


@pytest.mark.parametrize("init", ["pca", "identity", "random", "lda"])
@pytest.mark.parametrize("learner", [NCA(2), LMNN(2)], ids=repr)
def test_first_maps_by_name(learner, init):
    learner = clone(learner).set_params(init=init, max_iter=5, random_state=0).fit(X, y)
    assert np.isfinite(learner.components_).all()
    again = clone(learner).fit(X, y)
    np.testing.assert_array_equal(again.components_, learner.components_)


def test_discriminant_directions_are_fewer_than_classes():
    with pytest.raises(ValueError, match=r"at most n_classes - 1 = 5 directions, and the map has 7"):
        NCA(7, init="lda").fit(np.c_[X, X], y)


def test_a_square_map_of_very_many_features_is_refused():
    wide = np.zeros((6, 5001))
    wide[:, :3] = np.random.default_rng(0).normal(size=(6, 3))
    with pytest.raises(ValueError, match="learns a map of 5001 x 5001 numbers: set n_components, such as 50"):
        NCA().fit(wide, [0, 0, 0, 1, 1, 1])
    assert NCA(2, max_iter=2, init="random").fit(wide, [0, 0, 0, 1, 1, 1]).transform(wide).shape == (6, 2)
