"""Large margin nearest neighbours."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from skmetric.linear import LMNN
from skmetric.linear._descent._centred import centred
from skmetric.linear._losses import _impostors, _lmnn_loss
from skmetric.linear._losses._lmnn_loss import LMNNLoss
from skmetric.linear._losses._targets import target_neighbors

from .conftest import gaussian_classes

HINGES = ["hinge", "squared_hinge"]


def loss_as_written(e, y, targets, hinge, pull, margin=1.0):
    total = 0.0
    for i in range(len(e)):
        for j in targets[i][targets[i] >= 0]:
            near = np.square(e[i] - e[j]).sum()
            total += pull * near
            gap = np.maximum(0, margin + near - np.square(e[i] - e[y != y[i]]).sum(axis=1))
            total += (1 - pull) * (gap if hinge == "hinge" else gap**2).sum()
    return total


def make_loss(hinge="hinge", pull=0.4, margin=1.0):
    """A loss over four classes, one of them a single row and one of two."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    y = np.array([0] + [1] * 2 + [2] * 12 + [3] * 15)
    rows, _, _ = centred(X, np.arange(30))
    targets = target_neighbors(rows, y, 3)
    return LMNNLoss(rows, y, targets, margin, hinge, pull), X, y, targets


def test_target_neighbors_by_hand():
    rows, _, _ = centred(np.array([[0.0], [1], [5], [7], [9]]), np.arange(5))
    targets = target_neighbors(rows, np.array([0, 0, 0, 1, 2]), 2)
    assert [sorted(row) for row in targets.tolist()] == [[1, 2], [0, 2], [0, 1], [-1, -1], [-1, -1]]
    assert target_neighbors(rows, np.zeros(5, int), 1)[:, 0].tolist()[:2] == [1, 0]


def test_loss_by_hand():
    # rows 0 and 1 of a class, 2 of another: pull 1 + 1; row 0: 1 + 1 - 9 < 0; row 1: 1 + 1 - 4 < 0; with a
    # margin of 5 row 1 has 5 + 1 - 4 = 2
    rows, _, _ = centred(np.array([[0.0], [1], [3]]), np.arange(3))
    y, targets = np.array([0, 0, 1]), np.array([[1], [0], [-1]])
    e = np.array([[0.0], [1], [3]])
    assert LMNNLoss(rows, y, targets, 1, "hinge", 0.5).of_embeddings(e)[0] == pytest.approx(1)
    assert LMNNLoss(rows, y, targets, 5, "hinge", 0.5).of_embeddings(e)[0] == pytest.approx(1 + 1)
    assert LMNNLoss(rows, y, targets, 5, "squared_hinge", 0.5).of_embeddings(e)[0] == pytest.approx(1 + 2)


@pytest.mark.parametrize("hinge", HINGES)
@pytest.mark.parametrize("flush", [1 << 20, 7])
def test_loss_as_written_and_gradient(hinge, flush, monkeypatch):
    monkeypatch.setattr(_lmnn_loss, "_FLUSH", flush)
    loss, e, y, targets = make_loss(hinge)
    assert loss.of_embeddings(e)[0] == pytest.approx(loss_as_written(e, y, targets, hinge, 0.4))
    error = check_grad(
        lambda flat: loss.of_embeddings(flat.reshape(e.shape))[0],
        lambda flat: loss.of_embeddings(flat.reshape(e.shape))[1].ravel(),
        e.ravel(),
        epsilon=1e-7,
    )
    assert error < 1e-3


@pytest.mark.parametrize("worth", [1, 48])
def test_kept_pairs_give_the_same_loss(worth, monkeypatch):
    """Whatever was looked at before, the loss is that of all triplets."""
    monkeypatch.setattr(_impostors, "_WORTH", worth)
    loss, e, y, targets = make_loss(margin=0.2)
    rng = np.random.default_rng(1)
    for step in [0.001, 0.001, 0.3, 0.001, 0.001]:
        e = e + step * rng.normal(size=e.shape) / np.sqrt(e.size)
        expected = loss_as_written(e, y, targets, "hinge", 0.4, 0.2)
        assert loss.of_embeddings(e)[0] == pytest.approx(expected)
    assert loss.search.n_passes == (2 if worth == 1 else 5)


@pytest.mark.parametrize("hinge", HINGES)
def test_objective_is_the_loss_as_published(hinge):
    X, y = gaussian_classes(5, 12, 4, spread=1)
    lmnn = LMNN(loss=hinge, max_iter=30).fit(X, y)
    order = np.argsort(y, kind="stable")
    rows, _, _ = centred(X, order)
    targets = target_neighbors(rows, y[order], 3)
    expected = loss_as_written(lmnn.transform(X)[order], y[order], targets, hinge, 0.5)
    assert lmnn.objective_ == pytest.approx(expected, rel=1e-4)
    assert lmnn.objective_ < LMNN(loss=hinge, max_iter=1).fit(X, y).objective_


def test_one_direction_reaches_the_best_scale():
    """A line: the loss is a function of one number, whose least value a grid knows."""
    X, y = gaussian_classes(3, 10, 1, spread=2)
    order = np.argsort(y, kind="stable")
    rows, _, _ = centred(X, order)
    targets = target_neighbors(rows, y[order], 3)
    grid = np.geomspace(0.05, 50, 150)
    least = min(loss_as_written(np.sqrt(m) * X[order], y[order], targets, "hinge", 0.5) for m in grid)
    assert LMNN(tol=1e-9).fit(X, y).objective_ == pytest.approx(least, rel=2e-3)


def test_no_impostors_is_a_result():
    """Two classes far apart: the pull shrinks the map until the margin holds it."""
    X = np.r_[np.zeros((5, 2)), np.full((5, 2), 1e3)] + np.random.default_rng(0).normal(size=(10, 2))
    lmnn = LMNN().fit(X, np.repeat([0, 1], 5))
    assert lmnn.pair_distance(X[:1], X[5:6])[0] >= 0.9
    assert lmnn.objective_ < 0.01


def test_small_classes_give_the_targets_they_have(few):
    X, y = few[0][:9], np.array([0, 0, 0, 0, 0, 1, 1, 2, 0])
    assert np.isfinite(LMNN(n_neighbors=5).fit(X, y).components_).all()
