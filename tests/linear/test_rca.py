"""Relevant component analysis."""

import numpy as np
import pytest

from skmetric.linear import RCA, MetricLearner

SQUARE = np.array([[0, 0], [2, 4], [0, 4], [2, 0.0]])  # variances 1 and 4, divided by n


def test_by_hand():
    X = np.r_[SQUARE, SQUARE + np.array([100, -50])]
    rca = RCA().fit(X, np.repeat(["a", "b"], 4))
    np.testing.assert_allclose(rca.get_mahalanobis_matrix(), np.diag([1, 1 / 4]), atol=1e-12)


def test_whitens_the_covariance_inside_classes(few):
    X, y = few
    inside = X - np.array([X[y == c].mean(axis=0) for c in range(5)])[y]
    rca = RCA().fit(X, y)
    np.testing.assert_allclose(
        rca.get_mahalanobis_matrix(), np.linalg.inv(inside.T @ inside / len(X)), rtol=1e-8
    )


def test_whitening_of_the_closed_form_but_for_a_factor(few):
    X, y = few
    closed = MetricLearner((0, 1), weighting="wccn", normalize=False).fit(X, y).get_mahalanobis_matrix()
    matrix = RCA().fit(X, y).get_mahalanobis_matrix()
    np.testing.assert_allclose(closed / closed[0, 0], matrix / matrix[0, 0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("marker", [-1, "none", 2.5])
def test_rows_in_no_chunk_do_not_count(marker):
    kinds = {-1: [7, -3], "none": ["a", "b"], 2.5: [1.0, 2.0]}[marker]
    X = np.r_[SQUARE, SQUARE + 9, [[50, -50], [3, 3]]]
    y = np.array([*np.repeat(kinds, 4), marker, marker])
    rca = RCA(unlabeled=marker).fit(X, y)
    np.testing.assert_allclose(rca.get_mahalanobis_matrix(), np.diag([1, 1 / 4]), atol=1e-12)
    assert rca.classes_.tolist() == sorted(kinds)


def test_a_class_called_minus_one_is_a_class():
    X, y = np.r_[SQUARE, 3 * SQUARE], np.repeat([0, -1], 4)
    # (1 + 9) / 2 = 5, (4 + 36) / 2 = 20
    np.testing.assert_allclose(RCA().fit(X, y).get_mahalanobis_matrix(), np.diag([1 / 5, 1 / 20]), atol=1e-12)


def test_rows_in_no_chunk_choose_directions():
    """Of all rows the second feature varies most compared with the chunks, only by rows in no chunk."""
    X, y = np.r_[SQUARE, [[1, 99], [1, -95]]], [0, 0, 0, 0, -1, -1]
    matrix = RCA(n_components=1, unlabeled=-1).fit(X, y).get_mahalanobis_matrix()
    np.testing.assert_allclose(matrix, np.diag([0, 1 / 4]), atol=1e-6)


def test_a_marker_of_another_type_is_refused():
    with pytest.raises(ValueError, match=r"unlabeled='x' cannot mark rows: the labels in y are no text"):
        RCA(unlabeled="x").fit(SQUARE, [0, 0, 1, 1])


def test_chunks_of_one_row_are_refused():
    with pytest.raises(ValueError, match=r"no class or chunk of y has two rows that differ \(4 in 4 rows\)"):
        RCA().fit(SQUARE, [0, 1, 2, 3])


def test_no_chunk_at_all_is_refused():
    with pytest.raises(ValueError, match="no class or chunk of y has two rows"):
        RCA(unlabeled=-1).fit(SQUARE, [-1, -1, -1, -1])


def test_directions_without_spread_in_chunks_get_the_largest_weight():
    X = np.c_[np.r_[SQUARE, SQUARE], np.repeat([0.0, 1.0], 4)]
    rca = RCA().fit(X, np.repeat([0, 1], 4))
    # standard deviations of all rows are 1.07, 2.14, .53: their powers of two 2, 4, 1. In these units the
    # first two have variance 1/4 inside chunks, the least there is
    np.testing.assert_allclose(rca.get_mahalanobis_matrix(), np.diag([1, 1 / 4, 4]), atol=1e-9)


def test_batches_whose_chunks_have_one_row_wait():
    rca = RCA().partial_fit(SQUARE[:1], ["a"])
    np.testing.assert_array_equal(rca.components_, np.eye(2))
    rca.partial_fit(SQUARE[1:], ["a", "a", "a"])
    np.testing.assert_allclose(rca.get_mahalanobis_matrix(), np.diag([1, 1 / 4]), atol=1e-12)
