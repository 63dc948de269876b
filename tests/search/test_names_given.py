"""Names of queries and ids of indexes, as users give them: no integer is rounded, no text is cut."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from skmetric.search import ExactIndex, SimilaritySearch

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
SEARCH = SimilaritySearch().fit(X, ["a", "b", "c"])


@pytest.mark.parametrize("names", [[2**63 + 1, 2**63 + 2, 5], [2**60 + 1, 2**60, -1], ["x", "y", "z"]])
def test_each_query_keeps_its_name(names):  # scikit-learn #25073
    assert SEARCH.lookup(X, 1, queries=names)["query"].tolist() == names


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["x\0", "x", "y"], "NUL character in row 0"),  # as an array both are "x"
        (["x", "\ud800", "y"], "lone surrogate.* in row 1"),
        ([True, False, True], "True in row 0"),
        ([-1, 2**63, 1], "beyond 64-bit integers"),
    ],
)
def test_names_that_are_none(names, message):
    with pytest.raises(ValueError, match=f"queries has .*{message}"):
        SEARCH.lookup(X, 1, queries=names)


def test_one_long_name_costs_its_length():  # deepchecks #2642
    names = [f"query {i}" for i in range(2999)] + ["x" * 10_000]  # as U10000: 120 MB
    tracemalloc.start()
    found = SEARCH.lookup(np.zeros((3000, 2)), 1, queries=names)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    assert found["query"][-1] == names[-1]


def test_ids_of_an_index_do_not_wrap():
    with pytest.raises(
        ValueError, match="64-bit integers up to 9223372036854775807; got 9223372036854775813"
    ):
        ExactIndex().add(np.array([2**63 + 5], dtype=np.uint64), X[:1])


def test_ids_of_an_index_may_come_from_a_nullable_column():  # scikit-learn #25953
    index = ExactIndex().add(pd.array([2**60, 2**60 + 1, 7], dtype="Int64"), X)
    found = index.query(X[:1], 2, among=pd.array([2**60 + 1, 7], dtype="Int64"))
    assert found.indices.tolist() == [[2**60 + 1, 7]]
