"""Calibration says where items come in bursts of near-duplicates and no groups were given."""

import numpy as np
import pytest

from skmetric.search import SimilaritySearch
from skmetric.search._calibration._gathering._bursts import bursts

MESSAGE = "near-duplicates, such as photos of one session.*groups="


def sessions(n_classes=12, n_groups=3, size=2, noise=0.1, seed=0):
    """Samples of classes, in sessions that hardly differ inside."""
    rng = np.random.default_rng(seed)
    y, group = (part.ravel() for part in np.mgrid[:n_classes, :n_groups].repeat(size, axis=2).reshape(2, -1))
    session = rng.normal(size=(n_classes, n_groups, 8))
    X = 1.5 * rng.normal(size=(n_classes, 8))[y] + session[y, group] + noise * rng.normal(size=(len(y), 8))
    return X, y, group


@pytest.mark.parametrize(("size", "matcher"), [(2, "nearest"), (3, "majority"), (7, "nearest")])
def test_bursts_of_two_to_seven_are_noticed(size, matcher):
    X, y, group = sessions(size=size)
    with pytest.warns(
        UserWarning, match=rf"of the {len(y)} items are less than half as far.*{MESSAGE}"
    ) as said:
        SimilaritySearch(matcher=matcher).fit(X, y).calibrate()
    assert said[0].filename == __file__
    SimilaritySearch(matcher=matcher).fit(X, y, groups=group).calibrate()  # warnings are errors


def test_queries_of_the_sessions_of_the_gallery_are_noticed():
    X, y, group = sessions(size=4)
    search = SimilaritySearch().fit(X[::2], y[::2], groups=group[::2])
    with pytest.warns(
        UserWarning, match=r"of the 72 queries are less than half as far.*calibrate\(X, y, groups=\)"
    ):
        search.calibrate(X[1::2], y[1::2])
    search.calibrate(X[1::2], y[1::2], groups=group[1::2])


@pytest.mark.parametrize("n_features", [1, 2, 8])
@pytest.mark.filterwarnings("ignore:this calibration is of little use")
def test_classes_without_bursts_say_nothing(n_features):
    """Points spread at random: gaps are most uneven on a line, where 71 % of the points have one."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y = np.repeat(np.arange(20), 10)
        X = rng.normal(size=(20, n_features))[y] + rng.normal(size=(200, n_features))
        SimilaritySearch().fit(X, y).calibrate(n_resamples=10)
        SimilaritySearch().fit(X[::2], y[::2]).calibrate(X[1::2], y[1::2], n_resamples=10)


@pytest.mark.parametrize("step", [1.0, 0.1, np.float32(0.1)])
@pytest.mark.filterwarnings("ignore:this calibration is of little use")
def test_points_of_a_grid_are_no_bursts(step):
    """The third point is twice as far as the second, but for rounding."""
    X = (np.arange(80) % 20 * step + np.arange(80) // 20 * 100)[:, None]
    SimilaritySearch().fit(X, np.arange(80) // 20).calibrate(n_resamples=10)


def test_the_rule_by_hand():
    """Of 100 samples 0.71 + 3 * sqrt(0.71 * 0.29 / 100) = 0.846 must have a gap."""
    gap, even, alone = [1, 2.1, 2.5], [1, 1.9, 3.7], [1, np.inf, np.inf]
    said = bursts(np.array([gap] * 85 + [even] * 15 + [alone] * 90), True)
    assert said.startswith("85 of the 100 items are")
    assert bursts(np.array([gap] * 84 + [even] * 16), True) is None
    assert bursts(np.array([gap] * 22), True) is None  # so few say nothing
    assert bursts(np.array([[0.0, 1, 1.5]] * 30), True) is None  # equal items, of which twins() tells
    assert bursts(np.array([alone] * 30), True) is None


def test_items_enrolled_twice_get_their_own_warning_only():
    X, y, _ = sessions(size=1, n_groups=6)
    with pytest.warns(UserWarning, match="have an equal item") as said:
        SimilaritySearch().fit(np.repeat(X, 2, axis=0), np.repeat(y, 2)).calibrate()
    assert len(said) == 1
