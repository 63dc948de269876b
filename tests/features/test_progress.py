"""scikit-learn's callbacks hear of the batches that go through a frozen network."""

import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.pipeline import make_pipeline
from torch import nn

from skmetric import FrozenFeatures
from skmetric.features._cache import BLOCK


class Recorder:
    """Keeps the name of each task that ends."""

    max_propagation_depth = None

    def __init__(self):
        self.ended, self.totals = [], []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        if context.max_subtasks:
            self.totals.append(context.max_subtasks)

    def on_fit_task_end(self, estimator, context):
        self.ended.append((context.estimator_name, context.task_name))

    def teardown(self, estimator, context):
        pass


@pytest.fixture
def grey():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (10, 8, 8), dtype=np.uint8)


def batches(recorder):
    return recorder.ended.count(("FrozenFeatures", "batch"))


def test_each_batch_of_transform_is_a_step(grey, images):
    recorder = Recorder()
    features = FrozenFeatures(grey, batch_size=4).fit(images)
    plain = features.transform(images)
    np.testing.assert_array_equal(features.set_callbacks(recorder).transform(images), plain)
    assert (batches(recorder), recorder.totals) == (3, [3])  # 4 + 4 + 2 images
    assert recorder.ended[-1] == ("FrozenFeatures", "transform")


def test_fit_transform_is_one_task(grey, images):
    recorder = Recorder()
    FrozenFeatures(grey, batch_size=4).set_callbacks(recorder).fit_transform(images)
    assert recorder.ended == [("FrozenFeatures", "batch")] * 3 + [("FrozenFeatures", "fit")]


def test_a_pipeline_passes_its_callbacks_on(grey, images):
    recorder = Recorder()
    model = make_pipeline(FrozenFeatures(grey, batch_size=4), "passthrough")
    model.set_callbacks(recorder).fit_transform(images)
    assert batches(recorder) == 3


def test_what_is_in_the_cache_is_no_step(grey, images, tmp_path):
    recorder = Recorder()
    features = FrozenFeatures(grey, batch_size=4, cache=tmp_path / "cache").fit(images)
    features.transform(images[:8])
    features.set_callbacks(recorder).transform(images)
    assert batches(recorder) == 1


def test_many_blocks_of_the_cache_are_not_too_many_steps(grey, tmp_path):
    """Each block of the cache begins a batch: scikit-learn refuses more steps than were announced."""
    images = np.random.default_rng(0).integers(0, 256, (BLOCK + 2, 4, 4), dtype=np.uint8)
    recorder = Recorder()
    features = FrozenFeatures(grey, batch_size=500, cache=tmp_path / "cache")
    features.set_callbacks(recorder).fit_transform(images)
    assert batches(recorder) == recorder.totals[0] == 3  # 500, 12, 1: fit kept the first image


def test_the_progress_bar_of_scikit_learn_counts_batches(grey, images, capsys):
    pytest.importorskip("rich")
    FrozenFeatures(grey, batch_size=4).set_callbacks(ProgressBar()).fit_transform(images)
    assert "FrozenFeatures - fit" in capsys.readouterr().out


def test_an_error_ends_the_callbacks(grey, images):
    ended = []
    recorder = Recorder()
    recorder.teardown = lambda estimator, context: ended.append(context.task_name)
    features = FrozenFeatures(grey, batch_size=4).fit(images).set_callbacks(recorder)
    features.module_[0].weight.data.fill_(np.nan)
    with pytest.raises(ValueError, match="NaN or infinity"):
        features.transform(images)
    assert ended == ["transform"]
