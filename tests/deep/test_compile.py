"""Compiled networks, and networks with code that pickle does not take."""

import pickle
import shutil

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skmetric.deep._network._network import Network


class Squashed(nn.Module):
    """A module that holds a lambda."""

    def __init__(self):
        super().__init__()
        self.map, self.squash = nn.Linear(5, 3), lambda rows: rows.tanh()

    def forward(self, rows):
        return self.squash(self.map(rows))


@pytest.fixture
def compiler():
    """A C++ compiler, without which torch.compile does nothing on a CPU."""
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("no C++ compiler is here")


@pytest.mark.slow
def test_compiled_is_the_same(compiler, tiny, blobs):
    X, y = blobs
    settings = {"optimizer": "sgd", "validation_fraction": 0.4}  # Adam would blow rounding up
    plain = tiny("mlp", **settings).fit(X, y)
    learner = tiny("mlp", compile=True, **settings).fit(X, y)
    np.testing.assert_allclose(learner.transform(X), plain.transform(X), atol=1e-5)
    assert type(learner.module_) is Network
    loaded = pickle.loads(pickle.dumps(learner))
    assert type(loaded.module_) is Network
    np.testing.assert_allclose(loaded.transform(X), plain.transform(X), atol=1e-5)
    clone(learner).set_params(max_epochs=1).fit(X, y)


@pytest.mark.slow
def test_without_a_compiler_the_message_names_the_parameter(tiny, blobs, monkeypatch):
    from torch._inductor import config

    torch._dynamo.reset()
    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setattr(config, "force_disable_caches", True)
    with pytest.raises(RuntimeError, match=r"compile=True, but torch\.compile fails .*pass compile=False"):
        tiny("mlp", compile=True).fit(*blobs)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")  # torch, of its own code
@pytest.mark.parametrize("nested", [False, True])
def test_what_came_compiled_is_unwrapped(tiny, blobs, nested):
    X, y = blobs
    plain = nn.Linear(5, 3)
    network = torch.compile(plain)
    learner = tiny(nn.Sequential(network, nn.Identity()) if nested else network)
    for ready in (learner, clone(learner), pickle.loads(pickle.dumps(learner))):
        ready.fit(X, y)
        assert not any(hasattr(part, "_orig_mod") for part in ready.module_.modules())
        np.testing.assert_array_equal(ready.transform(X), tiny(plain).fit(X, y).transform(X))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # torch, of what it copies itself
@pytest.mark.parametrize("nested", [False, True])
def test_torchscript_is_refused(tiny, blobs, nested):
    script = torch.jit.trace(nn.Linear(5, 3), torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"is TorchScript, .* pass the nn\.Module"):
        tiny(nn.Sequential(script) if nested else script).fit(*blobs)


@pytest.mark.parametrize(
    "settings",
    [
        {"module": lambda shape: nn.Linear(shape[0], 3)},
        {"module": Squashed()},
        {"module": "linear", "loss": lambda e, y: torch.cdist(e, e)[y[:, None] != y].neg().exp().mean()},
        {"module": "linear", "augment": lambda batch: 2 * batch},
        {"module": "linear", "augment": [lambda batch: 2 * batch, torch.neg]},
    ],
    ids=["module", "inside a module", "loss", "augment", "augment, listed"],
)
def test_lambdas_are_pickled_by_value(another_process, tiny, blobs, settings, tmp_path):
    X, y = blobs
    learner = tiny(**settings)
    fitted = pickle.loads(pickle.dumps(learner)).fit(X, y)
    np.testing.assert_array_equal(fitted.transform(X), learner.fit(X, y).transform(X))
    joblib.dump((learner, X, learner.transform(X)), tmp_path / "learner.joblib")
    code = "import joblib, sys; m, X, e = joblib.load(sys.argv[1]); assert (m.transform(X) == e).all()"
    another_process.run(code, tmp_path / "learner.joblib")
