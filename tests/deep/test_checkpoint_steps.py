"""A fit that is killed within an epoch resumes after a step, and ends as an unbroken one."""

import tempfile
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from skmetric.deep import Checkpoint, DeepMetricLearner, FineTuning, SiameseLearner, TripletLearner
from skmetric.deep._training._checkpoints import _checkpoint_folder
from skmetric.deep._training._descent import Descent
from skmetric.deep.losses import CrossBatchMemory, NTXentLoss
from skmetric.exceptions import DivergenceWarning

RNG = np.random.default_rng(0)
X = (RNG.normal(size=(48, 6)) + 2 * np.eye(6)[np.arange(48) % 6]).astype(np.float32)
Y = np.arange(48) % 6


def noisy_network(input_shape):
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4))


def noise(batch):
    return batch + torch.randn(batch.shape) / 4


class Drawn(torch.utils.data.Dataset):
    """Each reading of an item draws."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return torch.as_tensor(X[i]) + torch.randn(6) / 4, int(Y[i])


one_cycle = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.01, total_steps=12)
SIX = {"steps_per_epoch": 6, "classes_per_batch": 4, "samples_per_class": 2}
with tempfile.TemporaryFile() as file:
    MAPPED = np.memmap(file, np.float32, "w+", shape=X.shape)
MAPPED[:] = X
KINDS = {  # name: a learner of five or six batches an epoch, what it is fitted on, and options of fit
    "dropout and noise": (DeepMetricLearner(noisy_network, augment=noise, **SIX), (X, Y)),
    "schedule and proxies": (
        DeepMetricLearner("mlp", loss="proxy_anchor", schedule="cosine", optimizer="sgd", **SIX),
        (X, Y),
    ),
    "schedule of torch": (DeepMetricLearner("mlp", schedule=one_cycle, **SIX), (X, Y)),
    "memory and average": (
        DeepMetricLearner(
            noisy_network,
            loss=CrossBatchMemory(NTXentLoss(), size=32),
            fine_tuning=FineTuning(ema=0.9),
            **SIX,
        ),
        (X, Y),
    ),
    "parts and several batches a step": (
        DeepMetricLearner(noisy_network, fine_tuning=FineTuning(accumulate=2, grad_cache=4), **SIX),
        (X, Y),
    ),
    "gradual unfreezing": (
        DeepMetricLearner("mlp", fine_tuning=FineTuning(unfreeze_epochs=1), **SIX),
        (X, Y),
    ),
    "items that draw": (DeepMetricLearner("mlp", **SIX), (Drawn(), None)),
    "weights of samples": (DeepMetricLearner("mlp", **SIX), (X, Y), {"sample_weight": 1.0 + Y}),
    "a memory map": (DeepMetricLearner("mlp", augment=noise, **SIX), (MAPPED, Y)),
    "levels": (DeepMetricLearner("mlp", relevance="hierarchy", **SIX), (X, np.stack([Y % 2, Y], axis=1))),
    "pairs": (SiameseLearner("mlp", batch_size=4), (X.reshape(24, 2, 6), np.arange(24) % 2)),
    "triplets": (TripletLearner("mlp", batch_size=3), (X.reshape(16, 3, 6),)),
}


class Killed(BaseException):
    """In place of a signal that ends the process."""


def fit_killed_after(n_saves, learner, data, monkeypatch, **options):
    """Fit until the process ends at a save, which is not written."""
    save, left = _checkpoint_folder.write_folder, [n_saves]

    def write(*args, **options):
        if not left[0]:
            raise Killed
        left[0] -= 1
        return save(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint_folder, "write_folder", write)
        with pytest.raises(Killed):
            learner.fit(*data, **options)


def counter_of_batches(monkeypatch):
    """A list that grows by one with each batch that is trained on."""
    taken, take = [], Descent.take

    def counted(self, *args):
        taken.append(1)
        return take(self, *args)

    monkeypatch.setattr(Descent, "take", counted)
    return taken


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@pytest.mark.parametrize("n_saves", [1, 4])  # killed in the first epoch, and in a later one
@pytest.mark.parametrize("name", KINDS)
def test_a_fit_broken_within_an_epoch_ends_as_an_unbroken_one(name, n_saves, tmp_path, monkeypatch):
    learner, data, *more = KINDS[name]
    options = more[0] if more else {}
    learner.set_params(max_epochs=2, device="cpu", random_state=3, checkpoint=None, validation_fraction=None)
    taken = counter_of_batches(monkeypatch)
    whole, history = learner.fit(*data, **options).transform(X), without_seconds(learner.history_)
    n_whole = len(taken)
    accumulate = 2 if "several batches a step" in name else 1
    learner.set_params(checkpoint=Checkpoint(tmp_path, every_n_steps=2 // accumulate))
    fit_killed_after(n_saves, learner, data, monkeypatch, **options)
    taken.clear()
    assert_array_equal(learner.fit(*data, **options).transform(X), whole)
    n_kept = {1: 2, 4: n_whole // 2 + 2}[n_saves]  # saved after batch 2, batch 4, the epoch, batch 2
    assert len(taken) == n_whole - n_kept
    np.testing.assert_equal(without_seconds(learner.history_), history)
    assert not (tmp_path / "fit_epoch").exists()


@pytest.mark.parametrize(("run", "n_saves"), [("fit", 8), ("refit", 20)])  # six saves an epoch
def test_either_run_of_a_fit_that_retrains_resumes_within_an_epoch(run, n_saves, tmp_path, monkeypatch):
    rng, y = np.random.default_rng(0), np.arange(96) % 12
    rows = rng.normal(size=(96, 6)).astype(np.float32)
    rows[:, :3] += 1.5 * rng.normal(size=(12, 3))[y]
    learner = DeepMetricLearner(
        "mlp", n_components=3, augment=noise, validation_fraction=0.4, refit=True, **SIX
    )
    learner.set_params(random_state=1, max_epochs=3, device="cpu", learning_rate=0.01)
    whole, best = learner.fit(rows, y).transform(rows), learner.best_epoch_
    assert len(learner.history_) == 3
    assert learner.refit_history_
    learner.set_params(checkpoint=Checkpoint(tmp_path, every_n_steps=1))
    fit_killed_after(n_saves, learner, (rows, y), monkeypatch)
    assert (tmp_path / f"{run}_epoch" / "manifest.json").exists()
    assert_array_equal(learner.fit(rows, y).transform(rows), whole)
    assert learner.best_epoch_ == best


def test_how_often_may_change_and_what_is_trained_may_not(tmp_path, monkeypatch):
    learner = DeepMetricLearner(
        "mlp", device="cpu", max_epochs=1, checkpoint=Checkpoint(tmp_path, every_n_steps=2)
    )
    learner.set_params(**SIX)  # without a seed: the folder has it from the first step on
    fit_killed_after(1, learner, (X, Y), monkeypatch)
    with pytest.raises(ValueError, match="of a fit with max_epochs=1, and max_epochs is 2 now"):
        learner.set_params(max_epochs=2).fit(X, Y)
    with pytest.raises(ValueError, match="is of other samples"):
        learner.set_params(max_epochs=1).fit(X + 1, Y)
    taken = counter_of_batches(monkeypatch)
    learner.set_params(checkpoint=str(tmp_path)).fit(X, Y)
    assert len(taken) == 4


def test_a_divergence_after_resuming_goes_back_to_the_epoch_before(tmp_path, monkeypatch):
    def fails_late(embeddings, labels):
        fails_late.n_calls += 1
        return embeddings.square().sum() * (float("nan") if fails_late.n_calls == 11 else 1.0)

    fails_late.n_calls = 0
    learner = DeepMetricLearner("mlp", loss=fails_late, device="cpu", random_state=0, max_epochs=2, **SIX)
    first = learner.set_params(max_epochs=1).fit(X, Y).transform(X)
    fails_late.n_calls = 0
    learner.set_params(max_epochs=2, checkpoint=Checkpoint(tmp_path, every_n_steps=2))
    fit_killed_after(4, learner, (X, Y), monkeypatch)  # written after batches 2, 4, 6 and 8
    fails_late.n_calls = 8
    with pytest.warns(DivergenceWarning, match="the state after epoch 1 was kept"):
        assert_array_equal(learner.fit(X, Y).transform(X), first)


def test_a_damaged_step_is_named(tmp_path, monkeypatch):
    learner = DeepMetricLearner("mlp", device="cpu", checkpoint=Checkpoint(tmp_path, every_n_steps=1), **SIX)
    fit_killed_after(2, learner, (X, Y), monkeypatch)
    file = next((tmp_path / "fit_epoch").rglob("so_far.safetensors"))
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)
    with pytest.raises(ValueError, match=r"so_far\.safetensors is damaged"):
        learner.fit(X, Y)


@pytest.mark.parametrize("settings", [{"path": 3}, {"path": "run", "every_n_steps": 0}])
def test_bad_settings_are_refused(settings):
    name = "path" if settings["path"] == 3 else "every_n_steps"
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Checkpoint"):
        DeepMetricLearner(checkpoint=Checkpoint(**settings)).fit(X, Y)
