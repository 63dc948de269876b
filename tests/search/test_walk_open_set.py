"""Walk (c): fit, gallery, calibrate, predict, enrol, remove, save, load elsewhere, the same answers."""

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skmetric import MetricLearner, SimilaritySearch

ELSEWHERE = """
import sys, joblib, numpy as np
from skmetric import SimilaritySearch
folder = sys.argv[1]
learner = joblib.load(f"{folder}/learner.joblib")
X = np.load(f"{folder}/queries.npy")
loaded = SimilaritySearch.load(f"{folder}/search", embedder=learner)
for search in (loaded, joblib.load(f"{folder}/search.joblib")):
    print(*search.predict(X), *search.lookup(X, 2)["id"], *search.lookup(X, 2)["shelf"])
    print(search.cutpoint_, search.calibration_)
assert "torch" not in sys.modules
"""

X, y = load_digits(return_X_y=True)
TRAINED, KNOWN, STRANGER = y < 4, (y >= 4) & (y < 8), 8


@pytest.fixture(scope="module")
def learner():
    return MetricLearner(random_state=0).fit(X[TRAINED], y[TRAINED])


def gallery(learner):
    rows = np.flatnonzero(KNOWN)[::2]
    search = SimilaritySearch(learner, n_neighbors=3)
    return search.fit(X[rows], y[rows], ids=rows, metadata={"shelf": [f"shelf {row % 7}" for row in rows]})


def test_walk(process_without_torch, learner, tmp_path):
    search = gallery(learner)
    calibration = search.calibrate(targets={"strict": ("false_accept_rate", 0.02)})
    queries = np.flatnonzero(KNOWN)[1::2]
    evaluation = search.evaluate(X[queries], y[queries], X[y >= STRANGER])
    assert evaluation["identified"] > 0.7
    assert evaluation["unknown_accepted"] < 0.5

    strangers = np.flatnonzero(y == STRANGER)
    enrolled, later = strangers[:30], strangers[30:]
    before = search.predict(X[later])
    search.partial_fit(X[enrolled], y[enrolled], ids=enrolled, metadata={"shelf": ["new"] * 30})
    after = search.predict(X[later])
    assert (before == STRANGER).sum() == 0 < 0.5 * len(later) < (after == STRANGER).sum()
    assert search.lookup(X[enrolled[:1]], 1)["id"].tolist() == [enrolled[0]]

    search.remove(enrolled)
    np.testing.assert_array_equal(search.predict(X[later]), before)
    search.set_cutpoint("strict")
    assert search.calibration_ is calibration

    np.save(tmp_path / "queries.npy", X[queries[:40]])
    joblib.dump(learner, tmp_path / "learner.joblib")
    joblib.dump(search, tmp_path / "search.joblib")
    search.save(tmp_path / "search")
    printed = process_without_torch.run(ELSEWHERE, tmp_path)
    table = search.lookup(X[queries[:40]], 2)
    answers = f"{' '.join(map(str, [*search.predict(X[queries[:40]]), *table['id'], *table['shelf']]))}\n"
    assert printed == 2 * f"{answers}strict {calibration}\n"


def test_a_loaded_search_goes_on(learner, tmp_path):
    search = gallery(learner)
    search.calibrate()
    search.save(tmp_path)
    loaded = SimilaritySearch.load(tmp_path, embedder=learner)
    rows = np.flatnonzero(y == 9)
    for one in (search, loaded):
        one.partial_fit(X[rows[:9]], y[rows[:9]], ids=rows[:9], metadata={"shelf": ["new"] * 9}).remove(
            rows[0]
        )
    np.testing.assert_array_equal(search.predict(X), loaded.predict(X))
    np.testing.assert_array_equal(search.ids_, loaded.ids_)
    assert loaded.n_features_in_ == 64
    assert repr(loaded.calibration_) == repr(search.calibration_)


def test_a_folder_says_what_it_lacks(learner, tmp_path):
    gallery(learner).save(tmp_path / "with")
    with pytest.raises(ValueError, match=r"saved with an embedder, a MetricLearner.* load\(path, embedder="):
        SimilaritySearch.load(tmp_path / "with")
    plain = SimilaritySearch(matcher="center").fit(X[:50], y[:50])
    plain.save(tmp_path / "without")
    with pytest.raises(ValueError, match="saved without an embedder"):
        SimilaritySearch.load(tmp_path / "without", embedder=learner)
    loaded = SimilaritySearch.load(tmp_path / "without")
    np.testing.assert_array_equal(loaded.predict(X[50:]), plain.predict(X[50:]))
    assert loaded.get_params() == plain.get_params()


def test_another_embedder_is_noticed(learner, tmp_path):
    SimilaritySearch(learner).fit(X[:50], y[:50]).save(tmp_path)
    other = make_pipeline(FrozenEstimator(learner), Normalizer()).fit(X[:50])
    with pytest.raises(ValueError, match="made of MetricLearner -> Normalizer in place of MetricLearner"):
        SimilaritySearch.load(tmp_path, embedder=other)
    assert len(SimilaritySearch.load(tmp_path, embedder=other, check_embedder=False).ids_) == 50
    assert len(SimilaritySearch.load(tmp_path, embedder=FrozenEstimator(learner)).ids_) == 50
    with pytest.raises(NotFittedError, match="embedder=MetricLearner is not fitted: give the one that made"):
        SimilaritySearch.load(tmp_path, embedder=MetricLearner())


def test_a_gallery_without_labels_is_saved_too(tmp_path):
    SimilaritySearch().fit(X[:50]).save(tmp_path)
    loaded = SimilaritySearch.load(tmp_path)
    np.testing.assert_array_equal(
        loaded.kneighbors(X[:3], 2)[1], SimilaritySearch().fit(X[:50]).kneighbors(X[:3], 2)[1]
    )
    assert not hasattr(loaded, "classes_")
