"""Sparse rows give what the same rows give as an array, and are not made dense."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array, csr_matrix, lil_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skmetric import MetricLearner, SimilaritySearch
from skmetric.base import MahalanobisMixin, signed_power
from skmetric.inspection import distance_contributions
from skmetric.linear import GMML, ITML, LFDA, LMNN, LSML, MLKR, MMC, NCA, RCA, SCML, SDML, Covariance
from skmetric.linear._closed_form import _refine
from skmetric.linear._closed_form._scatter import class_scatter
from skmetric.linear._descent import _start
from skmetric.linear._descent._centred import centred
from skmetric.linear._descent._start import named_map
from skmetric.linear._pairs._pair_choice import _squares_of_pairs
from skmetric.linear._selection import _again, _by_blocks
from skmetric.linear._selection._by_blocks import map_at_r_by_blocks
from skmetric.metrics import RetrievalScorer, map_at_r
from skmetric.weak import FromLabels, sample_pairs, sample_quadruplets, sample_triplets

from .conftest import gaussian_classes


def sparse_rows(rng, n, n_features):
    """Rows with an entry in a hundred."""
    size = n * n_features // 100
    at = rng.integers(0, n, size), rng.integers(0, n_features, size)
    return csr_array((rng.random(size), at), shape=(n, n_features))


def counts(n_samples, n_features, n_classes, density, seed=0):
    """Counts of words, of which each class has its own; some rows are empty, some features constant."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % n_classes
    own = rng.random((n_classes, n_features)) < 3 * density
    X = rng.poisson(1.0, (n_samples, n_features)) * (rng.random((n_samples, n_features)) < own[y] * 0.3)
    X = X + 1.0 * (rng.random(X.shape) < density / 4)
    X[[3, 17]] = 0
    X[:, 5] = 0
    return X, y


THIN, DENSE, WIDE = counts(160, 40, 20, 0.05), counts(160, 20, 20, 0.5), counts(30, 50, 5, 0.05)
SETTINGS = [
    {},
    {"shrinkage": (0.3, 0.5), "normalize": False},
    {"shrinkage": (0.3, 0.5), "normalize": True, "power": 0.5, "weighting": "kissme"},
    {"shrinkage": (0.3, 0.5), "n_components": 3, "saturation": 0.05},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("data", [THIN, DENSE, WIDE], ids=["thin", "dense", "fewer rows than features"])
def test_metric_learner_is_that_of_dense_rows(settings, data):
    X, y = data
    learner = MetricLearner(random_state=0, **settings)
    dense, sparse = clone(learner).fit(X, y), learner.fit(csr_array(X), y)
    np.testing.assert_allclose(sparse.components_, dense.components_, atol=1e-10)
    np.testing.assert_allclose(sparse.transform(csr_matrix(X)), dense.transform(X), atol=1e-10)
    np.testing.assert_allclose(sparse.scatter_.within, dense.scatter_.within, atol=1e-10)


def test_weights_batches_and_pools_are_those_of_dense_rows():
    X, y = THIN
    learners = []
    for rows in (X, csr_array(X)):
        learner = MetricLearner((0.3, 0.5)).partial_fit(rows[:90], y[:90], np.arange(90) % 3)
        learner.partial_fit(rows[90:], y[90:], np.linspace(0, 1, 70)).adapt(rows[:40])
        learners.append(learner)
    np.testing.assert_allclose(learners[1].components_, learners[0].components_, atol=1e-10)
    np.testing.assert_allclose(learners[1].mean_, learners[0].mean_, atol=1e-10)


def test_a_margin_and_a_new_choice_take_sparse_rows():
    X, y = counts(40, 12, 5, 0.3)
    dense, sparse = (
        MetricLearner((0.5, 0.7), margin=0.2, n_components=4, random_state=0).fit(rows, y)
        for rows in (X, csr_array(X))
    )
    np.testing.assert_allclose(sparse.pair_distance(X[1:], X[:-1]), dense.pair_distance(X[1:], X[:-1]))
    dense, sparse = (
        MetricLearner((0.5, 0.7), random_state=0).partial_fit(rows[:20], y[:20]) for rows in (X, csr_array(X))
    )
    dense.partial_fit(X[20:], y[20:], choose=True)
    assert sparse.partial_fit(csr_array(X[20:]), y[20:], choose=True).shrinkage_ == dense.shrinkage_
    for results in (dense.cv_results_, sparse.cv_results_):
        assert len(results["params"]) > 5
    np.testing.assert_allclose(sparse.cv_results_["mean_test_score"], dense.cv_results_["mean_test_score"])


@pytest.mark.parametrize("numbers", [1, 60, 1 << 20])
def test_queries_in_blocks_find_what_they_find_at_once(numbers, monkeypatch):
    monkeypatch.setattr(_by_blocks, "_NUMBERS", numbers)
    X, y = counts(60, 10, 6, 0.3)
    X += np.random.default_rng(0).random(X.shape)  # so that no distances are equal
    rows = csr_array(X)
    values = map_at_r_by_blocks(lambda part: part.toarray(), rows[:20], y[:20], rows[20:], y[20:])
    assert values.mean() == pytest.approx(map_at_r(X[:20], y[:20], gallery=X[20:], y_gallery=y[20:]))


def traced(call):
    """Peak of a call, in bytes."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_no_use_of_sparse_rows_embeds_all_of_them_at_once(monkeypatch):
    """12,000 rows of 200 features: 19 MB as an array."""
    monkeypatch.setattr(_refine, "_STEPS", (0, 2))
    monkeypatch.setattr(_again, "WITHIN", (0.5,))
    monkeypatch.setattr(_again, "_MAX_ROWS", 40)
    rng = np.random.default_rng(0)
    X, y = sparse_rows(rng, 12_000, 200), rng.integers(0, 50, 12_000)
    assert traced(lambda: MetricLearner((0.3, 0.5), normalize=False, margin=0.1).fit(X, y)) < 15e6
    learner = MetricLearner((0.3, 0.5)).partial_fit(X[:500], y[:500])
    assert traced(lambda: learner.partial_fit(X, y, choose=True)) < 15e6
    pairs = rng.integers(0, 12_000, (5000, 2))
    weights = np.ones((200, 1))
    assert traced(lambda: _squares_of_pairs(X, pairs, lambda rows: rows, weights, True)) < 8e6


def test_a_constant_feature_of_sparse_rows_has_no_scatter():
    """1.7e9 is a time in seconds: the difference of its squares is rounding, which hides all the rest."""
    X, y = counts(160, 80, 20, 0.03)
    X = np.c_[X, np.full(len(X), 1.7e9), 1.7e9 + y + np.arange(len(X)) // 20 % 2]
    scatter, expected = class_scatter(csr_array(X), y, 20), class_scatter(X, y, 20)
    assert (X != 0).mean() < 0.05  # or blocks of dense rows are multiplied
    assert scatter.within[80, 80] == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(scatter.within, expected.within, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(scatter.means, expected.means, rtol=1e-14)


def disguised(X):
    """The same rows with zeros stored, entries stored in halves and out of order, and int64 indices."""
    rows, columns = np.nonzero(X)
    values = X[rows, columns]
    rows, columns = np.r_[rows, rows, 0, 1][::-1], np.r_[columns, columns, 0, 1][::-1]
    values = np.r_[values / 4, 3 * values / 4, 0, 0][::-1]
    order = np.argsort(rows, kind="stable")
    ends = np.cumsum(np.bincount(rows, minlength=len(X)))
    indices, indptr = columns[order].astype(np.int64), np.r_[0, ends].astype(np.int64)
    return csr_array((values[order], indices, indptr), shape=X.shape)


@pytest.mark.parametrize("learner", [MetricLearner((0.3, 0.5), power=0.5), RCA(shrinkage=0.1), Covariance()])
@pytest.mark.parametrize("form", [disguised, coo_array, lil_array])
def test_any_form_of_sparse_rows_is_read(learner, form):
    X, y = THIN
    given = form(X)
    before = given.copy()
    dense, sparse = clone(learner).fit(X, y), clone(learner).fit(given, y)
    np.testing.assert_allclose(sparse.transform(given), dense.transform(X), atol=1e-10)
    assert given.nnz == before.nnz  # the rows of the user stay as they were


def test_sparse_rows_of_nan_are_named():
    X, y = csr_array(THIN[0]), THIN[1]
    X.data[X.indptr[7]] = np.nan
    for call in (MetricLearner().fit, MetricLearner((0.3, 0.5)).partial_fit):
        with pytest.raises(ValueError, match="Input X contains NaN in row 7: drop or impute"):
            call(X, y)
    with pytest.raises(ValueError, match="Input X contains NaN in row 7"):
        MetricLearner((0.3, 0.5)).fit(*THIN).adapt(X)


WIDE_ROWS = csr_array(([1.0, 1.0, 2.0, 1.0], [0, 5, 7, 0], [0, 1, 2, 3, 4]), shape=(4, 40_000))


@pytest.mark.parametrize("learner", [MetricLearner(), Covariance(), RCA(), GMML(), LFDA()], ids=repr)
def test_too_many_features_are_refused_with_a_remedy(learner):
    with pytest.raises(ValueError, match=r"40000 features.*13 GB each.*TruncatedSVD"):
        learner.fit(WIDE_ROWS, [0, 0, 1, 1])


@pytest.mark.parametrize("learner", [NCA(2, max_iter=2), LMNN(2, max_iter=2), MLKR(2, max_iter=2)], ids=repr)
def test_learners_of_a_map_alone_take_any_number_of_features(learner):
    assert traced(lambda: learner.fit(WIDE_ROWS, [0, 0, 1, 1])) < 100e6  # a square matrix has 13 GB
    assert learner.transform(WIDE_ROWS).shape == (4, 2)
    if not isinstance(learner, MLKR):  # which has no classes
        with pytest.raises(ValueError, match="init='lda' needs matrices of 40000 x 40000 numbers: use"):
            clone(learner).set_params(init="lda").fit(WIDE_ROWS, [0, 0, 1, 1])


def test_a_wide_map_starts_in_the_directions_of_pca(monkeypatch):
    X, y = gaussian_classes(4, 20, 30)
    X = X * np.linspace(3, 1, 30)
    monkeypatch.setattr(_start, "_WIDE", 20)
    rows = centred(X, np.arange(len(X)))[0]
    found = named_map(NCA(3), rows, y, np.random.RandomState(0))
    expected = PCA(3).fit(X).components_
    np.testing.assert_allclose(np.abs(found @ expected.T), np.eye(3), atol=1e-4)


def test_a_wide_map_of_few_or_equal_rows_is_finite(monkeypatch):
    monkeypatch.setattr(_start, "_WIDE", 20)
    few = centred(csr_array(np.eye(4, 30)), np.arange(4))[0]
    found = named_map(NCA(6), few, np.array([0, 0, 1, 1]), np.random.RandomState(0))
    assert np.linalg.matrix_rank(found) == 3  # four rows about their mean
    equal = centred(csr_array(np.full((4, 30), 0.1)), np.arange(4))[0]
    found = named_map(NCA(2), equal, np.array([0, 0, 1, 1]), np.random.RandomState(0))
    np.testing.assert_array_equal(found, np.eye(2, 30))


def test_memory_is_that_of_squares_of_the_features():
    """40,000 rows of 200 features are 64 MB as an array; matrices of the features 0.3 MB each."""
    rng = np.random.default_rng(0)
    X = sparse_rows(rng, 40_000, 200)
    y = rng.integers(0, 100, 40_000)
    tracemalloc.start()
    MetricLearner((0.3, 0.5), normalize=True, power=0.5).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6


class Shift(MahalanobisMixin):
    power_, normalize_, mean_, components_ = 0.5, True, np.array([0.6, 0.0]), np.diag([1.0, 2.0])


def test_embedding_of_a_sparse_row_by_hand():
    # (9, -16) under the power 1/2 is (3, -4), of unit length (0.6, -0.8), less the mean (0, -0.8): (0, -1)
    np.testing.assert_allclose(Shift()._embed(csr_array([[9.0, -16.0]])), [[0, -1]], atol=1e-15)
    assert signed_power(csr_array([[0.0, -9.0]]), 0.5).nnz == 1


def test_text_through_search_and_scorer():
    words = ["red apple pie", "apple tart", "sweet apple pie", "car engine", "fast car", "engine oil car"]
    y = ["food", "food", "food", "car", "car", "car"]
    X = TfidfVectorizer().fit_transform(words)
    search = SimilaritySearch(MetricLearner((0.5, 0.7))).fit(X, y)
    assert search.predict(X[[0, 4]]).tolist() == ["food", "car"]
    assert RetrievalScorer("map_at_r")(MetricLearner((0.5, 0.7)).fit(X, y), X, y) == 1
    categories = np.array([["a", "x"], ["b", "x"], ["a", "y"], ["b", "y"]])
    pipeline = make_pipeline(OneHotEncoder(), MetricLearner((0.5, 0.7)))
    assert pipeline.fit_transform(categories, [0, 1, 0, 1]).shape == (4, 4)
    assert MetricLearner().__sklearn_tags__().input_tags.sparse


# Learners of tuples. Rounding grows from step to step, so that the start of the descent is what is compared.
ON_TUPLES = {
    "pairs": [
        MetricLearner((0.3, 0.5), power=0.5),
        MetricLearner((0.3, 0.5), normalize=False),
        ITML(max_iter=8, random_state=0),
        ITML("covariance", max_iter=8, random_state=0),
        MMC(max_iter=8),
        MMC(diagonal=True, max_iter=8),
        SDML(max_iter=8),
    ],
    "triplets": [SCML(max_iter=8, random_state=0), SCML(basis=np.eye(40), max_iter=8)],
    "quadruplets": [LSML(max_iter=8), LSML("covariance", max_iter=8)],
}
SAMPLERS = {"pairs": sample_pairs, "triplets": sample_triplets, "quadruplets": sample_quadruplets}


@pytest.mark.parametrize(("kind", "learner"), [(k, one) for k in ON_TUPLES for one in ON_TUPLES[k]], ids=str)
@pytest.mark.parametrize("n_tuples", [40, 900], ids=["fewer tuples than rows", "more"])
@pytest.mark.filterwarnings("ignore:.*(did not converge|two labels)")
def test_learners_of_tuples_are_those_of_dense_rows(kind, learner, n_tuples):
    X, y = counts(160, 40, 8, 0.05)
    drawn = SAMPLERS[kind](y, n_tuples, random_state=0)
    tuples, *signs = drawn if kind == "pairs" else (drawn,)
    models = []
    for rows in (X, csr_array(X)):
        model = clone(learner)
        fit = model.fit_pairs if isinstance(model, MetricLearner) else model.fit
        models.append(fit(rows, *signs, **{kind: tuples}))
    dense, sparse = models
    expected = dense.pair_distance(X[1:], X[:-1])
    np.testing.assert_allclose(sparse.pair_distance(*map(csr_array, (X[1:], X[:-1]))), expected, atol=1e-10)
    if not isinstance(learner, MetricLearner):
        expected = dense.decision_function(X, **{kind: tuples})
        found = sparse.decision_function(csr_array(X), **{kind: tuples})
        np.testing.assert_allclose(found, expected, atol=1e-10)
        assert learner.__sklearn_tags__().input_tags.sparse


def test_pairs_choose_what_dense_rows_choose():
    X, y = counts(160, 40, 20, 0.05)
    pairs, signs = sample_pairs(y, 600, random_state=0)
    dense, sparse = (
        MetricLearner(random_state=0).fit_pairs(rows, signs, pairs=pairs) for rows in (X, csr_array(X))
    )
    assert len(sparse.cv_results_["params"]) > 10
    np.testing.assert_allclose(sparse.components_, dense.components_, atol=1e-10)


def test_a_learner_from_labels_takes_what_its_learner_takes():
    X, y = counts(160, 40, 8, 0.05)
    dense, sparse = (
        FromLabels(SDML(), n_tuples=200, random_state=0).fit(rows, y) for rows in (X, csr_matrix(X))
    )
    np.testing.assert_allclose(sparse.transform(csr_array(X)), dense.transform(X), atol=1e-10)
    assert sparse.__sklearn_tags__().input_tags.sparse


def test_tuples_of_sparse_rows_name_what_is_wrong():
    X, y = csr_array(THIN[0]), THIN[1]
    pairs, signs = sample_pairs(y, 50, random_state=0)
    with pytest.raises(ValueError, match="names row 160, and X has the rows 0 to 159"):
        ITML().fit(X, signs, pairs=np.where(pairs == pairs[0, 0], 160, pairs))
    X.data[X.indptr[7]] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity in row 7"):
        ITML().fit(X, signs, pairs=pairs)


def test_a_far_constant_feature_changes_no_difference():
    X, y = counts(60, 20, 6, 0.1)
    pairs, signs = sample_pairs(y, 200, random_state=0)
    moved = csr_array(np.c_[X, np.full(60, 1.7e9)])
    near, far = (
        SDML("identity").fit(rows, signs, pairs=pairs).decision_function(rows, pairs=pairs)
        for rows in (X, moved)
    )
    np.testing.assert_allclose(far, near, atol=1e-5)  # 1.7e9 in an embedding leaves 1e-7


def test_memory_of_pairs_is_that_of_squares_of_the_features():
    """20,000 rows of 300 features are 48 MB as an array; the embeddings of all rows would be as much."""
    rng = np.random.default_rng(0)
    X = sparse_rows(rng, 20_000, 300)
    pairs, signs = sample_pairs(rng.integers(0, 100, 20_000), 4000, random_state=0)
    tracemalloc.start()
    SDML("identity").fit(X, signs, pairs=pairs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def test_a_pair_of_sparse_rows_has_a_distance_and_contributions():
    X, y = THIN
    learner, rows = MetricLearner((0.3, 0.5)).fit(X, y), csr_array(X)
    expected = learner.pair_distance(X[:1], X[1:2])
    assert learner.get_metric()(rows[[0]], rows[[1]]) == pytest.approx(expected[0])
    shares = distance_contributions(learner, rows[:4], rows[4:8])
    np.testing.assert_allclose(shares, distance_contributions(learner, X[:4], X[4:8]))
