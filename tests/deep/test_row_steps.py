"""Proxies that a batch does not see: steps of the optimizer for the others alone, with the same results."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from skmetric.deep import Checkpoint, DeepMetricLearner, FineTuning, losses
from skmetric.deep._training import _row_steps
from skmetric.deep._training._loop import Training
from skmetric.deep._training._optim import make_optimizer
from skmetric.deep._training._row_steps import RowSteps
from skmetric.deep.losses._table_rows import read_by

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 5)).astype("float32"), np.arange(60) % 30
DENSE = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": lambda groups, **settings: torch.optim.SGD(groups, momentum=0.9, **settings),
}
optimizers = pytest.mark.parametrize("optimizer", DENSE)


@pytest.fixture(autouse=True)
def _tables_of_any_size(monkeypatch):
    """A sparse gradient pays from some hundred thousand rows on: here tables are small."""
    monkeypatch.setattr(_row_steps, "_WORTH", 1)


def descend(optimizer, reads_rows, n_steps=40):
    """A loss after some steps, and its optimizer; `reads_rows` or dense."""
    loss = losses.SoftTripleLoss(sampled_classes=6).bind(4, 50, generator=torch.Generator().manual_seed(0))
    made = make_optimizer(
        optimizer, torch.nn.Linear(1, 1), loss, learning_rate=0.1, proxy_learning_rate=0.1, weight_decay=0.01
    )
    rows = RowSteps(made) if reads_rows else None
    generator = torch.Generator().manual_seed(1)
    for step in range(n_steps):
        made.param_groups[-1]["lr"] = 0.1 / (step + 1)  # a schedule
        made.zero_grad()
        batch = torch.randn(8, 4, generator=generator), torch.randint(50, (8,), generator=generator)
        with read_by(rows):
            loss(*batch).backward()
        assert loss.proxies.grad.is_sparse == reads_rows
        made.step()
        if rows is not None and step == 25:  # somebody looks in the middle
            rows.settle()
    if rows is not None:
        rows.settle()
    return loss, made


@optimizers
def test_sampled_rows_end_where_a_dense_gradient_takes_them(optimizer):
    (sparse, of_rows), (dense, of_all) = descend(optimizer, True), descend(optimizer, False)
    torch.testing.assert_close(sparse.proxies, dense.proxies, rtol=0, atol=2e-4)
    found, expected = dict(of_rows.state[sparse.proxies]), dict(of_all.state[dense.proxies])
    assert list(found) == list(expected)  # names of the moments
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def learner(optimizer, **params):
    return DeepMetricLearner(
        **{
            "module": "linear",
            "init": "random",
            "n_components": 4,
            "loss": losses.ArcFaceLoss(scale=4.0, sampled_classes=8),
            "classes_per_batch": 4,
            "samples_per_class": 2,
            "max_epochs": 2,
            "optimizer": optimizer,
            "proxy_learning_rate": 0.03,
            "device": "cpu",
            "validation_fraction": None,
            "random_state": 0,
        }
        | params
    )


def proxies(fitted):
    return fitted.loss_.proxies.detach().numpy()


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": 0.1, "schedule": "cosine"},
        {"fine_tuning": FineTuning(accumulate=2)},
        {"fine_tuning": FineTuning(grad_cache=3, ema=0.9)},
        {"loss": losses.MatryoshkaLoss(losses.ProxyAnchorLoss(sampled_classes=8), prefixes=[2, 4])},
    ],
    ids=str,
)
@optimizers
def test_a_learner_learns_what_a_dense_optimizer_does(optimizer, options):
    ours, dense = (learner(kind, **options).fit(X, Y) for kind in (optimizer, DENSE[optimizer]))
    np.testing.assert_allclose(ours.transform(X), dense.transform(X), atol=2e-4)
    for mine, its in zip(ours.loss_.parameters(), dense.loss_.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), its.detach(), atol=5e-4)


def test_the_comparison_can_fail(monkeypatch):
    """Without the steps that rows have missed, as SparseAdam does, they end elsewhere."""
    dense = proxies(learner("adam").fit(X, Y))
    monkeypatch.setattr("skmetric.deep._training._row_steps.Table.catch_up", lambda self, rows: None)
    assert np.abs(proxies(learner("adam").fit(X, Y)) - dense).max() > 1e-2


def test_training_goes_on_with_the_same_bits(tmp_path):
    whole = learner("adam", max_epochs=4).fit(X, Y)
    halves = learner("adam", max_epochs=2, warm_start=True).fit(X, Y)
    np.testing.assert_array_equal(proxies(deepcopy(halves).fit(X, Y)), proxies(whole))
    folder = Checkpoint(tmp_path, every_n_steps=2)
    np.testing.assert_allclose(
        proxies(learner("adam", max_epochs=4, checkpoint=folder).fit(X, Y)), proxies(whole), atol=5e-4
    )


def test_a_state_that_is_restored_forgets_what_rows_have_missed():
    learned = learner("adam", max_epochs=1)
    states = []
    original = Training.state

    def seen(self):
        found = original(self)
        states.append((self, found))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Training, "state", seen)
        learned.fit(X, Y)
    training = states[-1][0]
    kept = training.snapshot()
    training.restore(kept)
    before = training.loss.proxies.detach().clone()
    training.rows.about_to_read(training.loss.proxies, torch.arange(30))
    torch.testing.assert_close(training.loss.proxies.detach(), before, rtol=0, atol=0)
