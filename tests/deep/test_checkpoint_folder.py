"""A fit whose process is killed goes on from its folder, and ends as an unbroken one."""

import os
import signal

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmetric.deep import DeepMetricLearner, FineTuning, SiameseLearner, TripletLearner
from skmetric.deep._training._checkpoints import _checkpoint_folder
from skmetric.deep.losses import CrossBatchMemory, NTXentLoss

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(48, 6)) + 2 * np.eye(6)[np.arange(48) % 6]).astype(np.float32)
Y = np.arange(48) % 6
PAIRS, SAME = X.reshape(24, 2, 6), np.arange(24) % 2
KINDS = {  # name: a learner, and what it is fitted on
    "plain": (DeepMetricLearner("mlp", n_components=3), (X, Y)),
    "schedule and proxies": (
        DeepMetricLearner(
            "mlp", n_components=3, loss="proxy_anchor", schedule="cosine", optimizer="sgd", random_state=3
        ),
        (X, Y),
    ),
    "memory and average": (
        DeepMetricLearner(
            "mlp",
            n_components=3,
            loss=CrossBatchMemory(NTXentLoss(), size=32),
            fine_tuning=FineTuning(ema=0.9, warm_up=0.1),
            random_state=3,
        ),
        (X, Y),
    ),
    "closed form": (DeepMetricLearner(init="closed_form", head="closed_form", random_state=3), (X, Y)),
    "pairs": (SiameseLearner("mlp", n_components=3, random_state=3), (PAIRS, SAME)),
    "triplets": (TripletLearner("mlp", n_components=3, random_state=3), (X.reshape(16, 3, 6),)),
}


class Killed(BaseException):
    """Stands for a signal that ends the process."""


def killed_after(n_saves, monkeypatch):
    """Let the process end at a save: that one is not written."""
    save, left = _checkpoint_folder.write_folder, [n_saves]

    def write(*args, **options):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return save(*args, **options)

    monkeypatch.setattr(_checkpoint_folder, "write_folder", write)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("n_saves", [0, 1, 2])
def test_a_broken_fit_ends_as_an_unbroken_one(name, n_saves, tmp_path, monkeypatch):
    learner, data = KINDS[name]
    seed = 3 if learner.random_state is None else learner.random_state
    learner.set_params(max_epochs=4, device="cpu", random_state=seed, checkpoint=None)
    whole = learner.fit(*data).transform(X)
    history = [row["loss"] for row in learner.history_]
    learner.set_params(checkpoint=tmp_path / "run")
    with monkeypatch.context() as patch:
        killed_after(n_saves, patch)
        with pytest.raises(Killed):
            learner.fit(*data)
    assert_array_equal(learner.fit(*data).transform(X), whole)
    assert [row["loss"] for row in learner.history_] == history
    assert_array_equal(learner.fit(*data).transform(X), whole)  # it had ended


@pytest.mark.parametrize("n_saves", [2, 5])  # in the run on some of the classes, and in that on all of them
def test_a_fit_that_retrains_goes_on_in_either_run(n_saves, tmp_path, monkeypatch):
    rng, y = np.random.default_rng(0), np.arange(96) % 12
    rows = rng.normal(size=(96, 6)).astype(np.float32)
    rows[:, :3] += 1.5 * rng.normal(size=(12, 3))[y]
    learner = DeepMetricLearner(
        "mlp", n_components=3, validation_fraction=0.4, refit=True, random_state=1, max_epochs=4, device="cpu"
    ).set_params(learning_rate=0.01)
    whole, best = learner.fit(rows, y).transform(rows), learner.best_epoch_
    assert len(learner.refit_history_) > 1  # else there is nothing to break
    learner.set_params(checkpoint=tmp_path)
    with monkeypatch.context() as patch:
        killed_after(n_saves, patch)
        with pytest.raises(Killed):
            learner.fit(rows, y)
    assert (tmp_path / "refit").exists() == (n_saves == 5)
    assert_array_equal(learner.fit(rows, y).transform(rows), whole)
    assert learner.best_epoch_ == best


def test_a_fit_without_a_seed_goes_on_with_its_own(tmp_path, monkeypatch):
    learner = DeepMetricLearner("mlp", max_epochs=3, device="cpu", checkpoint=tmp_path)
    with monkeypatch.context() as patch:
        killed_after(1, patch)
        with pytest.raises(Killed):
            learner.fit(X, Y)
    seed = _checkpoint_folder._read(tmp_path / "fit")[0]["seed"]
    assert learner.fit(X, Y)._seed == seed
    assert [row["epoch"] for row in learner.history_] == [1, 2, 3]


@pytest.fixture
def run(tmp_path):
    return DeepMetricLearner("mlp", max_epochs=2, device="cpu", random_state=0, checkpoint=tmp_path).fit(X, Y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": 0.5}, r"of a fit with learning_rate=None, and learning_rate is 0\.5 now"),
        ({"max_epochs": 3}, "max_epochs=2, and max_epochs is 3 now"),
        ({"loss": "proxy_anchor"}, "loss='auto', and loss is 'proxy_anchor' now"),
        ({"random_state": 1}, "random_state=0, and random_state is 1 now"),
    ],
)
def test_other_parameters_are_refused_by_name(run, change, message):
    with pytest.raises(ValueError, match=message):
        run.set_params(**change).fit(X, Y)


def test_other_samples_are_refused(run):
    for data in ((X + 1, Y), (X, Y[::-1]), (X[:40], Y[:40])):
        with pytest.raises(ValueError, match="is of other samples, labels or classes held out"):
            run.fit(*data)


def test_a_damaged_checkpoint_is_named(run, tmp_path):
    file = next((tmp_path / "fit").rglob("state.safetensors"))
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)
    with pytest.raises(ValueError, match=r"state\.safetensors is damaged"):
        run.fit(X, Y)


def test_going_on_keeps_its_own_end(tmp_path):
    learner = DeepMetricLearner("mlp", max_epochs=2, device="cpu", random_state=0, warm_start=True)
    whole = learner.fit(X, Y).fit(X, Y).transform(X)
    kept = DeepMetricLearner(
        "mlp", max_epochs=2, device="cpu", random_state=0, warm_start=True, checkpoint=tmp_path
    )
    assert_array_equal(kept.fit(X, Y).fit(X, Y).transform(X), whole)


FIT = """
import sys
import numpy as np
from skmetric.deep import Checkpoint, DeepMetricLearner

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 6)).astype(np.float32)
learner = DeepMetricLearner(
    "mlp", max_epochs=10, steps_per_epoch=4, device="cpu", random_state=0, loss="proxy_anchor",
    checkpoint=Checkpoint(sys.argv[1], every_n_steps=1) if sys.argv[1] else None,
)
print("fit", flush=True)
learner.fit(X, np.arange(64) % 4)
print(learner.transform(X).tobytes().hex()[:4096])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals, as POSIX has them")
def test_killed_at_random_moments_it_ends_with_the_same_bits(another_process, tmp_path):
    """Forks of one process, so that each does not import torch again."""
    code = FIT.replace("learner.fit(X", KILLS + "learner.fit(X")
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    out = [another_process.run(code, path, env=env) for path in ("", tmp_path / "run")]
    assert out[0].splitlines()[-1] == out[1].splitlines()[-1]
    assert "killed 8" in out[1]


KILLS = """
import os, random, signal, time
moments = random.Random(0)
n_killed = 0
torch_threads = __import__("torch").set_num_threads(1)
while sys.argv[1] and n_killed < 8:
    child = os.fork()
    if child == 0:
        learner.fit(X, np.arange(64) % 4)
        os._exit(0)
    time.sleep(moments.uniform(0.02, 0.25))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    n_killed += 1
print("killed", n_killed, flush=True)
"""
