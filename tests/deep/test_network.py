"""What `module`, `weights`, `n_components` and `pooling` make: networks of one's own, of ours, of timm."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from skmetric import FrozenFeatures
from skmetric.deep._network._network import build_network

with torch.random.fork_rng():
    torch.manual_seed(1)  # other weights than those that the tests make, which start from 0
    MAPS = nn.Conv2d(3, 4, 3)


@pytest.fixture
def mobilenet(timm, shared_data):
    """Settings of MobileNetV2 with its real weights."""
    return {
        "module": "mobilenetv2_100",
        "weights": shared_data / "weights/mobilenetv2_100_tf2_in1k.safetensors",
        "model_kwargs": {"pad_type": "same"},
    }


# Pooling


@pytest.mark.parametrize("pooling", ["avg", "max", "gem"])
def test_maps_are_pooled(pictures, pooling):
    images = torch.as_tensor(pictures[0][:2] / 255, dtype=torch.float32)
    network, width = build_network(MAPS, (3, 8, 8), pooling=pooling, normalize=False)
    maps = MAPS(images)
    expected = {
        "avg": maps.mean((2, 3)),
        "max": maps.amax((2, 3)),
        "gem": maps.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3),
    }
    assert width == 4
    torch.testing.assert_close(network(images), expected[pooling])


def test_gem_learns_its_power(tiny, pictures):
    learner = tiny(MAPS, pooling="gem", learning_rate=0.1).fit(*pictures)
    assert learner.module_[1].gem.power.item() != 3


def test_pooled_maps_are_mapped_to_n_components(tiny, pictures):
    learner = tiny(MAPS, pooling="avg", n_components=7).fit(*pictures)
    assert learner.transform(pictures[0]).shape == (48, 7)
    assert tiny(MAPS, pooling="avg", n_components=None).fit(*pictures).n_components_ == 4


def test_vectors_have_no_space_to_pool(tiny, pictures, blobs):
    with pytest.raises(
        ValueError,
        match=r"pooling='gem' needs feature maps .* module 'conv4' gives \(2, 64\): leave pooling=",
    ):
        tiny("conv4", pooling="gem").fit(*pictures)
    with pytest.raises(ValueError, match=r"pooling='avg' needs .* module Linear gives \(2, 3\)"):
        tiny(nn.Linear(5, 3), pooling="avg").fit(*blobs)
    with pytest.raises(ValueError, match="pooling='cls' needs a class token"):
        tiny(MAPS, pooling="cls").fit(*pictures)


# Names, weights, arguments


@pytest.mark.parametrize("name", ["conv4", "small_resnet"])
def test_names_for_images(tiny, pictures, name):
    assert tiny(name, max_epochs=1).fit(*pictures).transform(pictures[0]).shape == (48, 3)


def test_arguments_for_what_is_built(tiny, pictures):
    learner = tiny("small_resnet", model_kwargs={"n_blocks": 1, "width": 4}, max_epochs=1).fit(*pictures)
    assert learner.module_.trunk[0].out_channels == 4
    own = tiny(lambda shape, width: nn.Sequential(nn.Flatten(), nn.Linear(192, width)), n_components=None)
    assert own.set_params(model_kwargs={"width": 5}, max_epochs=1).fit(*pictures).n_components_ == 5
    with pytest.raises(ValueError, match="this module is built already"):
        tiny(MAPS, pooling="avg", model_kwargs={"width": 5}).fit(*pictures)
    with pytest.raises(
        ValueError, match=r"model_kwargs has \['depth'\], but module 'small_resnet' takes .*'width'"
    ):
        tiny("small_resnet", model_kwargs={"depth": 5}).fit(*pictures)


def test_a_file_of_weights(pictures, tmp_path):
    other = nn.Conv2d(3, 4, 3)
    save_file(other.state_dict(), tmp_path / "w.safetensors")
    network, _ = build_network(MAPS, (3, 8, 8), pooling="avg", weights=tmp_path / "w.safetensors")
    assert torch.equal(network.trunk.weight, other.weight)
    assert not torch.equal(MAPS.weight, other.weight)
    with pytest.raises(ValueError, match="do not fit the network"):
        build_network("conv4", (3, 8, 8), weights=tmp_path / "w.safetensors")


def test_a_name_that_nobody_has(timm, tiny, pictures):
    with pytest.raises(
        ValueError,
        match=r"module='resnet81' is unknown; the names are \['auto'.*timm has no network.*resnet18",
    ):
        tiny("resnet81").fit(*pictures)


def test_without_timm_the_extra_is_named(tiny, pictures, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("skmetric._optional.import_module", missing)
    with pytest.raises(ImportError, match=r"module='resnet18' is unknown.*pip install 'skmetric\[vision\]'"):
        tiny("resnet18").fit(*pictures)


# Networks of timm


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext2", "test_mambaout"])
@pytest.mark.parametrize("pooling", [None, "avg", "gem"])
def test_convolution_networks_of_timm(timm, name, pooling):
    network, width = build_network(name, (3, 64, 64), 5, pooling=pooling, weights=None)
    assert width == 5
    assert network.eval()(torch.rand(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize("pooling", [None, "avg", "max", "gem", "cls"])
def test_transformers_of_timm(timm, pooling):
    network, _ = build_network("test_vit", (3, 160, 160), 5, pooling=pooling, weights=None)
    assert network.eval()(torch.rand(2, 3, 160, 160)).shape == (2, 5)


def test_average_is_what_the_network_does_itself(timm):
    torch.manual_seed(0)
    own, _ = build_network("test_resnet", (3, 64, 64), weights=None)
    torch.manual_seed(0)
    pooled, _ = build_network("test_resnet", (3, 64, 64), weights=None, pooling="avg")
    images = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(own.eval()(images), pooled.eval()(images))


def test_random_weights_come_from_random_state(timm, tiny, pictures):
    X = np.kron(pictures[0], np.ones((1, 1, 4, 4), dtype=np.uint8))
    settings = {"weights": None, "max_epochs": 1, "steps_per_epoch": 1}
    first, again, other = (
        tiny("test_resnet", random_state=seed, **settings).fit(X, pictures[1]) for seed in (0, 0, 1)
    )
    assert (first.transform(X) == again.transform(X)).all()
    assert (first.transform(X) != other.transform(X)).any()


def test_rows_of_features_are_no_images(timm, tiny, blobs):
    with pytest.raises(ValueError, match=r"module='test_resnet' takes images; X holds rows of 5 features"):
        tiny("test_resnet", weights=None).fit(*blobs)


def test_features_are_those_of_frozen_features(mobilenet, load_set):
    faces = load_set("orl_faces").data[:4]  # (4, 112, 92), grey
    settings = {name: value for name, value in mobilenet.items() if name != "module"}
    frozen = FrozenFeatures("mobilenetv2_100", image_size=faces.shape[1:], crop_pct=1.0, **settings)
    network, width = build_network(input_shape=(1, *faces.shape[1:]), normalize=False, **mobilenet)
    assert width == 1280
    with torch.no_grad():
        ours = network.eval()(torch.as_tensor(faces[:, None] / 255, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(ours, frozen.fit_transform(faces), atol=1e-4)


def test_a_frozen_timm_network_learns_what_follows(mobilenet, tiny, load_set):
    faces = load_set("orl_faces")
    X, y = faces.data[:60], faces.target[:60]
    learner = tiny(**mobilenet, freeze="trunk", n_components=16, max_epochs=15, loss="auto").fit(X, y)
    assert learner.history_[-1]["loss"] < learner.history_[0]["loss"]
    trunk = learner.module_.trunk
    assert not any(weight.requires_grad for weight in trunk.parameters())
    assert not any(part.training for part in learner.module_.train().trunk.modules())
