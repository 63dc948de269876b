"""What the benchmark of Omniglot's one-shot task counts and reads."""

import runpy
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def omniglot():
    """Names of the benchmark, which does nothing when it is not run as a script."""
    return runpy.run_path(str(Path(__file__).parents[1] / "benchmarks/omniglot_one_shot.py"))


def test_accuracy_of_runs_by_hand(omniglot):
    units = np.eye(3).reshape(1, 3, 1, 3)
    order = [2, 0, 1]
    for answers, share in [(order, 1.0), ([2, 1, 0], 1 / 3)]:
        runs = omniglot["Runs"](units, units[:, order], np.array([answers]))
        assert omniglot["accuracy"](lambda images: images.reshape(-1, 3), runs)[0] == pytest.approx(share)


def test_a_character_turned_is_another(omniglot):
    images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    turned, y = omniglot["with_rotations"](images, np.array([0, 5]))
    assert y.tolist() == [0, 20, 1, 21, 2, 22, 3, 23]
    assert turned[2].tolist() == [[1, 3], [0, 2]]  # [[0, 1], [2, 3]] a quarter turn against the clock


def test_official_runs_are_read_as_their_makers_say(omniglot, shared_data):
    runs = omniglot["official_runs"](shared_data)
    assert runs.examples.shape == runs.queries.shape == (20, 20, 42, 42)
    assert (np.sort(runs.answers, axis=1) == np.arange(20)).all()
    # cosine of raw pixels: .218 at 105x105 and .245 at 28x28, says who published the set
    assert 0.2 < omniglot["accuracy"](omniglot["pixels"], runs)[0] < 0.26
