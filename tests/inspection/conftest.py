import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_digits

from skmetric import MetricLearner, SimilaritySearch


@pytest.fixture(autouse=True)
def no_window():
    """Draw without a screen, and leave no figure behind."""
    backend = plt.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


@pytest.fixture(scope="session")
def digits():
    return load_digits()


@pytest.fixture(scope="session")
def learner(digits):
    seen = digits.target < 4
    return MetricLearner(random_state=0).fit(digits.data[seen], digits.target[seen])


@pytest.fixture(scope="session")
def rows(digits):
    """Rows of a gallery of the digits 4 to 7, of queries of these, and of strangers (8 and 9)."""
    known = np.flatnonzero((digits.target >= 4) & (digits.target < 8))
    return known[::2], known[1::2], np.flatnonzero(digits.target >= 8)


@pytest.fixture(scope="session")
def search(digits, learner, rows):
    search = SimilaritySearch(learner).fit(digits.data[rows[0]], digits.target[rows[0]])
    search.calibrate(targets={"strict": ("false_accept_rate", 0.05)})
    return search
