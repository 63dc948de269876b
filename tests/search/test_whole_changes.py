"""Changes of an index are whole: whatever breaks one off, its state is that before or that after."""

import copy
import os
import pickle
import signal
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

from skmetric.search import ExactIndex, FaissIndex, SimilaritySearch

X = np.random.default_rng(0).normal(size=(90, 4)).astype(np.float32)
KINDS = [
    ExactIndex(),
    FaissIndex("HNSW8"),
    FaissIndex("IVF2,Flat", n_probe=2),
    FaissIndex("Flat", keep_vectors=False),
]
CHANGES = {
    "add": lambda index: index.add([200, 201], X[60:62]),
    "remove": lambda index: index.remove([3, 5]),
    "remove many": lambda index: index.remove(np.arange(30)),  # FAISS is built again
    "update": lambda index: index.update([3, 5], X[70:72]),
}


class Broken(BaseException):
    """Not an Exception: as KeyboardInterrupt."""


def state_of(index):
    found = index.query(X[::30], 5)
    return len(index), index.vectors().tobytes(), found.indices.tolist(), found.distances.round(4).tolist()


def break_off(call, number):
    """Run a call that raises at its line of that number inside the package; whether it came so far."""
    left = number

    def trace(frame, event, _):
        nonlocal left
        if "skmetric" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                raise Broken
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Broken:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_an_exception_at_any_line_leaves_the_state_before_or_after(kind, change):
    def filled():
        return copy.deepcopy(kind).add(np.arange(60), X[:60])

    before, after = state_of(filled()), state_of(CHANGES[change](filled()))
    number, index = 0, filled()
    while break_off(partial(CHANGES[change], index), number):
        number += 1
        assert state_of(index) in (before, after), f"line {number}"
        if state_of(index) == after:
            index = filled()
    assert number > 10
    assert state_of(index) == after


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="timers, as POSIX has them")
@pytest.mark.parametrize("factory", ["HNSW32", "IVF64,PQ8x4"])
def test_a_time_limit_inside_faiss_leaves_the_old_state(factory):
    many = np.random.default_rng(1).normal(size=(40_000, 32)).astype(np.float32)
    index = FaissIndex(factory).add(np.arange(500), many[:500])
    before = state_of_many(index, many)

    def ring(*_):
        raise TimeoutError

    old = signal.signal(signal.SIGALRM, ring)
    try:
        for seconds in (0.01, 0.05):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            with pytest.raises(TimeoutError):
                add_slowly(index, many)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    if len(index) == 500:  # else it was fast enough
        assert state_of_many(index, many) == before
        assert len(index.add(np.arange(500, 600), many[500:600])) == 600
        assert index.query(many[550:560], 1).indices.ravel().tolist() == list(range(550, 560))
        assert (index.query(many[:50], 1).indices.ravel() == np.arange(50)).mean() > 0.9


def add_slowly(index, many):
    index.add(np.arange(500, len(many)), many[500:])
    time.sleep(1)


def state_of_many(index, many):
    return len(index), index.query(many[:20], 3).indices.tolist()


@pytest.mark.parametrize("make", [pickle.dumps, copy.deepcopy], ids=["pickle", "deepcopy"])
@pytest.mark.parametrize("kind", [ExactIndex(), FaissIndex("IVF4,SQ8"), FaissIndex("HNSW8")], ids=repr)
def test_a_copy_made_while_a_thread_adds_is_whole(kind, make):
    rows = np.random.default_rng(2).normal(size=(4000, 8)).astype(np.float32)
    index, ended = copy.deepcopy(kind).add(np.arange(500), rows[:500]), threading.Event()

    def enrol():
        for start in range(500, 4000, 10):
            index.add(np.arange(start, start + 10), rows[start : start + 10])
        ended.set()

    thread = threading.Thread(target=enrol)
    thread.start()
    copies = [make(index)]
    while not ended.is_set():
        copies.append(make(index))
    thread.join()
    for made in copies[-20:]:
        made = pickle.loads(made) if isinstance(made, bytes) else made
        n_items = len(made)
        assert n_items % 10 == 0
        np.testing.assert_array_equal(made.vectors(), rows[:n_items])
        assert made.query(rows[n_items - 1 : n_items], 1).indices.tolist() == [[n_items - 1]]


def test_shallow_copies_go_their_own_ways():
    for kind in KINDS:
        first = copy.deepcopy(kind).add(np.arange(60), X[:60])
        second = copy.copy(first).add([100], X[60:61])
        first.add([100], X[61:62])
        assert first.query(X[61:62], 1).indices.tolist() == [[100]]
        assert second.query(X[60:61], 1).indices.tolist() == [[100]]
        np.testing.assert_array_equal(first.vectors([100]), X[61:62])
        np.testing.assert_array_equal(second.vectors([100]), X[60:61])


# Searches: deepface and CompreFace users enrol behind a time limit of a request, or stop a cell of a notebook

NAMES = np.repeat(["ann", "bob", "cid", "dan"], 3)
SEARCH_CHANGES = {
    "partial_fit": lambda search: search.partial_fit(X[50:52], ["eve", "ann"], **described("x", "y")),
    "update": lambda search: search.update(["n0", "n1"], X[50:52], ["eve", "bob"], metadata=notes("x", "y")),
    "upsert": lambda search: search.upsert(["n11", "y"], X[50:52], ["eve", "bob"], metadata=notes("x", "y")),
    "remove a class": lambda search: search.remove(["n9", "n10", "n11"]),
    "update of metadata": lambda search: search.update(["n3"], metadata=notes("x")),
    "fit": lambda search: search.fit(X[40:44], ["ann", "ann", "eve", "eve"], **described(*"abcd")),
    "calibrate": lambda search: search.calibrate(targets={"a": ("false_accept_rate", 0.3)}, n_resamples=2),
}


def notes(*texts):
    return {"note": list(texts)}


def described(*texts):
    return {"ids": list(texts), "metadata": notes(*texts)}


def filled_search(index):
    search = SimilaritySearch(index=index).fit(X[:12], NAMES, **described(*(f"n{i}" for i in range(12))))
    search.calibrate(per_class=True, n_resamples=2)
    return search


def state_of_search(search):
    everything = [search.ids_.tolist(), search.labels_.tolist(), search.classes_.tolist(), len(search.index_)]
    table = search.lookup(X[10:11], 12)
    everything += [table[name].tolist() for name in ("id", "label", "note")]
    cutpoints = list(search.calibration_.cutpoints) if hasattr(search, "calibration_") else None
    return [*everything, search.predict(X[9:12]).tolist(), search.cutpoint_, cutpoints]


@pytest.mark.parametrize("change", SEARCH_CHANGES)
@pytest.mark.parametrize("index", [None, FaissIndex("Flat")], ids=["exact", "faiss"])
@pytest.mark.filterwarnings("ignore")
def test_an_exception_at_any_line_leaves_a_search_before_or_after(index, change):
    first, steps = filled_search(index), np.random.default_rng(0)  # a sample of the lines: all take minutes
    changed = copy.deepcopy(first)
    SEARCH_CHANGES[change](changed)
    before, after, number = state_of_search(first), state_of_search(changed), 0
    search = copy.deepcopy(first)
    while break_off(partial(SEARCH_CHANGES[change], search), number):
        number += steps.integers(1, 10) if change != "calibrate" else 29  # most of its lines compute
        found = state_of_search(search)
        assert found in (before, after), f"line {number}"
        if found != before or number % 10 == 0:
            search.partial_fit(X[80:81], ["zoe"], **described("later"))
            assert search.lookup(X[80:81], 1)["id"].tolist() == ["later"]
            search = copy.deepcopy(first)
    assert number > 10
    assert state_of_search(search) == after


@pytest.mark.filterwarnings("ignore")
def test_a_class_that_left_in_a_broken_removal_keeps_no_threshold():
    first, number = filled_search(None), 0
    search = copy.deepcopy(first)
    while break_off(partial(search.remove, ["n9", "n10", "n11"]), number):
        if "n9" not in search.ids_:
            assert b"dan" not in pickle.dumps(search)
            search.partial_fit(X[80:81], ["dan"], **described("later"))
            assert "dan" not in search.calibration_.class_factors
        search, number = copy.deepcopy(first), number + 1
    assert number > 10


@pytest.mark.parametrize("make", [pickle.dumps, copy.deepcopy], ids=["pickle", "deepcopy"])
@pytest.mark.parametrize("index", [None, FaissIndex("IVF4,SQ8", max_recall_loss=None)], ids=["exact", "ivf"])
def test_a_copy_of_a_search_made_while_a_thread_enrols_is_whole(index, make):
    rows = np.random.default_rng(2).normal(size=(2000, 8)).astype(np.float32)
    names = np.array([f"person {i // 10}" for i in range(2000)])
    search = SimilaritySearch(index=index).fit(rows[:500], names[:500], metadata={"note": names[:500]})
    ended = threading.Event()

    def enrol():
        for start in range(500, 2000, 10):
            part = slice(start, start + 10)
            search.partial_fit(rows[part], names[part], metadata={"note": names[part]})
        ended.set()

    thread = threading.Thread(target=enrol)
    thread.start()
    copies = [make(search)]
    while not ended.is_set():
        copies.append(make(search))
    thread.join()
    for made in copies[-10:]:
        made = pickle.loads(made) if isinstance(made, bytes) else made
        n_items = len(made.ids_)
        assert n_items % 10 == 0
        assert made.labels_.tolist() == made.items()["note"].tolist() == names[:n_items].tolist()
        assert made.index_.vectors().shape == (n_items, 8)
        assert made.partial_fit(rows[:1], names[:1], metadata={"note": names[:1]}).ids_[-1] == n_items


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that forks")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_while_a_thread_enrols_does_not_hang_the_child():
    search, ended = SimilaritySearch().fit(X[:50], NAMES[np.arange(50) % 12]), threading.Event()

    def enrol():
        while not ended.is_set():
            with search._gallery.lock.writing():
                time.sleep(0.01)
                search.partial_fit(X[50:52], ["ann", "bob"])

    thread = threading.Thread(target=enrol)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if not child:
                signal.alarm(10)
                search.partial_fit(X[60:61], ["ann"])
                os._exit(0 if search.kneighbors(X[60:61], 1)[0][0, 0] < 1e-3 else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        ended.set()
        thread.join()
