"""A pickle tells which version wrote it."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.exceptions import InconsistentVersionWarning

import skmetric
from skmetric import MetricLearner, SimilaritySearch
from skmetric.deep import DeepMetricLearner, SiameseLearner
from skmetric.features import FrozenFeatures

X, Y = np.random.default_rng(0).random((20, 4)), np.arange(20) % 4
FITTED = [
    MetricLearner().fit(X, Y),
    SimilaritySearch(),
    DeepMetricLearner(),
    SiameseLearner(),
    FrozenFeatures("resnet18"),
]


@pytest.mark.parametrize("estimator", FITTED, ids=lambda e: type(e).__name__)
def test_another_version_is_told_when_a_pickle_is_loaded(estimator, monkeypatch):
    dumped = pickle.dumps(estimator)
    pickle.loads(dumped)
    monkeypatch.setattr(skmetric, "__version__", "99.0")
    with pytest.warns(
        InconsistentVersionWarning, match=r"saved by skmetric .*, and this is skmetric 99\.0"
    ) as told:
        loaded = pickle.loads(dumped)
    assert {warning.filename for warning in told} == {__file__}
    assert "_skmetric_version" not in vars(loaded)


def test_a_class_of_another_package_is_left_alone(monkeypatch):
    class Own(MetricLearner):
        pass

    state = Own().__getstate__()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Own().__setstate__(state)
    assert "_skmetric_version" not in state
