"""Large-margin refinement."""

import numpy as np
import pytest

from skmetric import MetricLearner
from skmetric.linear._closed_form._refine import (
    _STEPS,
    _batches,
    _best_stop,
    _can_descend,
    _gradient,
    _turned,
)

from .conftest import gaussian_classes


def loss_by_definition(rows, codes, turn, margin, normalize):
    """Mean over active pairs of margin + d2(a, p) - d2(a, nearest negative), one anchor after the other."""
    mapped = _turned(rows, turn)
    if normalize:
        mapped = mapped / np.linalg.norm(mapped, axis=1, keepdims=True)
    terms = []
    for a in range(len(rows)):
        squares = np.square(mapped - mapped[a]).sum(axis=1)
        nearest = squares[codes != codes[a]].min()
        for p in np.flatnonzero(codes == codes[a]):
            if p != a:
                terms.append(margin + squares[p] - nearest)
    active = [term for term in terms if term > 0]
    return np.mean(active) if active else 0.0


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("n_turned", [3, 5])
def test_gradient_is_that_of_the_loss(normalize, n_turned):
    rows, codes = gaussian_classes(3, 4, 5)
    turn = np.eye(n_turned) + 0.1 * np.random.default_rng(0).normal(size=(n_turned, n_turned))
    numeric = np.empty_like(turn)
    for i in np.ndindex(*turn.shape):
        step = np.zeros_like(turn)
        step[i] = 1e-6
        ahead, back = (loss_by_definition(rows, codes, turn + s, 0.3, normalize) for s in (step, -step))
        numeric[i] = (ahead - back) / 2e-6
    np.testing.assert_allclose(_gradient(rows, codes, turn, 0.3, normalize), numeric, rtol=1e-4, atol=1e-6)


def test_gradient_by_hand():
    # anchors 0 and 1 at 0 and 1 of one class, 2 at 1.5 of another; margin 0.2 on squares. Anchor 0: 0.2 + 1 -
    # 2.25 < 0. Anchor 1: 0.2 + 1 - 0.25 = 0.95, the only violator; it grows as turn^2 (1 - 0.25)
    rows, codes = np.array([[0.0], [1], [1.5]]), np.array([0, 0, 1])
    np.testing.assert_allclose(_gradient(rows, codes, np.eye(1), 0.2, False), [[2 * 0.75]])


def test_no_violation_no_gradient():
    rows, codes = np.array([[0.0], [0.1], [9], [9.1]]), np.array([0, 0, 1, 1])
    np.testing.assert_array_equal(_gradient(rows, codes, np.eye(1), 0.2, False), [[0]])


def test_batches_hold_pairs_of_several_classes():
    codes = np.repeat(np.arange(40), [1, *range(2, 41)])
    batch = next(_batches(codes, None, np.random.RandomState(0)))
    sizes = np.bincount(codes[batch])
    assert np.count_nonzero(sizes) == 32
    assert set(sizes[sizes > 0]) <= {2, 3, 4}
    assert len(set(batch)) == len(batch)


def test_stops_where_the_gain_is_surest():
    flat = [np.full(4, 0.5)] * len(_STEPS)
    assert _best_stop([flat]) == 0
    gains = [0, 0.01, 0.02, 0.05, 0.01, -0.2]
    assert _best_stop([[np.full(4, 0.5 + gain) for gain in gains]]) == _STEPS[3]
    assert _best_stop([[np.full(4, 0.5 - gain) for gain in np.abs(gains)]]) == 0
    assert _best_stop([]) == 0
    assert _best_stop([[np.empty(0)] * len(_STEPS)]) == 0


def test_needs_pairs_of_two_classes():
    assert _can_descend(np.array([0, 0, 1, 1]))
    assert not _can_descend(np.array([0, 0, 1, 2]))


def crossed(n_classes=24, seed=0, dtype=np.float64):
    """Classes along a curve: directions that the pooled covariance misjudges, so a refinement pays."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_classes), 12)
    centres = rng.normal(size=(n_classes, 6))
    wide = np.where(rng.random((n_classes, 6)) < 0.2, 3.0, 0.3)  # each class is wide along few features
    return (centres[codes] + wide[codes] * rng.normal(size=(len(codes), 6))).astype(dtype), codes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_step_moves_the_map_a_little_and_keeps_its_form(dtype, normalize):
    X, y = crossed(dtype=dtype)
    plain = MetricLearner((0.5, 0.7), normalize=normalize, random_state=0).fit(X, y)
    refined = MetricLearner((0.5, 0.7), normalize=normalize, margin=0.3, random_state=0).fit(X, y)
    assert refined.components_.shape == plain.components_.shape
    assert refined.components_.dtype == dtype
    assert refined.n_steps_ in _STEPS
    if refined.n_steps_ == 0:
        np.testing.assert_array_equal(refined.components_, plain.components_)
    else:
        metrics = [learner.components_.T @ learner.components_ for learner in (plain, refined)]
        assert 0 < np.abs(metrics[1] - metrics[0]).max() < 0.5 * np.abs(metrics[0]).max()


def test_never_below_the_closed_form_on_the_classes_that_decide(monkeypatch):
    """The step that is kept gains on held-out classes, or it is 0."""
    from skmetric.linear._closed_form import _refine

    seen = []

    def spy(scored):
        seen.append((scored, _best_stop(scored)))
        return seen[-1][1]

    monkeypatch.setattr(_refine, "_best_stop", spy)
    for seed in range(3):
        X, y = crossed(seed=seed)
        MetricLearner((0.5, 0.7), margin=0.3, random_state=seed).fit(X, y)
    for scored, n_steps in seen:
        means = [np.concatenate(parts).mean() for parts in zip(*scored, strict=True)]
        assert means[_STEPS.index(n_steps)] >= means[0]


def test_no_step_leaves_the_closed_form(few):
    """Three classes: none can be held out, so nothing can say that refining pays."""
    X, y = few
    X, y = X[y < 3], y[y < 3]
    refined, plain = (MetricLearner((0.5, 0.5), margin=margin).fit(X, y) for margin in (0.2, None))
    assert refined.n_steps_ == 0
    np.testing.assert_array_equal(refined.components_, plain.components_)


@pytest.mark.parametrize("y", [[0, 0, 1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 2, 3, 4, 5]])
def test_hardly_any_pairs(y):
    X = np.random.default_rng(0).normal(size=(8, 4))
    for seed in range(4):
        assert MetricLearner((0.5, 0.5), margin=0.1, random_state=seed).fit(X, y).n_steps_ in _STEPS


def test_a_weight_counts_as_copies():
    X, y = crossed()
    weights = np.random.default_rng(0).integers(0, 4, len(X))
    learner = MetricLearner((0.5, 0.7), margin=0.3, random_state=0)
    weighted = learner.fit(X, y, sample_weight=weights).transform(X)
    assert learner.n_steps_ > 0
    copied = learner.fit(X.repeat(weights, axis=0), y.repeat(weights)).transform(X)
    np.testing.assert_allclose(weighted, copied, rtol=1e-6, atol=1e-8)
