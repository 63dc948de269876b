"""Changes of an index are whole: whatever breaks one off, its state is that before or that after."""

import copy
import pickle
import signal
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest

from skmetric.search import ExactIndex, FaissIndex

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
