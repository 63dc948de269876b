"""Tuples from labels: what they may hold, that each class is met, and never more than asked for."""

import numpy as np
import pandas as pd
import pytest

from skmetric.weak import sample_chunks, sample_pairs, sample_quadruplets, sample_triplets
from skmetric.weak._by_class import by_class
from skmetric.weak._spaces import DissimilarPairs, Quadruplets, SimilarPairs, Triplets

Y = np.array(["ant"] * 40 + ["bee"] * 30 + ["cat", "cat", "dog"])
SPACES = [SimilarPairs, DissimilarPairs, Triplets, Quadruplets]
SAMPLERS = {
    sample_pairs: lambda y, n, **options: sample_pairs(y, n, **options)[0],
    sample_triplets: sample_triplets,
    sample_quadruplets: sample_quadruplets,
}
any_sampler = pytest.mark.parametrize("sample", SAMPLERS.values(), ids=lambda sample: sample.__name__)


def keys(tuples):
    """Tuples without the order in which the members of a pair are named."""
    pairs = [0, 2] if tuples.shape[1] in (2, 4) else []
    tuples = tuples.copy()
    for first in pairs[: tuples.shape[1] // 2]:
        tuples[:, first : first + 2].sort(axis=1)
    return {tuple(row) for row in tuples.tolist()}


@pytest.mark.parametrize("space", SPACES)
def test_a_space_numbers_each_tuple_once(space):
    rows = by_class(np.array([2, 1, 2, 1, 1, 0]), None)
    space = space(rows)
    members = space.members(np.arange(space.total))
    assert len(keys(members)) == space.total
    np.testing.assert_array_equal(space.number(members), np.arange(space.total))


def test_totals_by_hand():
    rows = by_class(np.array(["a", "a", "a", "b", "b"]), None)
    # 3 + 1 pairs of one class, 3 * 2 of two; anchors: 3 with 2 partners and 2 others, 2 with 1 and 3
    assert [space(rows).total for space in SPACES] == [4, 6, 3 * 2 * 2 + 2 * 1 * 3, 24]


def test_pairs_are_what_they_are_called():
    pairs, y_pairs = sample_pairs(Y, 300, random_state=0)
    np.testing.assert_array_equal(Y[pairs[:, 0]] == Y[pairs[:, 1]], y_pairs == 1)
    assert (y_pairs == 1).sum() == 150
    assert sample_pairs(Y, 300, similar=0.9, random_state=0)[1].sum() == 240


def test_triplets_are_what_they_are_called():
    anchor, positive, negative = sample_triplets(Y, 300, random_state=0).T
    assert (Y[anchor] == Y[positive]).all()
    assert (anchor != positive).all()
    assert (Y[anchor] != Y[negative]).all()


def test_quadruplets_are_what_they_are_called():
    a, b, c, d = sample_quadruplets(Y, 300, random_state=0).T
    assert (Y[a] == Y[b]).all()
    assert (a != b).all()
    assert (Y[c] != Y[d]).all()


@any_sampler
@pytest.mark.parametrize("n", [1, 7, 200])
def test_never_more_than_asked_for_and_no_tuple_twice(sample, n):
    """metric-learn #211, #292: fewer or repeated constraints without a word."""
    tuples = sample(Y, n, random_state=0)
    assert len(tuples) == len(keys(tuples)) == n


@any_sampler
def test_every_class_is_met_also_the_smallest(sample):
    """A class of two rows beside one of 5,000."""
    y = np.repeat(["many", "two", "few"], [5000, 2, 30])
    for seed in range(5):
        met = sample(y, 20, random_state=seed)
        assert set(y[met[:, 0]]) == {"many", "two", "few"}


def test_one_row_may_be_dissimilar():
    pairs, _ = sample_pairs(Y, 20, random_state=0)
    assert "dog" in Y[pairs]


@any_sampler
def test_fewer_than_asked_for_with_a_warning(sample):
    with pytest.warns(UserWarning, match="and 10.* were asked for: these .* are all") as caught:
        tuples = sample(["a", "a", "b"], 1000, random_state=0)
    assert caught[0].filename == __file__
    assert 0 < len(keys(tuples)) == len(tuples) < 10


@any_sampler
def test_the_default_number_warns_of_nothing(sample):
    assert len(sample(["a", "a", "b"], None, random_state=0)) <= 30
    assert len(sample(np.repeat(range(100), 100), None, random_state=0)) == 50_000


@any_sampler
def test_a_seed_gives_the_same_tuples(sample):
    np.testing.assert_array_equal(sample(Y, 50, random_state=3), sample(Y, 50, random_state=3))
    assert (sample(Y, 50, random_state=3) != sample(Y, 50, random_state=4)).any()


@any_sampler
def test_minus_one_is_a_class_unless_said_otherwise(sample):
    y = np.array([-1, -1, -1, 0, 0, 1, 1])
    assert -1 in y[sample(y, 8, random_state=0)]
    for seed in range(5):
        assert -1 not in y[sample(y, 4, unlabeled=-1, random_state=seed)]


@pytest.mark.parametrize(
    ("y", "unlabeled"),
    [
        ([0.0, np.nan, 0.0, 1.0], np.nan),
        (["a", "?", "a", "b"], "?"),
        (pd.Series(["a", "?", "a", "b"]), "?"),
        (np.array([0, -1, 0, 1]), -1),
        (np.array(["a", "?", "a", "b"], dtype=object), "?"),
    ],
    ids=str,
)
def test_unlabelled_rows_are_in_no_tuple(y, unlabeled):
    assert set(sample_triplets(y, unlabeled=unlabeled, random_state=0).ravel().tolist()) == {0, 2, 3}


def test_a_marker_of_another_type_is_refused():
    with pytest.raises(ValueError, match=r"unlabeled=-1 and the labels in y, such as .*ant.*, are of differ"):
        sample_pairs(Y, 5, unlabeled=-1)


def test_all_rows_unlabelled():
    with pytest.raises(ValueError, match="y is -1 in all rows"):
        sample_pairs([-1, -1], 5, unlabeled=-1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["a", "a"],), ValueError, "y has 1 class; rows of two classes"),
        ((["a", "b"],), ValueError, "each of the 2 classes in y has one row"),
        ((Y, 0), ValueError, "n_pairs must be from 1; got 0"),
        ((Y, 2.5), TypeError, "n_pairs must be a whole number"),
        (([1.0, np.nan],), ValueError, "NaN in row 1"),
    ],
)
def test_bad_requests(arguments, error, message):
    with pytest.raises(error, match=message):
        sample_pairs(*arguments)


def test_a_share_out_of_range():
    with pytest.raises(ValueError, match=r"similar must be from 0 to 1; got 1\.5"):
        sample_pairs(Y, 5, similar=1.5)


@pytest.mark.parametrize(("similar", "value"), [(0, -1), (1, 1)])
def test_pairs_of_one_kind(similar, value):
    assert set(sample_pairs(Y, 9, similar=similar, random_state=0)[1].tolist()) == {value}


def test_chunks_by_hand():
    chunks = sample_chunks(["a"] * 5 + ["b"] * 2 + ["c"], random_state=0)
    # two chunks of two among five, one of b, none of c
    assert sorted(np.bincount(chunks + 1).tolist()) == [2, 2, 2, 2]
    assert chunks[5] == chunks[6] >= 0
    assert chunks[7] == -1


def test_chunks_are_of_one_class_and_of_one_size():
    chunks = sample_chunks(Y, 10, chunk_size=3, random_state=0)
    assert np.bincount(chunks[chunks >= 0]).tolist() == [3] * 10
    assert all(len(set(Y[chunks == chunk])) == 1 for chunk in range(10))


def test_every_class_has_a_chunk():
    y = np.repeat(["many", "two", "few"], [5000, 2, 30])
    chunks = sample_chunks(y, 3, random_state=0)
    assert set(y[chunks >= 0]) == {"many", "two", "few"}


def test_unlabelled_rows_are_in_no_chunk():
    assert sample_chunks([-1, -1, 0, 0], unlabeled=-1, random_state=0).tolist() == [-1, -1, 0, 0]


def test_chunks_that_are_not_there():
    with pytest.raises(ValueError, match="no class in y has 41 rows: the largest has 40"):
        sample_chunks(Y, chunk_size=41)
    with pytest.warns(UserWarning, match="y has 36 chunks, and 99 were asked for"):
        sample_chunks(Y, 99)
