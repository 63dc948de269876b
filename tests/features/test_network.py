import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from skmetric.features._network import (
    build,
    check_layer,
    extract,
    input_config,
    n_input_channels,
)

from .conftest import small_network

# Building


def test_a_network_is_used_itself(network):
    assert build(network, "pretrained", {}) is network


def test_a_callable_builds_with_its_arguments():
    assert build(small_network, None, {"n_channels": 1})[0].in_channels == 1


def test_random_weights_repeat_and_leave_the_global_seed_alone():
    before = torch.get_rng_state()
    first, second = (build(lambda: nn.Linear(3, 3), None, {}) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_built_must_be_a_network():
    with pytest.raises(ValueError, match=r"model=<class 'list'> built a list, not an nn\.Module"):
        build(list, None, {})


def test_arguments_for_a_network_that_is_built(network):
    with pytest.raises(ValueError, match="model_kwargs are for building a network"):
        build(network, None, {"pad_type": "same"})


def test_without_timm_the_extra_is_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("skmetric._optional.import_module", missing)
    message = r"The network 'resnet18' needs the package 'timm': pip install 'skmetric\[vision\]'"
    with pytest.raises(ImportError, match=message):
        build("resnet18", None, {})


def test_unknown_timm_name(timm):
    with pytest.raises(ValueError, match=r"timm has no network 'resnet81'; did you mean .*'resnet18'"):
        build("resnet81", None, {})


def test_weights_that_cannot_be_fetched(timm, monkeypatch):
    def offline(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        OSError, match=r"'resnet18' could not be fetched .*no route.*pass weights= with a \.safet"
    ):
        build("resnet18", "pretrained", {})


def test_pretrained_goes_through_the_loading_of_timm(timm, tmp_path):
    whole = timm.create_model("test_resnet")
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    kwargs = {"pretrained_cfg_overlay": {"file": str(tmp_path / "w.safetensors")}}
    loaded = build("test_resnet", "pretrained", kwargs)
    assert torch.equal(next(loaded.parameters()), next(whole.parameters()))


# Input


def test_channels_of_the_first_convolution():
    assert n_input_channels(small_network(2)) == 2
    assert n_input_channels(nn.Linear(3, 3)) is None


def test_a_plain_network_keeps_images_and_has_the_values_of_imagenet():
    config = input_config(nn.Identity(), 3, (9, 7))
    assert (config.image_size, config.resize) == ((9, 7), False)
    assert config.mean == (0.485, 0.456, 0.406)


def test_one_channel_has_their_average():
    config = input_config(nn.Identity(), 1, (9, 7))
    assert config.mean == pytest.approx([0.449])  # (0.485 + 0.456 + 0.406) / 3
    assert config.std == pytest.approx([0.226])  # (0.229 + 0.224 + 0.225) / 3


def test_a_timm_network_says_what_it_wants(timm):
    module = timm.create_model("vit_base_patch32_clip_384.openai_ft_in12k_in1k", depth=1, num_classes=0)
    config = input_config(module, 3, (9, 7))
    assert (config.image_size, config.resize, config.squash) == ((384, 384), True, True)
    assert config.mean == module.pretrained_cfg["mean"] != (0.485, 0.456, 0.406)


def test_the_caller_wins(timm):
    module = timm.create_model("test_resnet")
    config = input_config(module, 3, (9, 7), image_size=(8, 6), crop_pct=1.0, mean=0.5, std=[0.1, 0.2, 0.3])
    assert (config.image_size, config.crop_pct) == ((8, 6), 1.0)
    assert (config.mean, config.std) == ((0.5, 0.5, 0.5), (0.1, 0.2, 0.3))


@pytest.mark.parametrize("size", [(8, 8, 3), (8, 0.5), (0, 8)])
def test_sizes_that_are_none(size):
    with pytest.raises(
        ValueError, match=r"image_size=.* is neither a number of pixels nor \(height, width\)"
    ):
        input_config(nn.Identity(), 3, (9, 7), image_size=size)


def test_means_of_another_number():
    with pytest.raises(ValueError, match="mean has 2 values; the network takes 3 channels"):
        input_config(nn.Identity(), 3, (9, 7), mean=[0.5, 0.5])


# Features


def test_a_layer_is_what_the_network_computes_up_to_it(network):
    x = torch.rand(2, 3, 9, 9)
    network.eval()
    torch.testing.assert_close(extract(network, x, layer="2"), network[:3](x).mean((2, 3)))


def test_layers_after_it_are_not_run(network):
    network[4].register_forward_hook(lambda *_: pytest.fail("was run"))
    extract(network, torch.rand(2, 3, 9, 9), layer="2")


def test_no_hook_stays(network):
    extract(network, torch.rand(2, 3, 9, 9), layer="2")
    assert not network[2]._forward_hooks


def test_unknown_layer_lists_the_close_ones(timm):
    with pytest.raises(ValueError, match=r"no layer 'layer5'; did you mean 'layer\d'"):
        check_layer(timm.create_model("test_resnet"), "layer5")


def test_layer_that_is_not_run():
    network = nn.ModuleDict({"a": nn.Identity()})
    network.forward = lambda x: x
    with pytest.raises(ValueError, match="has a layer 'a', but does not run it"):
        extract(network, torch.rand(2, 3), layer="a")


def test_output_that_is_no_tensor():
    with pytest.raises(ValueError, match="the network gives a tuple, not a tensor: name a layer"):
        extract(nn.LSTM(3, 3), torch.rand(2, 5, 3))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_mambaout", "test_convnext2"])
def test_own_pooling_of_timm_networks_is_what_comes_before_the_classifier(timm, name):
    module = timm.create_model(name, num_classes=0).eval()
    x = torch.rand(2, 3, *module.pretrained_cfg["input_size"][1:])
    torch.testing.assert_close(extract(module, x), module(x))
    assert extract(module, x, pooling="max").shape == (2, module.num_features)


def test_class_token_of_timm(timm):
    module = timm.create_model("test_vit", num_classes=0).eval()
    x = torch.rand(2, 3, *module.pretrained_cfg["input_size"][1:])
    tokens = module.forward_features(x)
    torch.testing.assert_close(extract(module, x, pooling="cls"), tokens[:, 0])
    torch.testing.assert_close(extract(module, x, pooling="avg"), tokens[:, 1:].mean(1))


@pytest.mark.parametrize(("name", "n_prefix"), [("xcit_nano_12_p16_224", 1), ("mixer_s32_224", 0)])
def test_class_token_of_timm_networks_that_do_not_count_theirs(timm, name, n_prefix):
    module = timm.create_model(name, num_classes=0).eval()
    x = torch.rand(1, 3, 224, 224)
    expected = module.forward_features(x)[:, n_prefix:].mean(1)
    torch.testing.assert_close(extract(module, x, pooling="avg"), expected)


def test_maps_with_channels_last(timm):
    module = timm.create_model(
        "swin_tiny_patch4_window7_224", num_classes=0, depths=(1, 1), num_heads=(1, 2), embed_dim=8
    ).eval()
    x = torch.rand(1, 3, 224, 224)
    torch.testing.assert_close(extract(module, x, pooling="avg"), module(x))
