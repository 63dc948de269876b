"""Two processes that train together learn what one process learns from the same batches."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from skmetric.deep import Checkpoint, DeepMetricLearner, Distributed, FineTuning, losses, miners
from skmetric.deep._distributed._group import by_view, in_buckets
from skmetric.deep._training import _row_steps
from skmetric.deep._training._checkpoints import _checkpoint_folder
from skmetric.deep._training._loss._criterion import loss_names

from .ranks import by_two

if not hasattr(__import__("os"), "fork"):
    pytest.skip("processes of these tests are copies of one", allow_module_level=True)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 6)).astype("float32"), np.arange(40) % 8
POINCARE = {"hyperbolic_info_nce"}
WRAPPED = {
    "memory": losses.CrossBatchMemory(losses.ContrastiveLoss(), size=20),
    "matryoshka": losses.MatryoshkaLoss(losses.ProxyAnchorLoss(), prefixes=[2, 4]),
    "foreign": losses.ForeignLoss(lambda embeddings, labels: embeddings.square().mean()),
    "sampled classes": losses.ArcFaceLoss(sampled_classes=6),
    "a miner that draws": losses.MarginLoss(miner=miners.DistanceWeightedMiner(4, random_state=0)),
}
CASES = {name: name for name in loss_names()} | WRAPPED


def learner(loss="contrastive", **params):
    """5 x 3 samples a batch, which two processes share as 8 and 7; SGD, so that weights tell gradients."""
    return DeepMetricLearner(
        **{
            "module": "linear",
            "init": "random",
            "n_components": 4,
            "loss": loss,
            "distance": "poincare" if loss in POINCARE else "euclidean",
            "classes_per_batch": 5,
            "samples_per_class": 3,
            "steps_per_epoch": 2,
            "max_epochs": 1,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "device": "cpu",
            "validation_fraction": None,
            "random_state": 0,
        }
        | params
    )


def learned(fitted):
    """Weights of the network and what the loss learned or remembers."""
    owned = fitted.loss_.state_dict() if isinstance(fitted.loss_, nn.Module) else {}
    return {f"{i}": v.numpy() for i, v in enumerate([*fitted.module_.state_dict().values(), *owned.values()])}


@pytest.fixture(scope="module")
def together():
    """What each rank learned with each loss: one group for all of them."""
    fit = {name: lambda loss=loss: learner(loss, distributed=Distributed()) for name, loss in CASES.items()}
    return by_two(lambda rank: {name: learned(make().fit(X, Y)) for name, make in fit.items()})


@pytest.mark.parametrize("name", CASES)
def test_two_processes_learn_what_one_does_with_every_loss(name, together):
    alone = learned(learner(CASES[name]).fit(X, Y))
    for rank in together:
        assert list(rank[name]) == list(alone)
        for found, expected in zip(rank[name].values(), alone.values(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_two_processes_move_sampled_proxies_alone_as_one_moves_all(optimizer, monkeypatch):
    """A sparse gradient: by default it is taken for larger tables."""

    def fit(**params):
        loss = losses.ArcFaceLoss(sampled_classes=6)
        return learner(loss, optimizer=optimizer, learning_rate=0.01, steps_per_epoch=6, **params).fit(X, Y)

    expected = learned(fit())
    monkeypatch.setattr(_row_steps, "_WORTH", 1)
    taken = []
    monkeypatch.setattr(
        _row_steps.Table, "step", lambda *a, step=_row_steps.Table.step: taken.append(step(*a))
    )
    for rank in by_two(lambda rank: learned(fit(distributed=Distributed())) | {"steps": len(taken)}):
        assert rank.pop("steps") == 6
        for found, wanted in zip(rank.values(), expected.values(), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


def test_the_comparison_can_fail():
    """Another batch of the same size moves the weights by more than the tolerance."""
    other = learned(learner("contrastive").fit(X[:, ::-1].copy(), Y))["0"]
    assert np.abs(other - learned(learner("contrastive").fit(X, Y))["0"]).max() > 1e-3


@pytest.mark.parametrize(
    "params",
    [
        {"fine_tuning": FineTuning(accumulate=2, grad_cache=3, ema=0.5), "clip_norm": 0.1},
        {"validation_fraction": 0.3, "refit": True, "head": "closed_form", "optimizer": "adam"},
        {
            "loss": "proxy_anchor",
            "module": nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)),
            "freeze": "0",
            "init": "auto",
            "n_components": None,
            "fine_tuning": FineTuning(proxies="class_means"),
        },
        {
            "module": "conv4",
            "n_components": None,
            "fine_tuning": FineTuning(freeze_batch_norm=True, unfreeze_epochs=1),
            "max_epochs": 2,
        },
    ],
    ids=["parts and steps", "validation", "frozen", "gradual unfreezing"],
)
def test_the_course_of_training_is_that_of_one_process(params):
    images = RNG.uniform(size=(40, 1, 16, 16)).astype("float32") if params.get("module") == "conv4" else X
    alone = learner(**params).fit(images, Y)
    for fitted, history in by_two(
        lambda rank: (lambda f: (learned(f), f.history_))(
            learner(**params, distributed=Distributed()).fit(images, Y)
        )
    ):
        for found, expected in zip(fitted.values(), learned(alone).values(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
        for row, wanted in zip(history, alone.history_, strict=True):
            assert row.keys() == wanted.keys()
            assert row == pytest.approx(wanted | {"seconds": row["seconds"]}, abs=1e-4, nan_ok=True)


def test_views_lie_as_in_the_whole_batch():
    # two processes with 2 and 1 samples, two views each: (a1 b1 a2 b2), (c1 c2)
    rows = torch.tensor([1, 2, 11, 12, 3, 13])
    assert by_view(rows, [4, 2], 2).tolist() == [1, 2, 3, 11, 12, 13]


def test_two_views_train():
    params = {"loss": "sim_clr", "augment": ["two_views", lambda batch: batch + torch.randn_like(batch)]}
    params |= {"samples_per_class": None, "classes_per_batch": 9, "distributed": Distributed()}
    first, second = by_two(lambda rank: learned(learner(**params).fit(X))["0"])
    np.testing.assert_array_equal(first, second)


def test_statistics_of_batch_norms_are_means_over_processes():
    network = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4))
    params = {"module": network, "init": "auto", "n_components": None, "distributed": Distributed()}
    first, second = by_two(lambda rank: learned(learner(**params).fit(X, Y)))
    for a, b in zip(first.values(), second.values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_messages_are_of_one_dtype_and_hold_all():
    tensors = [torch.ones(2), torch.ones(3, dtype=torch.float64), torch.ones(4)]
    assert [[len(t) for t in bucket] for bucket in in_buckets(tensors)] == [[2, 4], [3]]


# Refusals, in all processes alike


def refusal(params, samples=lambda rank: X):
    errors = by_two(lambda rank: learner(**params).fit(samples(rank), Y))
    assert [type(error) for error in errors] == [ValueError] * 2, errors
    assert str(errors[0]) == str(errors[1])
    return str(errors[0])


def test_other_samples_in_another_process_are_refused():
    message = refusal({"distributed": Distributed()}, lambda rank: X + rank)
    assert "those of rank [1] have other samples or labels than the first" in message


def test_a_loss_that_gathers_itself_is_refused():
    loss = losses.GatheredBatches(losses.ContrastiveLoss())
    assert "pass the loss inside" in refusal({"loss": loss, "distributed": Distributed()})


def test_another_number_of_devices_than_the_group_has_is_refused():
    message = refusal({"distributed": Distributed(devices=3)})
    assert "devices=3, but the process group that exists already has 2 processes" in message


def test_an_error_of_the_first_process_alone_ends_all():
    def scorer(estimator, X, y):
        raise ValueError(f"no score, rank {torch.distributed.get_rank()}")

    params = {"scoring": scorer, "validation_fraction": 0.3, "distributed": Distributed()}
    assert refusal(params) == "no score, rank 0"


def test_a_checkpoint_is_written_once_and_refused_to_another_number_of_processes(tmp_path):
    params = {"checkpoint": tmp_path / "c", "max_epochs": 2}
    first, _ = by_two(lambda rank: learned(learner(**params, distributed=Distributed()).fit(X, Y))["0"])
    again, _ = by_two(lambda rank: learned(learner(**params, distributed=Distributed()).fit(X, Y))["0"])
    np.testing.assert_array_equal(first, again)
    with pytest.raises(ValueError, match=r"by 2 processes, and this one has 1: .*Distributed\(devices=2\)"):
        learner(**params).fit(X, Y)


def test_processes_resume_within_an_epoch_each_with_its_own_chance(tmp_path):
    """Dropout draws other numbers in each process, and batch norms see the share of each."""

    def network(input_shape):
        return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 4))

    def fit(rank, checkpoint=None, n_saves=None):
        save, left = _checkpoint_folder.write_folder, [n_saves]

        def write(*args, **options):
            if left[0] == 0:
                raise OSError("no power")
            left[0] = None if left[0] is None else left[0] - 1
            return save(*args, **options)

        params = {"module": network, "max_epochs": 2, "steps_per_epoch": 4, "checkpoint": checkpoint}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_checkpoint_folder, "write_folder", write)
            return learned(learner(**params, distributed=Distributed()).fit(X, Y))

    def broken(rank):
        checkpoint = Checkpoint(tmp_path / "c", every_n_steps=1)
        with pytest.raises(OSError, match="no power"):
            fit(rank, checkpoint, n_saves=6)
        return fit(rank, checkpoint)

    for whole, found in zip(by_two(fit), by_two(broken), strict=True):
        np.testing.assert_equal(found, whole)


def test_fabric_is_not_loaded_to_join_a_group_that_is_there():
    def fit(rank):
        learner(distributed=Distributed()).fit(X, Y)
        return "lightning_fabric" in sys.modules

    before = "lightning_fabric" in sys.modules
    assert by_two(fit) == [before, before]
