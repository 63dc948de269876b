"""Values by hand, and the laws that hold for every retrieval score."""

import inspect
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array

from skmetric import metrics

HAND = {  # queries with R = 2 relevant items, at ranks (1, 4) and (2, 3) of 5
    "recall_at_1": (1 + 0) / 2,
    "recall_at_2": (1 + 1) / 2,
    "precision_at_2": (1 / 2 + 1 / 2) / 2,
    "precision_at_3": (1 / 3 + 2 / 3) / 2,
    "r_precision": (1 / 2 + 1 / 2) / 2,
    "map_at_r": ((1 / 1) / 2 + (1 / 2) / 2) / 2,
    "mean_average_precision": ((1 / 1 + 2 / 4) / 2 + (1 / 2 + 2 / 3) / 2) / 2,
    "mean_reciprocal_rank": (1 / 1 + 1 / 2) / 2,
    # discounts 1, 1/log2(3), 1/2 at ranks 1, 2, 3; the best is 1 + 1/log2(3) for R = 2
    "ndcg_at_1": (1 + 0) / 2,
    "ndcg_at_3": (1 + 1 / np.log2(3) + 1 / 2) / (1 + 1 / np.log2(3)) / 2,
}


def score(name, *args, **kwargs):
    """The public function of that name, ``"recall_at_2"`` being recall_at_k with k=2."""
    if hasattr(metrics, name):
        return getattr(metrics, name)(*args, **kwargs)
    family, _, k = name.rpartition("_")
    return getattr(metrics, f"{family}_k")(*args, k=int(k), **kwargs)


functions = [
    getattr(metrics, name)
    for name in metrics.__all__
    if name.islower() and "report" not in name and name != "compare"
]
every_score = pytest.mark.parametrize(
    "score_of",
    [partial(f, k=3) if "k" in inspect.signature(f).parameters else f for f in functions],
    ids=[f.__name__ for f in functions],
)


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(6), [5, 6, 7, 8, 9, 10])
    return rng.normal(size=(6, 4))[y] + rng.normal(size=(len(y), 4)), y


@pytest.mark.parametrize("name", HAND)
def test_value_by_hand(name):
    gallery, y_gallery = [[1.0], [2.0], [3.0], [4.0], [5.0]], list("abbac")
    assert score(name, [[0.0], [0.5]], ["a", "b"], gallery=gallery, y_gallery=y_gallery) == pytest.approx(
        HAND[name], abs=1e-15
    )


@every_score
def test_perfect_embeddings_score_one(score_of, blobs):
    X, y = blobs
    R = np.bincount(y)[y] - 1  # at least k = 3
    best = {"ir_recall_at_k": np.mean(3 / R), "f1_at_k": np.mean(6 / (3 + R))}  # of k items
    name = getattr(score_of, "func", score_of).__name__
    assert score_of(X * 1e-3 + y[:, None], y) == pytest.approx(best.get(name, 1.0), abs=1e-15)


@every_score
def test_sparse_rows_are_refused_with_a_remedy(score_of, blobs):
    X, y = blobs
    with pytest.raises(TypeError, match="toarray"):
        score_of(csr_array(X), y)


@every_score
def test_order_of_rows_does_not_matter(score_of, blobs):
    X, y = blobs
    order = np.random.default_rng(1).permutation(len(y))
    assert score_of(X[order], y[order]) == pytest.approx(score_of(X, y), abs=1e-15)


@every_score
def test_isometry_does_not_matter(score_of, blobs):
    X, y = blobs
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    assert score_of(3 * X @ rotation + 7, y) == pytest.approx(score_of(X, y), abs=1e-15)


@every_score
def test_kind_of_labels_and_containers_does_not_matter(score_of, blobs):
    pandas = pytest.importorskip("pandas")
    X, y = blobs
    names = pandas.Series([f"class {label}" for label in y], index=range(5, len(y) + 5))
    assert score_of(pandas.DataFrame(X), names) == score_of(X.tolist(), y.tolist())


@every_score
def test_queries_with_nothing_to_find_are_left_out(score_of, blobs):
    X, y = blobs  # a far row of a class of its own is last in every ranking, and as a query finds nothing
    assert score_of(np.vstack([X, np.full((1, 4), 99.0)]), [*y, 77]) == pytest.approx(
        score_of(X, y), abs=1e-15
    )


@every_score
def test_nothing_to_find_at_all(score_of):
    X = np.arange(5.0)[:, None]
    with pytest.raises(ValueError, match="every class of y has one row"):
        score_of(X, list("abcde"))
    with pytest.raises(ValueError, match="y and y_gallery share no class"):
        score_of(X, list("aabbb"), gallery=X, y_gallery=list("ccccc"))


@every_score
def test_nan_is_refused_by_row(score_of, blobs):
    X, y = blobs
    X[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN.*row 7"):
        score_of(X, y)


def test_duplicates_are_found_and_only_the_row_itself_is_left_out(blobs):
    X, y = blobs
    assert metrics.recall_at_k(np.vstack([X, X]), [*y, *y]) == 1
    assert metrics.recall_at_k(np.vstack([X, X]), [*y, *(y + 100)]) == 0


@every_score
@pytest.mark.parametrize("part", [slice(None), slice(None, None, 4)])
def test_queries_that_are_rows_of_the_gallery_are_refused(score_of, blobs, part):
    """tensorflow/similarity #37, open-metric-learning #341: each query found itself, and all was perfect."""
    X, y = blobs
    with pytest.raises(ValueError, match=r"queries in rows 0, .* are rows of the gallery .*without gallery="):
        score_of(X[part].copy(), y[part], gallery=X, y_gallery=y)


@pytest.mark.parametrize(("noise", "share"), [(1e-6, 1.0), (0, 0.2)])
def test_near_copies_and_few_copies_warn(blobs, noise, share):
    rng, (X, y) = np.random.default_rng(1), blobs
    queries = X + rng.normal(size=X.shape)
    queries[: int(share * len(X))] = X[: int(share * len(X))]
    with pytest.warns(UserWarning, match="if they are the same samples, give all rows without") as caught:
        metrics.map_at_r(queries + noise * rng.normal(size=X.shape), y, gallery=X, y_gallery=y)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("times", [(1, 2), (2, 1), (2, 2)], ids=str)
def test_rows_that_were_given_several_times_are_copies_too(blobs, times):
    """A gallery in which each row was enrolled twice gave 1.000 without a word."""
    X, y = blobs
    (queries, y_queries), (gallery, y_gallery) = ((np.vstack([X] * n), np.tile(y, n)) for n in times)
    with pytest.raises(ValueError, match="are rows of the gallery"):
        metrics.recall_at_k(queries, y_queries, gallery=gallery, y_gallery=y_gallery)


def test_one_query_that_is_a_row_of_the_gallery_warns(blobs):
    X, y = blobs
    with pytest.warns(UserWarning, match="each query is equal to a row .* If they are the same") as caught:
        metrics.recall_at_k(X[:1], y[:1], gallery=X, y_gallery=y)
    assert caught[0].filename == __file__
    metrics.recall_at_k(X[:1] + 0.1, y[:1], gallery=X, y_gallery=y)  # does not warn


def test_one_code_a_class_warns():
    """One hash code for each class: equal rows may be copies, or not."""
    codes, y = np.eye(4).repeat(2, axis=0), np.repeat(range(4), 2)
    with pytest.warns(UserWarning, match="each query is equal to a row"):
        assert metrics.recall_at_k(np.eye(4), range(4), gallery=codes, y_gallery=y) == 1


def test_equal_codes_are_not_copies():
    rng = np.random.default_rng(0)
    codes, labels = rng.integers(0, 2, (800, 6)), rng.integers(0, 3, 800)
    metrics.map_at_r(codes[:100], labels[:100], gallery=codes[100:], y_gallery=labels[100:])  # does not warn


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float32"])
def test_tensors_of_any_float_type_and_with_gradients(blobs, kind):
    torch = pytest.importorskip("torch")
    X = torch.tensor(blobs[0], requires_grad=True).to(getattr(torch, kind))
    expected = metrics.map_at_r(X.detach().float().numpy(), blobs[1])
    assert metrics.map_at_r(X, torch.tensor(blobs[1])) == pytest.approx(expected)


@pytest.mark.parametrize("function", [metrics.recall_at_k, metrics.precision_at_k, metrics.ndcg_at_k])
def test_cutoff_out_of_range(function):
    X, y = [[0.0], [1.0], [2.0]], [0, 0, 1]
    function(X, y, k=2)
    with pytest.raises(ValueError, match=r"k=3 is more than the 2 items"):
        function(X, y, k=3)
    function(X, y, k=3, gallery=np.add(X, 0.5), y_gallery=y)
    with pytest.raises(ValueError, match="'k' parameter"):
        function(X, y, k=0)


def test_each_score_of_the_table_has_a_public_function_and_the_other_way_round():
    from skmetric.metrics._ranking import FURTHER_SCORES, SCORES

    names = {name.replace("linear", "graded").replace("exponential", "graded") for name in FURTHER_SCORES}
    assert set(SCORES) | names == {function.__name__ for function in functions}
