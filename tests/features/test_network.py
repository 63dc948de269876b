import pytest
import torch
from torch import nn

from skmetric.features._network import check_layer, extract, input_config

# Input


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
