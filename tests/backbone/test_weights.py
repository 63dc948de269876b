import copy

import pytest
import torch
from safetensors.torch import save_file

from skmetric._backbone._build import build
from skmetric._backbone._weights import load_weights


@pytest.fixture
def other(network):
    """The same network with other weights."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        other[0].weight += 1
    return other


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("w.safetensors", None),
        ("w.pth", lambda state: state),
        ("w.pt", lambda state: {"state_dict": state, "epoch": 3}),
        ("w.pth", lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}}),
    ],
)
def test_files_of_weights(network, other, tmp_path, name, wrap):
    state = other.state_dict()
    if wrap is None:
        save_file(state, tmp_path / name)
    else:
        torch.save(wrap(state), tmp_path / name)
    loaded = build(network, tmp_path / name, {})
    assert torch.equal(loaded[0].weight, other[0].weight)
    assert loaded is not network
    assert not torch.equal(network[0].weight, other[0].weight)


def test_weights_that_do_not_fit(network, tmp_path):
    state = network.state_dict()
    state["head.bias"] = state.pop("0.bias")
    state["4.weight"] = state["4.weight"][:2]
    save_file(state, tmp_path / "w.safetensors")
    message = r"do not fit.*; missing: 0\.bias; unexpected: head\.bias; of another shape: 4\.weight$"
    with pytest.raises(ValueError, match=message):
        load_weights(network, tmp_path / "w.safetensors")


def test_many_misfits_are_counted(network, tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"missing: 0\.bias, .* and 4 more; unexpected: a"):
        load_weights(network, tmp_path / "w.safetensors")


def test_missing_file_of_weights(network, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"weights='.*w\.pth': no such file"):
        load_weights(network, tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_damaged_file_of_weights(network, tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights in here")
    with pytest.raises(ValueError, match=r"weights='.*' cannot be read as a state dict"):
        load_weights(network, tmp_path / name)


def test_a_pickled_network_is_not_run(network, tmp_path):
    torch.save(network, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"a whole network that was pickled is loaded with torch\.load"):
        load_weights(network, tmp_path / "w.pth")


def test_a_file_of_something_else(network, tmp_path):
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(ValueError, match="holds no state dict"):
        load_weights(network, tmp_path / "w.pth")


def test_a_classifier_that_was_not_built_is_left_out(timm, tmp_path):
    whole = timm.create_model("test_resnet", num_classes=7)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    loaded = build("test_resnet", tmp_path / "w.safetensors", {}).state_dict()
    assert whole.state_dict().keys() - loaded.keys() == {"fc.weight", "fc.bias"}
    assert all(torch.equal(whole.state_dict()[name], tensor) for name, tensor in loaded.items())
