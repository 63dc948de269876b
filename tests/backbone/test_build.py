import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from skmetric._backbone._build import build, n_input_channels

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


# What it tells of itself


def test_channels_of_the_first_convolution():
    assert n_input_channels(small_network(2)) == 2
    assert n_input_channels(nn.Linear(3, 3)) is None
