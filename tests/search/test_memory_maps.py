"""Galleries that are not in memory, or in half precision, are searched exactly."""

import os
import tracemalloc

import numpy as np
import pytest

from skmetric import MetricLearner
from skmetric._images._opening import open_images
from skmetric.metrics import recall_at_k
from skmetric.model_selection import class_disjoint_split, query_gallery_split
from skmetric.retrieval import nearest
from skmetric.search import ExactIndex, SimilaritySearch
from skmetric.search._index import _blocks

RNG = np.random.default_rng(0)
ROWS, QUERIES = RNG.normal(size=(300, 8)).astype(np.float32), RNG.normal(size=(5, 8)).astype(np.float32)


@pytest.fixture
def file(tmp_path):
    """Write rows to a file, and give them as a memory map."""

    def written(rows):
        np.save(tmp_path / "rows.npy", rows)
        return np.load(tmp_path / "rows.npy", mmap_mode="r")

    return written


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("mapped", [True, False])
def test_distances_are_those_of_the_values(dtype, mapped, file, monkeypatch):
    monkeypatch.setattr(_blocks, "BLOCK", 4 * 8 * 70)  # blocks of 70 rows
    rows = ROWS.astype(dtype)
    index = ExactIndex().add(np.arange(300) + 5, file(rows) if mapped else rows)
    expected = nearest(QUERIES, rows.astype(np.float64), 80)
    found = index.query(QUERIES, 80)
    np.testing.assert_array_equal(found.indices, expected.indices + 5)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-12)
    assert index.vectors().dtype == dtype


def test_ties_are_in_the_order_of_the_rows_across_blocks(monkeypatch, file):
    monkeypatch.setattr(_blocks, "BLOCK", 4 * 2 * 2)
    index = ExactIndex().add(np.arange(5), file(np.ones((5, 2), np.float32)))
    assert index.query([[0.0, 0.0]], 4).indices.tolist() == [[0, 1, 2, 3]]


def test_a_memory_map_is_not_read_into_memory(file, monkeypatch):
    monkeypatch.setattr(_blocks, "BLOCK", 1 << 18)
    rows = file(np.ones((100_000, 16), np.float32))  # 6.4 MB
    tracemalloc.start()
    index = ExactIndex().add(np.arange(100_000), rows)
    index.query(np.ones((1, 16)), 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6.4e6


def test_changes_leave_the_file_alone(file):
    rows = file(ROWS)
    index = ExactIndex().add(np.arange(300), rows).remove([0]).add([0, 900], QUERIES[:2])
    assert index.query(QUERIES[:1], 1).indices.tolist() == [[0]]
    np.testing.assert_array_equal(np.load(rows.filename), ROWS)


def test_half_precision_survives_a_folder_and_changes(tmp_path):
    index = ExactIndex().add(np.arange(300), ROWS.astype(np.float16)).remove([7]).add([7], ROWS[7:8])
    index.save(tmp_path / "index")
    again = ExactIndex.load(tmp_path / "index")
    assert again.vectors().dtype == np.float16
    np.testing.assert_array_equal(again.query(QUERIES, 4).distances, index.query(QUERIES, 4).distances)
    assert index.query(ROWS[7:8].astype(np.float16), 1).indices.tolist() == [[7]]
    assert index.query(QUERIES, 1, among=[3, 4]).indices.shape == (5, 1)


def test_values_beyond_half_precision_are_refused():
    with pytest.raises(ValueError, match="above 65504, and the index keeps float16"):
        ExactIndex().add([0], np.ones((1, 2), np.float16)).add([1], [[1e6, 0]])


def test_rows_with_nan_are_named(file):
    rows = ROWS.copy()
    rows[[2, 200]] = np.nan
    with pytest.raises(ValueError, match=r"embeddings.*2, 200"):
        ExactIndex().add(np.arange(300), file(rows))


def test_a_file_that_shrank_is_refused_and_does_not_kill_the_process(file):
    rows, y = file(np.tile(ROWS, (20, 1))), np.arange(6000) % 3
    index = ExactIndex().add(np.arange(6000), rows)
    os.truncate(rows.filename, 5000)
    for use in (
        lambda: MetricLearner().fit(rows, y),
        lambda: ExactIndex().add(np.arange(6000), rows),
        lambda: recall_at_k(rows, y),
        lambda: recall_at_k(rows[100:], y[100:]),
        lambda: index.query(QUERIES, 1),
        lambda: class_disjoint_split(rows, y, random_state=0),
        lambda: query_gallery_split(rows, y, random_state=0),
        lambda: open_images(rows[:, :4].reshape(-1, 2, 2)),
    ):
        with pytest.raises(ValueError, match=r"a memory map of a file that has shrunk: it has 5000 bytes"):
            use()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_search_over_a_memory_map_does_not_read_it_into_memory(dtype, file, monkeypatch):
    monkeypatch.setattr(_blocks, "BLOCK", 1 << 18)
    rows, y = file(RNG.normal(size=(50_000, 128)).astype(dtype)), np.arange(50_000) % 100
    tracemalloc.start()
    search = SimilaritySearch().fit(rows, y)
    found = search.kneighbors(QUERIES @ np.ones((8, 128), np.float32), 3)[1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000 * 128 * 2  # of which ids, keys and labels take 4 MB
    expected = nearest(QUERIES @ np.ones((8, 128), np.float32), rows.astype(np.float32), 3).indices
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"NaN in row 7"):
        SimilaritySearch().fit(file(np.where(np.arange(300)[:, None] == 7, np.nan, ROWS)), np.arange(300) % 3)


def test_scores_look_for_copies_without_a_copy_of_the_gallery(file):
    rows, y = file(RNG.normal(size=(50_000, 64)).astype(np.float32)), np.arange(50_000) % 100
    tracemalloc.start()
    recall_at_k(QUERIES @ np.ones((8, 64)), y[:5], gallery=rows, y_gallery=y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * rows.nbytes  # the kernel's float32 rows are one copy
