"""Ctrl-C while a network trains."""

import signal
import warnings

import numpy as np
import pytest
import torch

from skmetric.deep import DeepMetricLearner
from skmetric.deep._training import _interrupt


@pytest.fixture(autouse=True)
def _nothing_pressed_before(monkeypatch):
    monkeypatch.setattr(_interrupt, "_last", None)


def pressed(embeddings, labels):
    """A loss in the midst of which somebody presses Ctrl-C."""
    signal.raise_signal(signal.SIGINT)
    return torch.cdist(embeddings, embeddings).mean()


def learner(loss=pressed):
    return DeepMetricLearner("linear", loss=loss, random_state=0, device="cpu")


def test_the_first_says_what_state_the_model_has(blobs):
    with pytest.warns(UserWarning, match=r"epoch 1: .* after 0 whole epochs.*press Ctrl-C once more") as told:
        fitted = learner().fit(*blobs)
    assert told[0].filename == __file__
    assert np.isfinite(fitted.transform(blobs[0])).all()


def test_the_second_ends_a_loop_over_fits(blobs):
    done = []

    def loop():
        for _ in range(5):
            done.append(learner().fit(*blobs))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyboardInterrupt):
            loop()
    assert len(done) == 1


def test_one_that_comes_much_later_is_a_first_again(blobs, monkeypatch):
    monkeypatch.setattr(_interrupt, "_SECONDS", 0.0)
    for _ in range(2):
        with pytest.warns(UserWarning, match="interrupted"):
            learner().fit(*blobs)
