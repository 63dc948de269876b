"""Neighbourhood components analysis: gradients, optimum, mini-batches, online."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.datasets import load_wine
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.preprocessing import scale

from skmetric.linear import NCA
from skmetric.linear._descent._batches import grouped_batches
from skmetric.linear._losses import _soft_neighbors
from skmetric.linear._losses._nca_loss import LOSSES, NCALoss
from skmetric.linear._losses._soft_neighbors import value_and_gradient

from .conftest import gaussian_classes


def soft(embeddings):
    """p_ij as written."""
    squares = np.square(embeddings[:, None] - embeddings).sum(axis=2)
    np.fill_diagonal(squares, np.inf)
    weights = np.exp(squares.min(axis=1, keepdims=True) - squares)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.fixture
def embedded():
    """Embeddings in float64 of four classes, one of them a single row."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(30, 3)), np.array([0] + [1] * 9 + [2] * 5 + [3] * 15)


def test_objective_by_hand():
    # row 0: e^-1 for its class, e^-4 for the other; row 1: e^-1, e^-1; row 2: none of its class
    value, _ = value_and_gradient(np.array([[0.0], [1], [2]]), LOSSES["sum"](np.array([0, 0, 1])))
    assert -value == pytest.approx(np.exp(-1) / (np.exp(-1) + np.exp(-4)) + 1 / 2)


@pytest.mark.parametrize("block", [1 << 19, 30 * 16])
def test_objectives_as_written(embedded, block, monkeypatch):
    monkeypatch.setattr(_soft_neighbors, "_BLOCK", block)
    e, y = embedded
    p = (soft(e) * (y[:, None] == y)).sum(axis=1)
    assert value_and_gradient(e, LOSSES["sum"](y))[0] == pytest.approx(-p.sum())
    assert value_and_gradient(e, LOSSES["log"](y))[0] == pytest.approx(-np.log(p[1:]).sum())


@pytest.mark.parametrize("objective", LOSSES)
def test_gradient_against_finite_differences(embedded, objective):
    e, y = embedded
    loss = LOSSES[objective](y)
    error = check_grad(
        lambda flat: value_and_gradient(flat.reshape(e.shape), loss)[0],
        lambda flat: value_and_gradient(flat.reshape(e.shape), loss)[1].ravel(),
        e.ravel(),
    )
    assert error < 1e-5


@pytest.mark.parametrize("objective", LOSSES)
def test_gradient_on_the_sphere(embedded, objective):
    e, y = embedded
    loss = NCALoss(objective, temperature=0.3, normalize=True)

    def value(flat):
        unit, _ = loss._prepare(flat.reshape(e.shape))
        return value_and_gradient(unit, LOSSES[objective](y))[0]

    def gradient(flat):
        unit, back = loss._prepare(flat.reshape(e.shape))
        return back(value_and_gradient(unit, LOSSES[objective](y))[1]).ravel()

    assert check_grad(value, gradient, e.ravel()) < 1e-4


def test_rows_too_far_for_float32_have_a_finite_likelihood():
    e, y = np.array([[0.0], [300], [1], [301]], np.float32), np.array([0, 0, 1, 1])
    value, gradient = value_and_gradient(e, LOSSES["log"](y))
    assert value == pytest.approx(300**2 - 1 + 299**2 - 1 + 299**2 - 299**2 + 90000 - 1, rel=0.5)
    assert np.isfinite(gradient).all()


def test_scikit_learn_finds_nothing_better_near_our_optimum():
    X, y = gaussian_classes(3, 40, 3, spread=0.8)
    ours = NCA(tol=1e-8, max_iter=200).fit(X, y)
    peer = NeighborhoodComponentsAnalysis(init=ours.components_, max_iter=1).fit(X, y)
    p = (soft(X @ peer.components_.T) * (y[:, None] == y)).sum(axis=1).mean()
    assert ours.objective_ < p + 1e-6 < ours.objective_ + 1e-4


def test_optimum_of_scikit_learn():
    X, y = load_wine(return_X_y=True)
    X = scale(X)
    init = 0.1 * np.eye(X.shape[1])
    peer = NeighborhoodComponentsAnalysis(init=init, max_iter=100).fit(X, y)
    p = (soft(X @ peer.components_.T) * (y[:, None] == y)).sum(axis=1).mean()
    ours = NCA(init=init, max_iter=100).fit(X, y)
    assert ours.objective_ == pytest.approx(p, abs=2e-4)
    ours_p = (soft(ours.transform(X)) * (y[:, None] == y)).sum(axis=1).mean()
    assert ours.objective_ == pytest.approx(ours_p, abs=1e-6)


def test_logarithms_on_the_sphere():
    X, y = gaussian_classes(8, 12, 5)
    nca = NCA(objective="log", normalize=True, temperature=0.1).fit(X, y)
    np.testing.assert_allclose(np.linalg.norm(nca.transform(X), axis=1), 1)
    p = (soft(nca.transform(X) / np.sqrt(0.1)) * (y[:, None] == y)).sum(axis=1)
    assert nca.objective_ == pytest.approx(np.log(p).mean(), rel=1e-4)
    assert (
        nca.objective_
        > NCA(objective="log", normalize=True, temperature=0.1, max_iter=1).fit(X, y).objective_
    )


def test_temperature_is_a_unit():
    X, y = gaussian_classes(5, 12, 4)
    one, four = NCA(n_components=2).fit(X, y), NCA(n_components=2, temperature=4).fit(X, y)
    np.testing.assert_allclose(four.components_, 2 * one.components_, rtol=1e-3, atol=1e-3)


def test_mini_batches_come_near_to_the_optimum():
    X, y = gaussian_classes(6, 40, 5, spread=1)
    settings = {"init": "pca", "random_state": 0}
    whole = NCA(batch_size=None, **settings).fit(X, y)
    parts = NCA(batch_size=60, learning_rate=0.05, **settings).fit(X, y)
    start = NCA(max_iter=1, batch_size=None, **settings).fit(X, y)
    p = (soft(parts.transform(X)) * (y[:, None] == y)).sum(axis=1).mean()
    assert p - start.objective_ > 0.7 * (whole.objective_ - start.objective_)


def test_batches_hold_each_row_once_and_partners():
    codes = np.repeat(np.arange(50), 6)
    batches = list(grouped_batches(codes, 60, np.random.RandomState(0)))
    np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(300))
    alone = [np.count_nonzero(np.bincount(codes[batch], minlength=50) == 1) for batch in batches]
    assert sum(alone) < 12  # drawn one by one, a third of a batch would be
    assert all((np.diff(codes[batch]) >= 0).all() for batch in batches)


def test_online():
    X, y = gaussian_classes(6, 100, 5, spread=1)
    nca = NCA(learning_rate=0.05, random_state=0)
    for rows in np.array_split(np.arange(600), 10):
        nca.partial_fit(X[rows], y[rows])
    first = nca.objective_
    for _ in range(3):
        for rows in np.array_split(np.arange(600), 10):
            nca.partial_fit(X[rows], y[rows])
    assert nca.objective_ > first + 0.02
    assert nca.n_iter_ == 40
    nca.partial_fit(X[:1], [99])  # one row of a new class: nothing to learn, and no harm
    assert 99 in nca.classes_
    with pytest.raises(ValueError, match="convert to one type"):
        nca.partial_fit(X[:2], ["a", "b"])


def test_goes_on_from_a_fit():
    X, y = gaussian_classes(6, 30, 5, spread=1)
    nca = NCA(random_state=0).fit(1e30 * X, y)
    before = nca.components_
    nca.partial_fit(1e30 * X, y)
    assert 0 < np.abs(nca.components_ - before).max() < 0.1 * np.abs(before).max()
