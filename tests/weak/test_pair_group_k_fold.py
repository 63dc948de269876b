"""Folds of tuples: no sample on both sides, in any form of the tuples."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score

from skmetric.linear import ITML
from skmetric.weak import PairGroupKFold

RNG = np.random.default_rng(0)
PAIRS = np.array([RNG.choice(60, 2, replace=False) for _ in range(300)])
ROWS = RNG.normal(size=(60, 3))


@pytest.mark.parametrize(
    "tuples", [PAIRS, ROWS[PAIRS], PAIRS.reshape(-1, 4)], ids=["numbers", "rows", "fours"]
)
def test_no_sample_on_both_sides(tuples):
    flat = tuples.reshape(*tuples.shape[:2], -1)
    for train, test in PairGroupKFold(3, random_state=0).split(tuples):
        sides = [
            {tuple(sample) for sample in flat[rows].reshape(-1, flat.shape[2])} for rows in (train, test)
        ]
        assert len(train) > len(test) > 0
        assert not sides[0] & sides[1]


def test_small_groups_stay_whole_and_no_tuple_is_lost():
    pairs = np.array([[0, 1], [1, 2], [3, 4], [5, 6], [7, 8], [8, 9]])
    tested = []
    for train, test in PairGroupKFold(2, random_state=0).split(pairs):
        assert sorted([*train, *test]) == list(range(6))
        tested.extend(test)
    assert sorted(tested) == list(range(6))


def test_groups_stay_on_one_side():
    people = PAIRS // 6
    for train, test in PairGroupKFold(2, random_state=0).split(PAIRS, groups=people):
        assert not set(people[train].ravel()) & set(people[test].ravel())


def test_in_cross_validation():
    pairs, y = ROWS[PAIRS], np.where(RNG.random(300) < 0.5, 1, -1)
    scores = cross_val_score(ITML(random_state=0), pairs, y, cv=PairGroupKFold(2, random_state=0))
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()


def test_zero_is_one_sample_with_either_sign():
    pairs = np.array([[0.0, 1.0], [-0.0, 2.0], [3.0, 4.0], [5.0, 6.0]])[:, :, None]
    for train, _ in PairGroupKFold(2, random_state=0).split(pairs):
        assert (0 in train) == (1 in train)  # the first two pairs share the sample 0


@pytest.mark.parametrize("missing", [None, np.nan])
def test_unknown_groups_are_not_one_group(missing):
    people = np.array([["a", "b"], ["c", missing], ["d", "e"], ["f", missing]], dtype=object)
    with pytest.raises(ValueError, match="groups has nothing in rows 1, 3"):
        next(PairGroupKFold(2, random_state=0).split(PAIRS[:4], groups=people))


def test_too_few():
    with pytest.raises(ValueError, match="leaves 1 tuples to train on and 0 to test on"):
        list(PairGroupKFold(5, random_state=0).split([[0, 1], [1, 2]]))


@pytest.mark.parametrize(("n_splits", "error"), [(1, ValueError), (2.5, TypeError)])
def test_bad_numbers(n_splits, error):
    with pytest.raises(error, match="n_splits"):
        PairGroupKFold(n_splits)


def test_tuples_that_are_none():
    with pytest.raises(ValueError, match=r"X must hold tuples.*got shape \(3,\)"):
        next(PairGroupKFold(2).split([1, 2, 3]))
