"""Splits of a hierarchy by the classes of its coarsest level."""

import numpy as np
import pytest

from skmetric.model_selection import (
    ClassDisjointKFold,
    ClassDisjointShuffleSplit,
    class_disjoint_split,
    query_gallery_split,
)

FINE = np.arange(48) % 12
TREE = np.stack([FINE // 3, FINE], axis=1)  # 4 classes of 3
X = np.zeros((48, 1))


@pytest.mark.parametrize("kind", [ClassDisjointKFold, ClassDisjointShuffleSplit])
def test_splits_are_those_of_the_coarsest_level(kind):
    expected = list(kind(2, random_state=0, **_shuffles(kind)).split(X, TREE[:, 0]))
    found = list(kind(2, random_state=0, relevance="hierarchy", **_shuffles(kind)).split(X, TREE))
    for sides in zip(expected, found, strict=True):
        assert all(np.array_equal(*side) for side in zip(*sides, strict=True))


def _shuffles(kind):
    return {"shuffle": True} if kind is ClassDisjointKFold else {}


def test_functions_split_all_levels():
    parts = class_disjoint_split(X, TREE, relevance="hierarchy", random_state=0)
    assert not set(parts[2][:, 0]) & set(parts[3][:, 0])
    assert parts[2].shape == (24, 2)
    queries = query_gallery_split(X, TREE, relevance="hierarchy", random_state=0)[2]
    assert np.bincount(queries[:, 0]).tolist() == [6, 6, 6, 6]


def test_labels_are_ravelled_and_other_relevances_refused():
    assert len(next(ClassDisjointKFold(2).split(X, FINE[:, None]))[0]) == 24
    with pytest.raises(ValueError, match="1d array"):
        next(ClassDisjointKFold(2).split(X, TREE))
    with pytest.raises(ValueError, match="no classes to split"):
        next(ClassDisjointKFold(2, relevance="multilabel").split(X, TREE))
    with pytest.raises(ValueError, match="not nested"):
        next(ClassDisjointKFold(2, relevance="hierarchy").split(X, TREE[:, ::-1]))
