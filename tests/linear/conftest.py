import numpy as np
import pytest


def gaussian_classes(n_classes, n_samples, n_features, *, seed=0, dtype=np.float64, spread=1.5):
    """Classes of `n_samples` rows, or of several sizes, with one random covariance inside all of them."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n_classes), n_samples)
    mix = rng.normal(size=(n_features, n_features)) / np.sqrt(n_features)
    means = spread * rng.normal(size=(n_classes, n_features))
    X = means[y] + rng.normal(size=(len(y), n_features)) @ mix
    order = rng.permutation(len(y))
    return X[order].astype(dtype), y[order]


@pytest.fixture
def few():
    """Five classes of 6 to 20 rows, 7 features."""
    return gaussian_classes(5, [6, 8, 12, 15, 20], 7)


@pytest.fixture
def many():
    """Twenty classes of 8 rows, 7 features: enough for four folds of classes."""
    return gaussian_classes(20, 8, 7, seed=1)
