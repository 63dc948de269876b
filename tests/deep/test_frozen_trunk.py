"""Parts that are frozen by name, and the trunk that then runs once instead of every epoch."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from skmetric.deep import DeepMetricLearner
from skmetric.deep._network import _freeze as freezing


class Counting(nn.Module):
    """A trunk of maps with batch norm and dropout, both of which must stand still, that counts its rows."""

    def __init__(self, n_channels=3):
        super().__init__()
        self.conv = nn.Conv2d(n_channels, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout(0.5)
        self.calls = []

    def forward(self, images):
        self.calls.append(len(images))
        return self.drop(self.norm(self.conv(images)))


@pytest.fixture
def trunk(pictures):
    """One that was trained before: its batch norm has measured these images."""
    torch.manual_seed(0)
    trunk = Counting()
    trunk.norm.momentum = 1.0
    trunk(torch.as_tensor(pictures[0] / 255, dtype=torch.float32))
    trunk.calls.clear()
    return trunk


def weights_of(learner):
    return {name: value.clone() for name, value in learner.module_.trunk.state_dict().items()}


# By name


def test_what_is_frozen_stays_to_the_bit(tiny, pictures, trunk):
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    after = weights_of(tiny(trunk, pooling="avg", freeze="trunk").fit(*pictures))
    assert all(torch.equal(before[name], after[name]) for name in before)  # measured moments included
    free = weights_of(tiny(trunk, pooling="avg").fit(*pictures))
    assert not torch.equal(before["norm.running_mean"], free["norm.running_mean"])


def test_a_part_by_name(tiny, pictures, trunk):
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    learner = tiny(trunk, pooling="avg", freeze=["norm"]).fit(*pictures)
    after = weights_of(learner)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        "conv.weight",
        "conv.bias",
    }
    learner.module_.train()
    assert (learner.module_.trunk.norm.training, learner.module_.trunk.drop.training) == (False, True)


def test_all_batch_norms(tiny, pictures, trunk):
    learner = tiny(nn.Sequential(trunk, nn.BatchNorm2d(6)), pooling="avg", freeze="batch_norm").fit(*pictures)
    after = weights_of(learner)
    assert all(torch.equal(after[f"0.norm.{name}"], value) for name, value in trunk.norm.state_dict().items())
    assert after["1.num_batches_tracked"] == 0
    assert not torch.equal(after["0.conv.weight"], trunk.conv.weight)
    with pytest.raises(ValueError, match="freeze='batch_norm', but the network has no batch norm"):
        tiny(nn.Conv2d(3, 4, 3), pooling="avg", freeze="batch_norm").fit(*pictures)


def test_a_weight_by_name(tiny, pictures, trunk):
    learner = tiny(trunk, pooling="avg", freeze="conv.weight").fit(*pictures)
    after = weights_of(learner)
    assert torch.equal(after["conv.weight"], trunk.conv.weight)
    assert not torch.equal(after["conv.bias"], trunk.conv.bias)


def test_names_end_at_a_dot(tiny, blobs):
    network = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5), *[nn.Identity()] * 8, nn.Linear(5, 5))
    learner = tiny(network, n_components=None, freeze="1", max_epochs=1).fit(*blobs)
    still = [name for name, weight in learner.module_.trunk.named_parameters() if not weight.requires_grad]
    assert still == ["1.weight", "1.bias"]  # and not those of 10


@pytest.mark.parametrize("freeze", ["layer1", ["conv", "con"], "conv.weigh"])
def test_a_name_that_is_none_lists_those_at_the_top(tiny, pictures, trunk, freeze):
    message = r"freeze='.*' is the beginning of no weight's name; .* \['conv', 'norm'\]; 'trunk' stands"
    with pytest.raises(ValueError, match=message):
        tiny(trunk, pooling="avg", freeze=freeze).fit(*pictures)


def test_freezing_everything_leaves_nothing_to_train(tiny, pictures):
    with pytest.raises(ValueError, match="no weights to train: all of them are frozen"):
        tiny("conv4", freeze="trunk").fit(*pictures)
    with pytest.raises(ValueError, match="freeze takes names of parts of the network; 3 is none"):
        tiny("conv4", freeze=[3]).fit(*pictures)


def test_thawing_between_fits(tiny, pictures, trunk):
    X, y = pictures
    learner = tiny(trunk, pooling="avg", freeze="trunk", warm_start=True).fit(X, y)
    learner.set_params(freeze="conv").fit(X, y)
    after = weights_of(learner)
    assert torch.equal(after["conv.weight"], trunk.conv.weight)
    assert not torch.equal(after["norm.weight"], trunk.norm.weight)
    assert [row["epoch"] for row in learner.history_] == [1, 2, 3, 4]


def test_what_came_frozen_is_not_thawed(tiny, pictures, trunk):
    trunk.norm.requires_grad_(False)
    learner = tiny(trunk, pooling="avg", freeze="trunk", warm_start=True).fit(*pictures)
    learner.set_params(freeze=None).fit(*pictures)
    assert torch.equal(learner.module_.trunk.norm.weight, trunk.norm.weight)
    assert not torch.equal(learner.module_.trunk.conv.weight, trunk.conv.weight)


# Run once


def same(batch):
    """An augmentation that changes nothing, but which the learner cannot know: the trunk runs every step."""
    return batch


def test_the_frozen_trunk_runs_once(tiny, pictures, trunk):
    X, y = pictures
    settings = {"pooling": "avg", "freeze": "trunk", "max_epochs": 3, "steps_per_epoch": 4}
    once = tiny(trunk, **settings).fit(X, y)
    often = tiny(trunk, augment=same, **settings).fit(X, y)
    n_once, n_often = sum(once.module_.trunk.calls), sum(often.module_.trunk.calls)
    # each batch holds 48 samples; besides: 2 rows of a look at the shapes, 1 at the size of the features
    assert n_once == 2 + 1 + len(X)
    assert n_often >= 3 * 4 * len(X)


@pytest.mark.parametrize("settings", [{}, {"validation_fraction": 0.5}, {"loss": "proxy_anchor"}])
def test_run_once_or_every_time_is_the_same(tiny, pictures, trunk, settings):
    X, y = pictures
    settings = {"pooling": "gem", "freeze": "trunk", "max_epochs": 3, **settings}
    once, often = tiny(trunk, **settings).fit(X, y), tiny(trunk, augment=same, **settings).fit(X, y)
    np.testing.assert_allclose(once.transform(X), often.transform(X), atol=1e-5)
    losses = [[row["loss"] for row in learner.history_] for learner in (once, often)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert once.best_epoch_ == often.best_epoch_


def test_the_beginning_of_a_sequence_is_cut_off(tiny, pictures):
    X, y = pictures
    first = Counting()
    network = nn.Sequential(
        nn.Sequential(first, nn.MaxPool2d(2)), nn.Conv2d(6, 4, 3), nn.Flatten(), nn.Linear(4, 3)
    )
    learner = tiny(network, freeze="0").fit(X, y)
    assert sum(learner.module_.trunk[0][0].calls) == 2 + 1 + len(X)
    assert learner.transform(X).shape == (48, 3)


def run_once(network, samples):
    rest, _ = freezing.without_frozen(network, samples, lambda module, x: x)
    return rest is not network


@pytest.mark.parametrize(
    ("layers", "freeze", "is_cut"),
    [
        ([nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)], "0", True),
        ([nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)], "2", False),  # not the beginning
        ([nn.ReLU(), nn.Linear(5, 3)], None, False),  # nothing is spared
        ([nn.Dropout(), nn.Linear(5, 4), nn.Linear(4, 3)], "1", False),  # chance before it
        ([nn.BatchNorm1d(5), nn.Linear(5, 3)], "0", True),
    ],
)
def test_where_it_is_cut(tiny, blobs, layers, freeze, is_cut):
    learner = tiny(nn.Sequential(*layers), freeze=freeze, max_epochs=1).fit(*blobs)
    assert run_once(learner.module_, blobs[0]) == is_cut


def test_features_too_large_to_keep_are_not_kept(tiny, pictures, trunk, monkeypatch):
    monkeypatch.setattr(freezing, "_LARGEST", 1000)
    learner = tiny(trunk, pooling="avg", freeze="trunk", max_epochs=3, steps_per_epoch=2).fit(*pictures)
    assert sum(learner.module_.trunk.calls) > 3 * 2 * 48


def test_a_hooked_sequence_is_run_itself(tiny, blobs):
    network = nn.Sequential(nn.Sequential(nn.Linear(5, 4)), nn.Linear(4, 3))
    seen = []
    network.register_forward_hook(lambda *_: seen.append(1))
    learner = tiny(network, freeze="0", max_epochs=1, steps_per_epoch=3).fit(*blobs)
    assert len(seen) >= 3
    assert isinstance(learner, DeepMetricLearner)


def test_partial_fit_and_pickles_keep_what_is_frozen(tiny, pictures, trunk):
    X, y = pictures
    learner = tiny(trunk, pooling="avg", freeze="trunk").partial_fit(X, y)
    loaded = pickle.loads(pickle.dumps(learner)).partial_fit(X, y)
    assert all(torch.equal(weights_of(loaded)[name], value) for name, value in trunk.state_dict().items())
    assert len(loaded.history_) == 2
