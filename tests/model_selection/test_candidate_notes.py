"""A worker process that is lost in the middle of a search (joblib #1701): the error names the candidate."""

import os
import signal
import sys
import textwrap

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skmetric import MetricLearner
from skmetric.model_selection import CandidateNotes

X, Y = np.random.default_rng(0).normal(size=(24, 3)), np.arange(24) % 4
LOST = """
    import os, signal
    from sklearn.base import BaseEstimator, TransformerMixin

    class Lost(TransformerMixin, BaseEstimator):
        def __init__(self, is_lost=False):
            self.is_lost = is_lost

        def fit(self, X, y=None):
            if self.is_lost:
                os.kill(os.getpid(), signal.SIGKILL)
            return self

        def transform(self, X):
            return X
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_lost_worker_is_joblibs_error_with_the_candidate(tmp_path, monkeypatch):
    (tmp_path / "lost_worker.py").write_text(textwrap.dedent(LOST))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    get_reusable_executor(kill_workers=True).shutdown(wait=True)  # workers of before know no new modules
    from lost_worker import Lost

    pipe = make_pipeline(Lost(), MetricLearner(shrinkage=(0.3, 0.1)))
    search = GridSearchCV(pipe, {"lost__is_lost": [False, True]}, cv=2, n_jobs=2)
    with pytest.raises(TerminatedWorkerError, match=signal.Signals.SIGKILL.name) as caught:
        search.set_callbacks(CandidateNotes(tmp_path)).fit(X, Y)
    notes = "".join(caught.value.__notes__)
    assert "being fitted: " in notes
    assert "lost__is_lost=True, fold " in notes
    assert not list(tmp_path.glob("candidates-*"))


def failed(estimator, kind, grid):
    search = kind(estimator, grid, cv=2, error_score="raise").set_callbacks(CandidateNotes())
    with pytest.raises(ValueError, match="shrinkage") as caught:
        search.fit(X, Y)
    return caught.value.__notes__


def test_a_candidate_that_fails_is_named():
    grid = {"shrinkage": [(0.1, 0.1), (3.0, 0.1)]}
    expected = [
        "When the search ended, these candidates were being fitted: shrinkage=(3.0, 0.1), fold 1 of 2"
    ]
    assert failed(MetricLearner(), GridSearchCV, grid) == expected
    assert failed(MetricLearner(), lambda *a, **k: RandomizedSearchCV(*a, n_iter=2, **k), grid) == expected


@pytest.mark.filterwarnings("ignore:The estimator Interrupted does not support callbacks")
def test_an_estimator_without_callbacks_has_a_number():
    class Interrupted(KNeighborsClassifier):
        def fit(self, X, y):
            raise KeyboardInterrupt

    notes = CandidateNotes()
    notes.on_fit_task_end = lambda estimator, context: None  # as if the process were lost
    with pytest.raises(KeyboardInterrupt) as caught:
        GridSearchCV(Interrupted(), {"n_neighbors": [1, 2]}, cv=2).set_callbacks(notes).fit(X, Y)
    assert caught.value.__notes__[0].endswith(": candidate number 1, fold 1 of 2")


def test_candidates_that_end_leave_no_note_and_the_same_scores(tmp_path):
    grid = {"shrinkage": [(0.1, 0.1), (0.3, 0.1)]}
    plain = GridSearchCV(MetricLearner(), grid, cv=2).fit(X, Y)
    noted = GridSearchCV(MetricLearner(), grid, cv=2).set_callbacks(CandidateNotes(tmp_path)).fit(X, Y)
    assert noted.best_params_ == plain.best_params_
    assert list(tmp_path.iterdir()) == []
