"""Channels last: who gets batches so, and that nothing but the last bits and the speed depends on it."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skmetric.deep import SiameseLearner
from skmetric.deep._network._layout import channels_last, takes_channels_last
from skmetric.deep._network._network import build_network

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


class Viewing(nn.Module):
    """As many write their networks: its `view` fails on maps that lie channels last."""

    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 3)

    def forward(self, images):
        return self.linear(self.conv(images).view(len(images), -1))


def takes(module, shape=(3, 8, 8), device=CPU, **settings):
    return takes_channels_last(build_network(module, shape, **settings)[0], device)


def hooked():
    network = convolutions()
    network[0].register_forward_hook(lambda *_: None)
    return network


def convolutions():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 3))


def test_known_networks_of_images_take_it():
    assert all(takes(name, (3, 32, 32)) for name in ("conv4", "small_resnet", "tutorial_conv"))
    assert takes(convolutions())
    assert takes(nn.Conv2d(3, 8, 3), pooling="gem", n_components=3)


def test_others_do_not():
    assert not takes("mlp", (5,))
    assert not takes(nn.Conv2d(3, 4, 3), pooling="gem", n_components=3)  # torch corrupts memory there
    assert not takes("conv4", device=CUDA)  # never measured
    assert not takes(Viewing())
    assert not takes(nn.Sequential(Viewing(), nn.Identity()))
    assert not takes(hooked())


def test_a_network_of_timm_takes_it(timm):
    assert takes("test_resnet", (3, 32, 32), weights=None)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_layout_by_hand(n_channels):
    batch = torch.rand(2, n_channels, 5, 4)
    moved = channels_last(batch)
    assert torch.equal(moved, batch)
    # a step to the next channel is 1, to the next column C, to the next row 4 C, to the next image 20 C
    assert moved.stride() == (20 * n_channels, 1, 4 * n_channels, n_channels)


def test_a_network_of_views_is_trained_as_it_stands(tiny, pictures):
    X, y = pictures
    learner = tiny(Viewing(), n_components=None).fit(X, y)
    expected = learner.module_(torch.from_numpy(X).float() / 255)
    np.testing.assert_array_equal(learner.transform(X), expected.detach())


def test_embeddings_are_those_of_the_network(tiny, pictures):
    X, y = pictures
    learner = tiny("conv4").fit(X, y)
    expected = learner.module_.eval()(torch.from_numpy(X).float() / 255)  # channels first
    np.testing.assert_allclose(learner.transform(X), expected.detach(), atol=1e-5)


def test_augmentations_get_batches_that_bear_a_view(tiny, pictures):
    seen = []

    def augment(batch):
        seen.append(batch.view(len(batch), -1).shape)
        return batch

    tiny("conv4", augment=augment, max_epochs=1, steps_per_epoch=2).fit(*pictures)
    assert seen == [(48, 192)] * 2


def test_weights_stay_contiguous_and_training_goes_on_with_the_same_bits(tiny, pictures):
    X, y = pictures
    once = tiny("conv4", max_epochs=4).fit(X, y)
    assert all(weights.is_contiguous() for weights in once.module_.state_dict().values())
    half = tiny("conv4", max_epochs=2, warm_start=True).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(half)).transform(X), half.transform(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(half)).fit(X, y).transform(X), once.transform(X))


def test_maps_of_a_frozen_trunk_lie_as_the_network_takes_them(tiny, pictures):
    network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(64, 3))
    settings = {"n_components": None, "freeze": "0", "max_epochs": 3}
    X, y = pictures
    once = tiny(network, **settings).fit(X, y)
    often = tiny(network, augment=lambda batch: batch, **settings).fit(
        X, y
    )  # which runs the trunk every time
    np.testing.assert_allclose(once.transform(X), often.transform(X), atol=1e-5)


def test_pairs_go_the_same_way(pictures):
    X, y = pictures
    rows = np.array([[i, i + 4] for i in range(12)] + [[i, i + 1] for i in range(12)])  # of one class, of two
    learner = SiameseLearner(Viewing(), max_epochs=1, device="cpu", random_state=0)
    learner.fit(X[rows], (y[rows[:, 0]] == y[rows[:, 1]]).astype(int))
    expected = learner.module_(torch.from_numpy(X).float() / 255)
    np.testing.assert_array_equal(learner.transform(X), expected.detach())
