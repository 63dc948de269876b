"""Long calls are tasks of scikit-learn's callbacks, and give the same with callbacks as without."""

import numpy as np
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmetric import MetricLearner
from skmetric.linear import NCA
from skmetric.metrics import RetrievalScorer
from skmetric.search import FaissIndex, SimilaritySearch

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 6
X = RNG.normal(size=(60, 4)) + np.eye(6)[LABELS][:, :4] * 6
QUERIES = RNG.normal(size=(600, 4))  # of more than two batches
WHERE = [{"shop": "A"}, {"shop": "B"}, None] * 200


class Recorder:
    def __init__(self):
        self.tasks = []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.tasks.append(context.task_name)


def fitted(**options):
    search = SimilaritySearch(StandardScaler(), **options)
    return search.fit(X, LABELS, metadata={"shop": list("AB" * 30)})


@pytest.mark.parametrize("index", [None, FaissIndex("Flat")])
def test_answers_and_tasks(index):
    plain, recorder = fitted(index=index), Recorder()
    search = SimilaritySearch(StandardScaler(), index=index).set_callbacks(recorder)
    search.fit(X, LABELS, metadata={"shop": list("AB" * 30)})
    assert recorder.tasks == ["setup", "fit embedder", "embed", "enrol", "fit", "teardown"]
    calls = {
        "kneighbors": lambda s: np.hstack(s.kneighbors(QUERIES)),
        "lookup": lambda s: np.stack([s.lookup(QUERIES, 3)[c] for c in ("query", "rank", "id", "distance")]),
        "predict": lambda s: s.predict(QUERIES, where=WHERE),
    }
    for task, call in calls.items():
        recorder.tasks.clear()
        np.testing.assert_array_equal(call(search), call(plain))
        assert recorder.tasks[:6] == ["setup", "batch", "batch", "batch", task, "teardown"]
    filtered = [s.lookup(QUERIES, 2, where=WHERE)["id"] for s in (search, plain)]
    np.testing.assert_array_equal(*filtered)
    recorder.tasks.clear()
    assert search.calibrate().cutpoints == plain.calibrate().cutpoints
    assert recorder.tasks == ["setup", "search", "calibrate", "teardown"]
    recorder.tasks.clear()
    ours, theirs = (s.evaluate(X + 0.1, LABELS, QUERIES) for s in (search, plain))
    assert ours.scores == theirs.scores
    assert recorder.tasks == ["setup", *["embed"] * 4, "match", "score", "evaluate", "teardown"]


def test_the_fit_of_the_embedder_is_a_task_of_the_search(capsys):
    monitor = ScoringMonitor(scoring=RetrievalScorer("map_at_r"))
    search = SimilaritySearch(NCA(max_iter=3)).set_callbacks(monitor, ProgressBar()).fit(X, LABELS)
    assert "SimilaritySearch - fit embedder | NCA - fit" in capsys.readouterr().out
    assert monitor.get_logs().data[-1]["map_at_r"] > 0.5
    assert not hasattr(search.embedder_, "_skl_callbacks")
    assert SimilaritySearch(make_pipeline(StandardScaler(), MetricLearner())).set_callbacks(
        ProgressBar()
    ).fit(X, LABELS).predict(X[:1]).tolist() == [0]


def test_callbacks_end_where_a_call_fails():
    recorder = Recorder()
    search = fitted().set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        search.lookup(np.full((300, 4), np.nan))
    with pytest.raises(ValueError, match="2 filters, and there are 600 queries"):
        search.lookup(QUERIES, where=WHERE[:2])
    assert recorder.tasks.count("setup") == recorder.tasks.count("teardown") == 1
