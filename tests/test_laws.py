"""Laws that hold for any data: hypothesis looks for data for which they do not."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone

from skmetric import MetricLearner, SimilaritySearch, io
from skmetric.linear import GMML, LFDA, RCA, Covariance
from skmetric.metrics import map_at_r, mean_reciprocal_rank, ndcg_at_k, recall_at_k
from skmetric.search import ExactIndex, FaissIndex

# the same examples in each run: what fails here fails everywhere
laws = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # shrinking an example that fails takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
N, D = 24, 4
SEEDS = st.integers(0, 2**32 - 1)
ROWS = arrays(np.float64, (3, D), elements=st.floats(-1e3, 1e3, width=32))
LEARNERS = {
    "plda": MetricLearner((0.5, 0.5)),
    "all": MetricLearner((0.2, 0.8), power=0.5, saturation=0.05, n_components=3),
    "euclidean": MetricLearner((0.5, 1), normalize=False),
    "rca": RCA(),
    "covariance": Covariance(),
    "lfda": LFDA(n_components=2),
    "gmml": GMML(),
}
any_learner = pytest.mark.parametrize("name", LEARNERS)


def blobs(seed, n=N):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    return rng.normal(size=(n, D)) + 3 * rng.normal(size=(4, D))[y], y


def fitted(name, seed=0):
    return clone(LEARNERS[name]).fit(*blobs(seed))


def distances(learner, X):
    embedded = learner.transform(X)
    return np.linalg.norm(embedded[:, None] - embedded, axis=2)


@pytest.fixture(scope="module")
def known():
    return {name: fitted(name) for name in LEARNERS}


@any_learner
@laws
@given(rows=ROWS)
def test_a_learned_distance_is_a_metric(known, name, rows):
    a, b, c = rows[:, None]
    between = known[name].pair_distance
    ab, ba, bc, ac = between(a, b)[0], between(b, a)[0], between(b, c)[0], between(a, c)[0]
    assert ab >= 0 == between(a, a)[0]
    assert ab == ba
    assert ac <= ab + bc + 1e-9 * (1 + ab + bc)


@any_learner
@laws
@given(rows=ROWS)
def test_a_batch_is_its_rows_one_by_one(known, name, rows):
    learner = known[name]
    alone = np.concatenate([learner.transform(row[None]) for row in rows])
    np.testing.assert_allclose(learner.transform(rows), alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", sorted(LEARNERS))
@laws
@given(seed=SEEDS)
def test_order_of_rows_and_names_of_classes_do_not_matter(name, seed):
    X, y = blobs(seed)
    order = np.random.default_rng(seed).permutation(N)
    names = np.array(["d", "a", "c", "b"])
    other = clone(LEARNERS[name]).fit(X[order], names[y[order]])
    np.testing.assert_allclose(distances(other, X), distances(fitted(name, seed), X), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["plda", "all", "euclidean"])
@laws
@given(seed=SEEDS, counts=st.lists(st.integers(1, 3), min_size=N, max_size=N))
def test_weight_k_is_k_rows(name, seed, counts):
    X, y = blobs(seed)
    weighted = clone(LEARNERS[name]).fit(X, y, sample_weight=counts)
    repeated = clone(LEARNERS[name]).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(distances(weighted, X), distances(repeated, X), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["plda", "all", "euclidean"])
@laws
@given(seed=SEEDS, n_batches=st.integers(1, 5))
def test_partial_fit_in_any_order_is_fit(name, seed, n_batches):
    X, y = blobs(seed)
    # the first batch has all classes, with two rows each; the others are of any rows
    first, rest = np.arange(8), np.random.default_rng(seed).permutation(np.arange(8, N))
    learner = clone(LEARNERS[name])
    for rows in [first, *np.array_split(rest, n_batches)]:
        learner.partial_fit(X[rows], y[rows])
    whole = clone(LEARNERS[name]).fit(X, y)
    np.testing.assert_allclose(distances(learner, X), distances(whole, X), rtol=1e-6, atol=1e-7)


@any_learner
@laws
@given(seed=SEEDS)
def test_float32_is_float64_with_fewer_digits(name, seed):
    X, y = blobs(seed)
    small = clone(LEARNERS[name]).fit(X.astype(np.float32), y)
    large = clone(LEARNERS[name]).fit(X.astype(np.float32).astype(float), y)
    expected = distances(large, X)
    np.testing.assert_allclose(distances(small, X), expected, rtol=5e-3, atol=5e-3 * expected.max())


@laws
@given(seed=SEEDS, shift=st.floats(-5, 5))
def test_scores_do_not_change_under_isometries(seed, shift):
    X, y = blobs(seed)
    turned = X @ np.linalg.qr(np.random.default_rng(seed).normal(size=(D, D)))[0] + shift
    for score in (map_at_r, recall_at_k, mean_reciprocal_rank, ndcg_at_k):
        assert score(turned, y) == pytest.approx(score(X, y), abs=1e-12)


@laws
@given(
    embeddings=arrays(np.float32, (9, 3), elements=st.integers(-3, 3)),
    k=st.integers(1, 9),
    gone=st.integers(0, 8),
)
def test_indexes_agree_with_the_exact_one(embeddings, k, gone):
    pytest.importorskip("faiss")
    found = []
    for index in (ExactIndex(), FaissIndex("Flat")):
        index.add(np.arange(9), embeddings)
        index.remove([gone])
        found.append(index.query(embeddings, min(k, 8)).distances)
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


@laws
@given(
    labels=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=2, max_size=6
    ),
    numbers=st.lists(st.floats(allow_nan=False) | st.none(), min_size=6, max_size=6),
)
def test_a_saved_gallery_comes_back(labels, numbers, tmp_path):
    rows = np.arange(len(labels), dtype=float)[:, None]
    metadata = {"text": labels[::-1], "number": [0.5, *numbers][: len(labels)]}
    search = SimilaritySearch().fit(rows, labels, metadata=metadata)
    io.save(search, tmp_path / "gallery")
    loaded = io.load(tmp_path / "gallery", verify=True)
    assert loaded.labels_.tolist() == labels
    found, expected = (model.lookup(rows, n_neighbors=2).to_records() for model in (loaded, search))
    assert repr(found) == repr(expected)  # missing numbers are NaN
