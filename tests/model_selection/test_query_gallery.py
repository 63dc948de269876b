import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skmetric.model_selection import query_gallery_split


@pytest.mark.parametrize(
    ("query_size", "expected"),
    [  # of classes of 1, 2, 3 and 10 samples
        (0.5, [0, 1, 2, 5]),
        (0.1, [0, 1, 1, 1]),
        (0.99, [0, 1, 2, 9]),
        (1, [0, 1, 1, 1]),
        (4, [0, 1, 2, 4]),
    ],
)
def test_queries_of_each_class_by_hand(query_size, expected):
    y = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 3], [1, 2, 3, 10]))
    rows = np.arange(len(y))
    queries, gallery, y_query, y_gallery = query_gallery_split(rows, y, query_size=query_size, random_state=0)
    assert_array_equal(np.bincount(y_query, minlength=4), expected)
    assert_array_equal(np.bincount(y_gallery), np.array([1, 2, 3, 10]) - expected)
    assert_array_equal(np.sort(np.concatenate([queries, gallery])), rows)
    assert_array_equal(y[queries], y_query)


def test_chance_chooses_the_queries_and_the_seed_fixes_them():
    y = np.repeat(np.arange(3), 4)
    rows = np.arange(12)
    asked = np.array(
        [query_gallery_split(rows, y, query_size=1, random_state=seed)[0] for seed in range(200)]
    )
    again = query_gallery_split(rows, y, query_size=1, random_state=199)[0]
    assert_array_equal(asked[-1], again)
    # each row is the query of its class in 1/4 of 200 draws: 50, give or take 6
    assert np.all(np.abs(np.bincount(asked.ravel(), minlength=12) - 50) < 30)


def test_more_arrays_and_string_labels():
    y = ["a", "a", "b", "b", "c"]
    weight = [1, 1, 2, 2, 3]
    *_, y_query, y_gallery, weight_query, weight_gallery = query_gallery_split(y, y, weight, random_state=0)
    assert (y_query, y_gallery) == (["a", "b"], ["a", "b", "c"])
    assert (weight_query, weight_gallery) == ([1, 2], [1, 2, 3])


def test_nothing_to_find_is_refused():
    with pytest.raises(ValueError, match="each of the 3 classes in y has one sample"):
        query_gallery_split([0, 1, 2], ["a", "b", "c"])


@pytest.mark.parametrize("query_size", [0, 1.0, -0.5, "half"])
def test_query_size_out_of_range(query_size):
    with pytest.raises(ValueError, match="query_size"):
        query_gallery_split([0, 1], ["a", "a"], query_size=query_size)


def test_labels_are_needed():
    with pytest.raises(ValueError, match="y is missing"):
        query_gallery_split([0, 1], None)


@pytest.mark.parametrize("query_size", [0.5, 0.99, 1, 3])
def test_each_query_has_a_match_of_another_group(query_size):
    rng = np.random.default_rng(0)
    y, groups = rng.integers(0, 30, 200), rng.integers(0, 3, 200)
    split = query_gallery_split(y, y, groups, groups=groups, query_size=query_size, random_state=0)
    _, _, y_query, y_gallery, of_query, of_gallery = split
    for label, group in zip(y_query, of_query, strict=True):
        assert ((y_gallery == label) & (of_gallery != group)).any()
    plain = query_gallery_split(y, y, query_size=query_size, random_state=0)[0]
    assert len(plain) - 30 <= len(y_query) <= len(plain)  # a class gives up one query at most


def test_a_class_of_one_group_is_a_distractor():
    y, groups = list("aabbb"), [0, 1, 2, 2, 2]
    _, _, y_query, y_gallery = query_gallery_split(y, y, groups=groups, random_state=0)
    assert (y_query, y_gallery) == (["a"], ["a", "b", "b", "b"])
    with pytest.raises(ValueError, match="each of the 2 classes in y has samples of one group only"):
        query_gallery_split(y, y, groups=[0, 0, 2, 2, 2])
    with pytest.raises(ValueError, match="groups has no group in row 1"):
        query_gallery_split(y, y, groups=[0, np.nan, 2, 2, 2])
