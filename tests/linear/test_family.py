"""Laws of every learner of the package: exact distances for any input, named errors for bad input."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmetric import linear
from skmetric.linear import GMML, LFDA, LMNN, MLKR, NCA, RCA, Covariance, MetricLearner

from .conftest import gaussian_classes

DESCEND = [NCA(max_iter=15), LMNN(max_iter=15), MLKR(max_iter=15)]
FROM_TUPLES = {"ITML", "MMC", "SDML", "SCML", "LSML"}
TAKE_SPARSE = [Covariance(), RCA(), LFDA(), GMML(), MetricLearner((0.3, 0.5), normalize=False), *DESCEND]
LEARNERS = TAKE_SPARSE
# the map follows the unit of X, so that embeddings do not
UNITLESS = [Covariance(), RCA(), LFDA(), GMML(), *DESCEND]
COUNT = [Covariance(), RCA(), RCA(n_components=2), GMML()]  # a row of weight k counts as k rows
ADD = [Covariance(), RCA(), RCA(n_components=2), MetricLearner((0.3, 0.5))]
REAL = {"digits": load_digits, "wine": load_wine, "breast cancer": load_breast_cancer}


def each(learners):
    return pytest.mark.parametrize("learner", learners, ids=repr)


def by_matrix(learner, A, B):
    difference = np.asarray(A, float) - np.asarray(B, float)
    return np.sqrt(np.einsum("ij,jk,ik->i", difference, learner.get_mahalanobis_matrix(), difference))


def test_every_learner_is_held_to_the_laws():
    assert {type(learner).__name__ for learner in LEARNERS} == set(linear.__all__) - FROM_TUPLES


@each(LEARNERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distance_is_that_of_the_matrix(learner, dtype, few):
    X, y = few[0].astype(dtype), few[1]
    y = y if isinstance(learner, MLKR) else np.array(["n", "o", "p", "q", "r"])[y]
    learner = clone(learner).fit(X, y).set_output(transform="pandas")
    again = pickle.loads(pickle.dumps(learner))
    assert learner.components_.dtype == learner.transform(X).to_numpy().dtype == dtype
    expected = by_matrix(learner, X[:20], X[20:40])
    rtol = 1e-9 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(learner.pair_distance(X[:20], X[20:40]), expected, rtol=rtol)
    np.testing.assert_array_equal(again.pair_distance(X, X[::-1]), learner.pair_distance(X, X[::-1]))


@each(LEARNERS)
def test_matrix_by_hand(learner, few):
    learner = clone(learner).fit(*few)
    learner.components_ = np.array([[1.0, 2.0], [0.0, 3.0]], np.float32)
    np.testing.assert_array_equal(learner.get_mahalanobis_matrix(), [[1, 2], [2, 13]])
    assert learner.get_mahalanobis_matrix().dtype == np.float64


@each(LEARNERS)
def test_far_from_the_origin_float32_keeps_its_digits(learner, few):
    X, y = few
    moved = np.round(64 * X).astype(np.float32)
    near, far = clone(learner).fit(moved, y), clone(learner).fit(moved + 2**20, y)  # both exact in float32
    np.testing.assert_allclose(
        far.pair_distance(moved[:9] + 2**20, moved[9:18] + 2**20),
        near.pair_distance(moved[:9], moved[9:18]),
        rtol=0.02 if type(learner) in map(type, DESCEND) else 1e-3,
    )


@each(LEARNERS)
@pytest.mark.parametrize("n_components", [1, 3])
def test_number_of_directions_and_names(learner, n_components, few):
    learner = clone(learner).set_params(n_components=n_components).fit(*few)
    assert learner.transform(few[0]).shape == (len(few[0]), n_components)
    name = type(learner).__name__.lower()
    assert learner.get_feature_names_out().tolist() == [f"{name}{i}" for i in range(n_components)]
    with pytest.raises(ValueError, match="n_components=8 is more than the 7 features of X"):
        learner.set_params(n_components=8).fit(*few)


@each(UNITLESS)
@pytest.mark.parametrize("unit", [1e30, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embeddings_do_not_depend_on_the_unit(learner, unit, dtype, few):
    X, y = few[0].astype(dtype), few[1]
    scaled = X * dtype(2.0 ** np.round(np.log2(unit)))  # exact
    expected = clone(learner).fit(X, y).pair_distance(X[1:], X[:-1])
    learner = clone(learner).fit(scaled, y)
    weight = 2.0 ** -np.round(np.log2(unit)) if isinstance(learner, GMML) else 1.0  # at t = 1/2 M has no unit
    np.testing.assert_allclose(weight * learner.pair_distance(scaled[1:], scaled[:-1]), expected, rtol=1e-3)


@pytest.mark.parametrize("unit", [2.0**99, 2.0**-99])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("error")
def test_the_choice_does_not_depend_on_the_unit(unit, dtype):
    """Squares of 1e30 are infinite in float32, those of 1e-30 are 0."""
    X, y = gaussian_classes(6, 6, 4)
    X, scaled = X.astype(dtype), X.astype(dtype) * dtype(unit)  # exact
    expected, learner = (MetricLearner(normalize=False, random_state=0).fit(rows, y) for rows in (X, scaled))
    assert learner.shrinkage_ == expected.shrinkage_
    ratio = learner.pair_distance(scaled[1:], scaled[:-1]) / expected.pair_distance(X[1:], X[:-1])
    np.testing.assert_allclose(ratio / ratio[0], 1, rtol=1e-5)


@each(TAKE_SPARSE)
@pytest.mark.parametrize("container", [csr_array, csr_matrix])
def test_sparse_rows_give_what_dense_rows_give(learner, container, few):
    X, y = np.maximum(few[0], 0), few[1]  # half of it zeros
    dense, sparse = clone(learner).fit(X, y), clone(learner).fit(container(X), y)
    tolerance = 0.02 if type(learner) in map(type, DESCEND) else 1e-6
    expected = dense.pair_distance(X[1:], X[:-1])
    np.testing.assert_allclose(sparse.pair_distance(X[1:], X[:-1]), expected, rtol=tolerance)
    np.testing.assert_allclose(dense.transform(container(X)), dense.transform(X), atol=1e-9)
    assert isinstance(sparse.transform(container(X)), np.ndarray)
    bad = container(np.where(np.arange(len(X))[:, None] == 3, np.nan, X))
    with pytest.raises(ValueError, match="NaN in row 3: drop or impute"):
        learner.fit(bad, y)


@each(COUNT)
def test_whole_weights_count_rows(learner, few):
    X, y = few
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = clone(learner).fit(X, y, sample_weight=weight)
    repeated = clone(learner).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(
        weighted.get_mahalanobis_matrix(), repeated.get_mahalanobis_matrix(), rtol=1e-8, atol=1e-10
    )


@each(ADD)
def test_batches_add_up(learner, few):
    X, y = few
    whole, parts = clone(learner).fit(X, y), clone(learner)
    for rows in np.array_split(np.arange(len(X)), 5):
        parts.partial_fit(X[rows], y[rows])
    np.testing.assert_allclose(
        parts.get_mahalanobis_matrix(), whole.get_mahalanobis_matrix(), rtol=1e-8, atol=1e-10
    )
    np.testing.assert_allclose(parts.mean_, whole.mean_)


@each(LEARNERS)
@pytest.mark.parametrize("name", REAL)
def test_defaults_finish_on_real_data(learner, name):
    X, y = REAL[name](return_X_y=True)
    learner = clone(learner).fit(X[::3], y[::3])
    assert np.isfinite(learner.components_).all()
    assert learner.components_.any()
    assert np.isfinite(learner.transform(X)).all()


BAD = {
    "duplicated points": lambda X, y: (np.repeat(X[::4], 4, axis=0)[: len(y)], y),
    "constant features": lambda X, y: (np.c_[X, np.full(len(X), 0.1), np.zeros(len(X))], y),
    "more features than rows": lambda X, y: (
        np.c_[X[:12], np.random.default_rng(0).normal(size=(12, 30))],
        np.repeat([0, 1, 2], 4),
    ),
    "one feature": lambda X, y: (X[:, :1], y),
    "uint8": lambda X, y: (np.clip(40 * X + 128, 0, 255).astype(np.uint8), y),
    "booleans": lambda X, y: (X > 0, y),
    "features of 1e30 and 1e-30": lambda X, y: (X * np.array([1e30, 1e-30, 1, 1, 1, 1, 1]), y),
    "two rows of a class": lambda X, y: (X[:3], np.array([0, 0, 1])),
}


@each(LEARNERS)
@pytest.mark.parametrize("kind", BAD)
def test_hard_input_gives_numbers(learner, kind, few):
    X, y = BAD[kind](few[0], np.sort(few[1]))
    learner = clone(learner).fit(X, y)
    assert np.isfinite(learner.components_).all()
    assert np.isfinite(learner.pair_distance(X[1:], X[:-1])).all()
    assert learner.components_.any()


@each(LEARNERS)
def test_integers_of_any_kind_are_numbers(learner, few):
    """Differences of unsigned integers must not wrap around."""
    X, y = BAD["uint8"](*few)
    expected = clone(learner).fit(X.astype(float), y)
    learner = clone(learner).fit(X, y)
    rtol = 0.02 if type(learner) in map(type, DESCEND) else 1e-9
    np.testing.assert_allclose(
        learner.pair_distance(X, X[::-1]), expected.pair_distance(X.astype(float), X[::-1]), rtol=rtol
    )


@each(UNITLESS)
def test_rows_that_are_all_equal_are_refused(learner):
    X, y = np.full((6, 2), 0.1), np.repeat([0, 1], 3)
    with pytest.raises(ValueError, match=r"differ"):
        clone(learner).fit(X, y)


@each(LEARNERS)
def test_rows_that_are_not_finite_are_named(learner, few):
    X, y = few[0].copy(), few[1]
    X[4, 2] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity in row 4: drop or impute"):
        clone(learner).fit(X, y)


@each(LEARNERS)
def test_in_a_pipeline_with_names(learner, few):
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame(few[0], columns=list("abcdefg"))
    pipeline = make_pipeline(StandardScaler(), clone(learner)).set_output(transform="pandas")
    out = clone(pipeline).fit(X, few[1]).transform(X)
    assert list(out.index) == list(X.index)
    assert out.columns[0].startswith(type(learner).__name__.lower())


@each(LEARNERS)
def test_five_classes_get_nearer(learner):
    """A direction of noise 9 times as wide as the classes lie apart: every learner weighs it down."""
    X, y = gaussian_classes(5, 30, 4, spread=3)
    X = np.c_[X, 30 * np.random.default_rng(0).normal(size=len(X))]
    learner = clone(learner).fit(X, y)
    matrix = learner.get_mahalanobis_matrix()
    assert matrix[4, 4] < 0.6 * np.diag(matrix)[:4].min()


@each(LEARNERS)
@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e153, 1e300])
def test_rows_of_extreme_size_have_a_finite_map_or_are_refused_by_name(learner, size):
    """No raw warning comes first: warnings are errors here."""
    X, y = np.random.default_rng(0).normal(size=(60, 5)) * size, np.arange(60.0) % 6
    refusal = ""
    try:
        learner = clone(learner).fit(X, y)
    except ValueError as error:
        refusal = str(error)
    assert "a constant" in refusal if refusal else np.isfinite(learner.components_).all()
