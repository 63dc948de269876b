"""Searches in other processes: forked, and started anew."""

import os
import signal

import numpy as np
import pytest
from joblib.externals.loky import ProcessPoolExecutor
from sklearn.datasets import load_digits

from skmetric.search import ExactIndex, FaissIndex, SimilaritySearch

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
INDEXES = [ExactIndex(), FaissIndex("Flat"), FaissIndex("IVF8,SQ8", n_probe=8), FaissIndex("HNSW16")]


@pytest.fixture(autouse=True)
def two_threads():
    """Of OpenMP, which a child does not have; others that are loaded get them too."""
    faiss = pytest.importorskip("faiss")
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(2)
    yield
    faiss.omp_set_num_threads(before)


def fitted(index):
    search = SimilaritySearch(index=index).fit(X[:600], y[:600])
    return search, search.predict(X[600:1400])  # threads have been started


def predictions(search):
    return search.predict(X[600:1400])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, as POSIX has them")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Python 3.12 on, about forks beside threads
@pytest.mark.parametrize("index", INDEXES, ids=repr)
def test_a_forked_child_finds_enrols_and_removes(index):
    search, expected = fitted(index)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        is_same = np.array_equal(search.predict(X[600:1400]), expected)
        search.partial_fit(X[:300] + 9, np.full(300, 77)).remove([5])
        os._exit(0 if is_same and search.predict(X[:3] + 9).tolist() == [77] * 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(search.predict(X[600:1400]), expected)


def test_a_process_that_is_started_anew_finds_the_same():
    searches = [fitted(index) for index in INDEXES]
    with ProcessPoolExecutor(1) as pool:
        found = list(pool.map(predictions, [search for search, _ in searches]))
    np.testing.assert_array_equal(found, [expected for _, expected in searches])
