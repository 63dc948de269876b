"""Fits beside one another, and networks that leave the package."""

import os
import threading

import numpy as np
import pytest
import torch
from torch import nn

from skmetric._torch import seeded
from skmetric.deep import DeepMetricLearner


def dropping(input_shape):
    return nn.Sequential(nn.Linear(*input_shape, 16), nn.Dropout(0.5), nn.Linear(16, 3))


def learner(seed):
    return DeepMetricLearner(dropping, max_epochs=4, random_state=seed, steps_per_epoch=20, device="cpu")


def in_threads(calls):
    results = [None] * len(calls)
    threads = [
        threading.Thread(target=lambda i=i, call=call: results.__setitem__(i, call()))
        for i, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_fits_in_threads_give_the_bits_that_they_give_alone(blobs):
    X, y = blobs
    alone = [learner(seed).fit(X, y).transform(X) for seed in range(3)]
    state = torch.get_rng_state()
    together = in_threads([lambda seed=seed: learner(seed).fit(X, y).transform(X) for seed in range(3)])
    np.testing.assert_array_equal(together, alone)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, as POSIX has them")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Python 3.12 on, about forks beside threads
def test_a_forked_child_computes_on_one_thread():
    """OpenMP's threads are not in the child: it would wait for them for ever."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        child = os.fork()
        if child == 0:
            os._exit(torch.get_num_threads())
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_pause_lets_another_thread_draw_and_goes_on_with_the_same_numbers():
    with seeded(0):
        expected = torch.rand(2)
    drawn = []

    def other():
        with seeded(1):
            drawn.append(torch.rand(1))

    with seeded(0) as turn:
        first = torch.rand(1)
        thread = threading.Thread(target=other)
        thread.start()
        while not drawn:  # it must come while this block is open
            turn.pause()
        second = torch.rand(1)
    thread.join(10)
    assert torch.equal(torch.cat([first, second]), expected)


def test_blocks_inside_one_another():
    with seeded(0):
        expected = torch.rand(2)
    with seeded(0):
        first = torch.rand(1)
        with seeded(5) as inner:
            inner.pause()
            torch.rand(7)
        assert torch.equal(torch.cat([first, torch.rand(1)]), expected)


HEADS = [
    {"module": "mlp"},
    {"module": "conv4"},
    {"module": "small_resnet"},
    {"module": "conv4", "mean": 0.5},
    {"module": "conv4", "distance": "poincare"},
    *({"module": nn.Conv2d(3, 4, 3), "pooling": pooling} for pooling in ("avg", "max", "gem")),
]


@pytest.mark.parametrize(
    "settings", HEADS, ids=lambda head: "-".join(str(head[name]).partition("(")[0] for name in head)
)
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_trained_network_can_be_scripted(settings, blobs):
    X = np.random.default_rng(0).random((12, 3, 16, 16)).astype(np.float32)
    X = blobs[0][:12] if settings["module"] == "mlp" else X
    learner = DeepMetricLearner(**settings, max_epochs=1, random_state=0, device="cpu").fit(
        X, np.arange(12) % 3
    )
    scripted = torch.jit.script(learner.module_)
    np.testing.assert_allclose(scripted(torch.tensor(X)).detach(), learner.transform(X), atol=1e-6)
