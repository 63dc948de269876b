import copy
import pickle

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from skmetric._torch import (
    autocast,
    evaluating,
    infer,
    pack_module,
    resolve_device,
    seeded,
    to_tensor,
    unpack_module,
)

CPU = torch.device("cpu")


class Odd(nn.Module):
    """What packing must keep: tied weights, a buffer that no state dict has, a plain tensor, many dtypes."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad_(False)
        self.register_buffer("offset", torch.arange(3).bfloat16(), persistent=False)
        self.register_buffer("nothing", None)
        self.flags = torch.tensor([True, False])
        self.empty = torch.empty(0, 4)

    def forward(self, x):
        return self.second(self.norm(self.first(x))) + self.offset


@pytest.fixture
def odd():
    with seeded(0):
        return Odd()


def test_to_tensor_shares_memory_where_it_can():
    array = np.zeros(3, np.float32)
    to_tensor(array)[0] = 1
    assert array[0] == 1


@pytest.mark.parametrize("spoil", [lambda a: a[::-1], lambda a: np.broadcast_to(a, (2, 3))])
def test_to_tensor_copies_what_torch_cannot_share(spoil):
    array = spoil(np.arange(3.0))
    np.testing.assert_array_equal(to_tensor(array).numpy(), array)


def test_device_names():
    assert resolve_device("cpu") == resolve_device(CPU) == CPU
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_cuda_without_a_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError, match="device='cuda:1', but torch sees 0 CUDA devices: use 'auto' or 'cpu'"
    ):
        resolve_device("cuda:1")


def test_unknown_device():
    with pytest.raises(ValueError, match="device='gpu' is no device of torch"):
        resolve_device("gpu")


@pytest.mark.parametrize(
    ("precision", "dtype"), [("auto", "32"), ("fp32", "32"), ("bf16", "bfloat16"), ("fp16", "16")]
)
def test_precision_on_the_cpu(precision, dtype):
    with autocast(CPU, precision):
        assert str(nn.Linear(2, 2)(torch.ones(1, 2)).dtype).endswith(dtype)


def test_each_part_returns_to_its_mode(odd):
    odd.train()
    odd.norm.eval()
    with evaluating(odd):
        assert not any(part.training for part in odd.modules())
    assert odd.training
    assert odd.first.training
    assert not odd.norm.training


def test_modes_are_restored_after_an_error(odd):
    with pytest.raises(RuntimeError), evaluating(odd):
        raise RuntimeError
    assert odd.norm.training


def test_seeded_is_repeatable_and_leaves_the_global_seed_alone():
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded(3):
            draws.append(torch.rand(2))
    assert torch.equal(*draws)
    assert torch.equal(before, torch.get_rng_state())


def test_seeded_plants_no_seed_for_a_device_that_is_not_in_use(monkeypatch):
    planted = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", planted.append)
    with seeded(3):
        pass
    assert planted == []  # it would take effect, for good, whenever CUDA starts


def test_infer_keeps_the_order_and_gives_float32():
    batches = torch.arange(5.0, dtype=torch.float64).view(-1, 1).split(2)
    out = infer(lambda x: x * 2, batches, device=CPU)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, [[0], [2], [4], [6], [8]])


def test_infer_records_no_gradient():
    weight = torch.ones(1, requires_grad=True)
    seen = []
    infer(lambda x: seen.append((x * weight).requires_grad) or x, [torch.ones(1, 1)], device=CPU)
    assert seen == [False]


def test_packing_keeps_everything(odd):
    back = unpack_module(pickle.loads(pickle.dumps(pack_module(odd))))
    x = torch.ones(2, 3)
    torch.testing.assert_close(back.eval()(x), odd.eval()(x), rtol=0, atol=0)
    assert back.second.weight is back.first.weight
    assert isinstance(back.first.weight, nn.Parameter)
    assert back.first.weight.requires_grad
    assert not back.first.bias.requires_grad
    assert back.offset.dtype == torch.bfloat16
    assert back.nothing is None
    assert torch.equal(back.flags, odd.flags)
    assert back.empty.shape == (0, 4)
    assert "offset" not in back.state_dict()


def test_packing_leaves_the_module_alone(odd):
    weight = odd.first.weight
    state = copy.deepcopy(odd.state_dict())
    pack_module(odd)
    assert odd.first.weight is weight
    assert all(torch.equal(state[name], tensor) for name, tensor in odd.state_dict().items())


def test_unpacked_module_owns_its_tensors(odd):
    packed = pack_module(odd)
    with torch.no_grad():
        unpack_module(packed).first.weight.zero_()
    assert unpack_module(packed).first.weight.abs().sum() > 0
    assert odd.first.weight.abs().sum() > 0


def test_equal_modules_hash_equal_and_others_not(odd):
    same, other = copy.deepcopy(odd), copy.deepcopy(odd)
    with torch.no_grad():
        other.norm.running_mean[0] += 1
    hashes = [joblib.hash(pack_module(module)) for module in (odd, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_shared_weights_are_packed_once(odd):
    assert sum(array.size == 9 * 4 for array in pack_module(odd).arrays) == 1
