import numpy as np
import pytest

from skmetric.deep import DeepMetricLearner


@pytest.fixture(scope="session")
def blobs():
    """Rows of 6 classes around centres 4 apart: (60, 5) float32, and text labels."""
    rng = np.random.default_rng(0)
    y = np.repeat(list("abcdef"), 10)
    centers = 4 * rng.standard_normal((6, 5))
    X = np.repeat(centers, 10, axis=0) + rng.standard_normal((60, 5))
    return X.astype(np.float32), y


@pytest.fixture(scope="session")
def pictures():
    """Colour images (48, 3, 8, 8) of 4 classes, uint8, and their labels."""
    rng = np.random.default_rng(0)
    y = np.arange(48) % 4
    base = rng.integers(0, 200, (4, 3, 8, 8))
    return (base[y] + rng.integers(0, 50, (48, 3, 8, 8))).astype(np.uint8), y


@pytest.fixture
def tiny():
    """Make a learner that trains in a moment, from random weights: test_closed_form has the other start."""

    def make(module="linear", **settings):
        defaults = {"n_components": 3, "max_epochs": 2, "loss": "triplet", "random_state": 0, "device": "cpu"}
        return DeepMetricLearner(module, **({"init": "random"} | defaults | settings))

    return make
