"""A gallery that threads look up in while one changes it."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmetric.search import ExactIndex, FaissIndex, KReciprocal, SimilaritySearch
from skmetric.search._gallery._lock import SharedLock

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
INDEXES = [ExactIndex(), FaissIndex("Flat"), FaissIndex("IVF8,SQ8", n_probe=8), FaissIndex("HNSW16")]


def in_threads(calls):
    """Results of calls that all run at once."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.mark.parametrize("index", INDEXES, ids=repr)
@pytest.mark.parametrize("matcher", ["majority", "center"])
def test_many_threads_find_what_one_finds(index, matcher):
    search = SimilaritySearch(index=index, matcher=matcher).fit(X[:600], y[:600])
    alone = SimilaritySearch(index=index, matcher=matcher).fit(X[:600], y[:600])
    parts = np.array_split(np.arange(600, 1000), 8)
    # the first calls: what is made when first needed is made by several threads at once
    found = in_threads([lambda part=part: search.kneighbors(X[part]) for part in parts])
    for part, (distances, rows) in zip(parts, found, strict=True):
        expected = alone.kneighbors(X[part])
        np.testing.assert_array_equal(rows, expected[1])
        np.testing.assert_allclose(distances, expected[0], rtol=1e-6)
    labels = in_threads([lambda part=part: search.predict(X[part]) for part in parts])
    np.testing.assert_array_equal(np.concatenate(labels), alone.predict(X[600:1000]))


@pytest.mark.parametrize(
    ("index", "options"),
    [(index, {}) for index in INDEXES[:3]]
    + [(None, {"rerank": KReciprocal(4, 2)}), (None, {"matcher": "center"})],
    ids=repr,
)
def test_lookups_beside_changes_see_whole_states(index, options):
    # items of class c lie about (c, c), with the id, the price and the note of that class
    def items(numbers, offset):
        numbers = np.asarray(numbers)
        embeddings = np.stack([numbers, numbers], axis=1) + 0.001 * offset
        metadata = {"price": numbers, "note": [f"{'long ' * (offset % 3)}{n}" for n in numbers]}
        return {"X": embeddings, "y": numbers, "ids": 1000 * numbers + offset, "metadata": metadata}

    first = items(np.repeat(range(10), 9), 0) | {
        "ids": np.repeat(range(10), 9) * 1000 + np.tile(range(9), 10)
    }
    search = SimilaritySearch(index=index, n_neighbors=3, **options).fit(**first)
    ended = threading.Event()

    def change():
        try:
            for step in range(1, 40):
                search.partial_fit(**items(range(10), 100 + step))
                new = items(range(5), 100 + step)
                search.update(new["ids"], new["X"] + 0.0005, new["y"], metadata=new["metadata"])
                search.remove(1000 * np.arange(10) + 100 + step)
                if step % 2:
                    search.partial_fit(**items(range(20, 60), 100 + step))
                    search.remove(1000 * np.arange(20, 60) + 100 + step)
        finally:
            ended.set()

    def look(number):
        looked = 0
        while not ended.is_set() or not looked:
            table = search.lookup([[number, number]])
            assert (table["label"] == number).all()
            assert (table["price"] == number).all()
            assert (table["id"] // 1000 == number).all()
            assert all(note.split()[-1] == str(number) for note in table["note"])
            assert search.predict([[number, number]]).tolist() == [number]
            assert len(search.radius_neighbors([[number, number]], 0.5, return_distance=False)[0]) >= 9
            looked += 1
        return looked

    looked = in_threads([change, *(lambda number=number: look(number) for number in (0, 3, 7))])[1:]
    assert all(looked)
    assert len(search.ids_) == 90


def test_threads_that_enrol_at_once_lose_nothing():
    search = SimilaritySearch().fit(X[:10], y[:10])
    parts = np.array_split(np.arange(10, 410), 40)
    in_threads([lambda part=part: search.partial_fit(X[part], y[part]) for part in parts])
    assert search.ids_.tolist() == list(range(410))
    np.testing.assert_array_equal(search.predict(X[:410]), y[:410])


def test_a_writer_waits_for_readers_and_goes_before_new_ones():
    lock, done = SharedLock(), []
    reads, written = threading.Event(), threading.Event()

    def read():
        with lock.reading(), lock.reading():  # once more: no waiting for the writer
            reads.set()
            while not lock._waiting:
                pass
            with lock.reading():
                done.append("read")

    def write():
        reads.wait()
        with lock.writing(), lock.reading():
            done.append("written")
        written.set()

    def read_later():
        reads.wait()
        while not lock._waiting and not written.is_set():
            pass
        with lock.reading():
            done.append("read later")

    in_threads([read, write, read_later])
    assert done == ["read", "written", "read later"]
    with pytest.raises(RuntimeError), lock.writing():
        raise RuntimeError
    for free in (lock, pickle.loads(pickle.dumps(lock)), copy.deepcopy(lock)):
        with free.writing():
            pass


def test_a_turn_whose_function_was_cut_short_keeps_nobody_waiting():
    lock = SharedLock()

    def cut_short(writes):  # as by an exception between the lines that give the turn back
        (lock.writing() if writes else lock.reading()).__enter__()

    for writes in (False, True):
        cut_short(writes)
        with lock.writing():
            pass
        thread = threading.Thread(target=cut_short, args=(writes,))
        thread.start()
        thread.join()
        with lock.writing():
            pass
    assert not lock._queue


def test_a_thread_that_reads_is_told_that_it_cannot_change():
    search = SimilaritySearch().fit(X[:10], y[:10])
    with search._gallery.reading(), pytest.raises(RuntimeError, match="end the reading first"):
        search.remove([0])
    assert len(search.remove([0]).ids_) == 9
