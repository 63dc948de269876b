"""What every metric learner inherits."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import validate_data

from skmetric.base import MahalanobisMixin, MetricLearnerMixin, unit_rows, unit_sparse_rows
from skmetric.metrics import map_at_r


class Polar(MetricLearnerMixin, BaseEstimator):
    """A learner that is not linear: the length of a row, and nothing else."""

    def fit(self, X, y):
        X, y = validate_data(self, X, y)
        self.n_components_ = 1
        return self

    def _embed(self, X):
        return np.linalg.norm(X, axis=1, keepdims=True)


class Given(MahalanobisMixin, BaseEstimator):
    """A linear map that is given."""

    def __init__(self, matrix, mean=None, normalize=False):
        self.matrix = matrix
        self.mean = mean
        self.normalize = normalize

    def fit(self, X, y):
        X, y = validate_data(self, X, y)
        self.components_ = np.asarray(self.matrix, float)
        self.n_components_ = len(self.components_)
        self.mean_ = None if self.mean is None else np.asarray(self.mean, float)
        self.normalize_ = self.normalize
        return self


X, y = np.array([[3.0, 4], [0, 5], [6, 8], [0, 9]]), np.array(["a", "a", "b", "b"])


def test_transform_by_hand():
    np.testing.assert_array_equal(Polar().fit_transform(X, y), [[5], [5], [10], [9]])


def test_pair_distance_by_hand():
    learner = Polar().fit(X, y)
    np.testing.assert_array_equal(learner.pair_distance(X[:2], X[2:]), [5, 4])
    np.testing.assert_array_equal(learner.pair_distance(X, X), 0)


def test_pairs_in_one_array_by_hand():
    """As metric-learn's `pair_distance` takes them."""
    learner = Polar().fit(X, y)
    np.testing.assert_array_equal(learner.pair_distance(np.stack([X[:2], X[2:]], axis=1)), [5, 4])
    np.testing.assert_array_equal(learner.pair_distance([[[3.0, 4], [6, 8]]]), [5])
    for alone in (X, X[:, None].repeat(3, axis=1)):
        with pytest.raises(
            ValueError, match=r"without B, A must hold pairs, \(n_pairs, 2, n_features\); got"
        ):
            learner.pair_distance(alone)


def test_pairs_must_be_as_many():
    with pytest.raises(ValueError, match="A and B must pair up row by row; A has 2 rows, B has 3"):
        Polar().fit(X, y).pair_distance(X[:2], X[:3])


def test_score_is_map_at_r_after_transform():
    learner = Polar().fit(X, y)
    assert learner.score(X, y) == map_at_r([[5], [5], [10], [9]], y) == 1
    assert learner.set_output(transform="pandas").score(X, y) == 1


@pytest.mark.parametrize("frame", ["pandas", "polars"])
def test_set_output_and_names(frame):
    library = pytest.importorskip(frame)
    learner = Polar().set_output(transform=frame).fit(X, y)
    out = learner.transform(X)
    assert isinstance(out, library.DataFrame)
    assert list(out.columns) == ["polar0"]
    np.testing.assert_array_equal(learner.pair_distance(X[:2], X[2:]), [5, 4])


def test_tags():
    tags = Polar().__sklearn_tags__()
    assert tags.target_tags.required
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


def test_what_a_subclass_must_write():
    with pytest.raises(TypeError, match="_embed"):
        MetricLearnerMixin()


def test_unfitted_and_rows_that_are_not_finite():
    with pytest.raises(NotFittedError):
        Polar().transform(X)
    with pytest.raises(ValueError, match="Input X contains NaN in row 1: drop or impute"):
        Polar().fit(X, y).transform([[1, 2], [np.nan, 1]])
    with pytest.raises(ValueError, match="X has 3 features, but Polar is expecting 2"):
        Polar().fit(X, y).transform(np.ones((2, 3)))


def test_linear_map_by_hand():
    matrix = [[1, 0], [0, 2]]
    np.testing.assert_array_equal(Given(matrix).fit(X, y).transform(X[:1]), [[3, 8]])
    np.testing.assert_array_equal(Given(matrix, mean=[1, 1]).fit(X, y).transform(X[:1]), [[2, 6]])
    # (3, 4) / 5 = (.6, .8); less (.6, .3) is (0, .5); mapped (0, 1), of length 1
    normalized = Given(matrix, mean=[0.6, 0.3], normalize=True).fit(X, y)
    np.testing.assert_allclose(normalized.transform(X[:1]), [[0, 1]], atol=1e-12)


def test_linear_map_keeps_float32_and_clones():
    learner = clone(Given([[1, 0]], mean=[1, 1], normalize=True)).fit(X, y)
    assert learner.transform(X.astype(np.float32)).dtype == np.float32
    assert learner.transform(X).shape == (4, 1)


def test_unit_rows_by_hand():
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4], [0, 0]])), [[0.6, 0.8], [0, 0]])


@pytest.mark.parametrize("unit", [1e30, 1e-30])
def test_unit_rows_of_any_unit(unit):
    """Squares of float32 overflow at 1e20 and vanish at 1e-23."""
    rows = np.array([[3.0, 4], [0, 0], [-4, 3]], np.float32) * np.float32(unit)
    expected = [[0.6, 0.8], [0, 0], [-0.8, 0.6]]
    np.testing.assert_allclose(unit_rows(rows), expected, rtol=1e-6)
    np.testing.assert_allclose(unit_sparse_rows(csr_array(rows)).toarray(), expected, rtol=1e-6)
    assert unit_sparse_rows(csr_array(rows)).dtype == np.float32
