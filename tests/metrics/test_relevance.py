"""Scores by grades against loops by hand; with one label each they are the scores of labels, exactly."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import ndcg_score

from skmetric import metrics
from skmetric.metrics import RetrievalScorer, compare, recall_at_k, retrieval_report
from skmetric.metrics._scores import mean_scores
from skmetric.retrieval import rank

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
SETS = [set(RNG.choice(6, size=RNG.integers(0, 4), replace=False).tolist()) for _ in range(40)]
TAGS = np.array([[label in row for label in range(6)] for row in SETS], dtype=int)
FINE = RNG.integers(0, 12, size=40)
TREE = np.stack([FINE // 6, FINE // 3, FINE], axis=1)
ALL = [
    "recall_at_3",
    "precision_at_3",
    "r_precision",
    "map_at_r",
    "mean_average_precision",
    "mean_reciprocal_rank",
    "ndcg_at_5",
    "mean_average_precision_at_5",
    "ir_recall_at_5",
    "f1_at_5",
    "linear_ndcg_at_5",
    "exponential_ndcg_at_5",
]


def jaccard(a, b):
    return len(a & b) / len(a | b) if a | b else 0.0


OVERLAP = np.array([[jaccard(a, b) for b in SETS] for a in SETS])
LEVELS = np.mean([TREE[:, None, level] == TREE[:, level] for level in range(3)], axis=0)


def by_hand(grades, queries=X, gallery=None, groups=None):
    """All scores, query by query, from their definitions."""
    values = []
    for i, query in enumerate(queries):
        items = [j for j in range(grades.shape[1]) if gallery is not None or j != i]
        if groups is not None:
            items = [j for j in items if not (grades[i, j] > 0 and groups[j] == groups[i])]
        found = sorted(items, key=lambda j: np.linalg.norm((X if gallery is None else gallery)[j] - query))
        g = np.array([grades[i, j] for j in found])
        hits, n = g > 0, int((g > 0).sum())
        if not n:
            continue
        precision = np.cumsum(hits) / np.arange(1, len(g) + 1)
        discount = 1 / np.log2(np.arange(2, len(g) + 2))
        best = np.sort(g)[::-1]
        values.append(
            [
                hits[:3].any(),
                hits[:3].sum() / 3,
                hits[:n].sum() / n,
                (precision * hits)[:n].sum() / n,
                (precision * hits).sum() / n,
                1 / (1 + hits.argmax()),
                (hits * discount)[:5].sum() / discount[: min(5, n)].sum(),
                (precision * hits)[:5].sum() / min(n, 5),
                hits[:5].sum() / n,
                2 * hits[:5].sum() / (5 + n),
                (g * discount)[:5].sum() / (best * discount)[:5].sum(),
                ((2**g - 1) * discount)[:5].sum() / ((2**best - 1) * discount)[:5].sum(),
            ]
        )
    return dict(zip(ALL, np.mean(values, axis=0), strict=True)), len(values)


FORMS = {
    "indicator": (TAGS, "multilabel", OVERLAP),
    "sparse indicator": (csr_array(TAGS), "multilabel", OVERLAP),
    "sets": (SETS, "multilabel", OVERLAP),
    "levels": (TREE, "hierarchy", LEVELS),
    "lists of levels": (TREE.astype(str).tolist(), "hierarchy", LEVELS),
    "matrix": (None, 3 * OVERLAP, 3 * OVERLAP),
    "sparse matrix": (None, csr_array(OVERLAP), OVERLAP),
    "function": (TAGS, lambda a, b: a @ b.T, TAGS @ TAGS.T),
}


@pytest.mark.parametrize("form", FORMS)
def test_scores_are_those_of_loops(form):
    y, relevance, grades = FORMS[form]
    expected, n_queries = by_hand(grades)
    report = retrieval_report(X, y, relevance=relevance, scores=ALL, n_resamples=5)
    assert report.scores == pytest.approx(expected, abs=1e-12)
    assert (report.n_queries, report.n_unanswerable) == (n_queries, 40 - n_queries)  # empty sets


LISTS = [sorted(row) for row in SETS]
COLUMNS = {"a": TREE[:, 0], "b": TREE[:, 1].astype(str), "c": FINE}


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_labels_in_tables(package):
    module = pytest.importorskip(package)
    arrays = np.empty(40, dtype=object)
    arrays[:] = [np.array(row, dtype=int) for row in LISTS]  # as pandas reads a Parquet file
    lists, levels, table = {
        "pandas": lambda: ([module.Series(LISTS), module.Series(arrays)], [], module.DataFrame(COLUMNS)),
        "polars": lambda: (
            [module.Series(LISTS, dtype=module.List(module.Int64))],
            [module.Series(TREE.tolist())],
            module.DataFrame(COLUMNS),
        ),
        "pyarrow": lambda: (
            [module.array(LISTS), module.chunked_array([LISTS])],
            [module.array(TREE.tolist())],
            module.table(COLUMNS),
        ),
    }[package]()
    for y in lists:
        assert metrics.map_at_r(X, y, relevance="multilabel") == metrics.map_at_r(X, None, relevance=OVERLAP)
    for y in [*levels, table]:
        assert metrics.graded_ndcg_at_k(X, y, relevance="hierarchy") == metrics.graded_ndcg_at_k(
            X, None, relevance=LEVELS
        )


def test_a_gallery_and_groups():
    y, gallery, groups = SETS[:15], X[15:], RNG.integers(0, 3, size=40)
    expected, _ = by_hand(OVERLAP[:15, 15:], X[:15], gallery)
    sides = {"gallery": gallery, "y_gallery": SETS[15:]}
    report = retrieval_report(X[:15], y, relevance="multilabel", scores=ALL, n_resamples=5, **sides)
    assert report.scores == pytest.approx(expected, abs=1e-12)
    as_matrix = metrics.map_at_r(X[:15], None, gallery=gallery, relevance=OVERLAP[:15, 15:])
    assert as_matrix == pytest.approx(expected["map_at_r"], abs=1e-12)
    expected, n_queries = by_hand(OVERLAP, groups=groups)
    report = retrieval_report(X, SETS, relevance="multilabel", groups=groups, scores=ALL, n_resamples=5)
    assert report.scores == pytest.approx(expected, abs=1e-12)
    assert report.n_queries == n_queries


def test_one_label_each_gives_the_scores_of_labels_exactly():
    expected = retrieval_report(X, FINE, scores=ALL, n_resamples=20)
    one_hot = np.eye(12, dtype=int)[FINE]
    forms = [
        ([{label} for label in FINE], "multilabel"),
        (one_hot, "multilabel"),
        (FINE[:, None], "hierarchy"),
    ]
    forms += [(FINE[:, None], "labels"), (FINE, lambda a, b: a[:, None] == b)]
    for y, relevance in forms:
        report = retrieval_report(X, y, relevance=relevance, scores=ALL, n_resamples=20)
        assert report.scores == expected.scores
        assert report.chance == pytest.approx(expected.chance, rel=1e-12)
    assert report.intervals == expected.intervals  # the function's labels are classes too


def test_graded_ndcg_is_that_of_scikit_learn():
    grades = RNG.integers(0, 4, size=(10, 30)).astype(float)
    queries, gallery = X[:10], X[10:]
    near = -np.linalg.norm(queries[:, None] - gallery, axis=2)
    ours = metrics.graded_ndcg_at_k(queries, None, k=7, gallery=gallery, relevance=grades)
    assert ours == pytest.approx(ndcg_score(grades, near, k=7))
    sides = {"gallery": gallery, "relevance": grades, "gain": "exponential"}
    assert metrics.graded_ndcg_at_k(queries, None, 7, **sides) == pytest.approx(
        ndcg_score(2**grades - 1, near, k=7)
    )


def test_large_grades_do_not_overflow():
    # query 0 finds 2000, then 2001: over 2^2001 the gains are 1/2 and 1; the others find their item first
    grades = np.array([[0.0, 2000.0, 2001.0], [5, 0, 0], [5, 0, 0]])
    second = 1 / np.log2(3)
    scores = retrieval_report(
        [[0.0], [1.0], [-2.0]], None, relevance=grades, scores=["exponential_ndcg_at_2"], per_query=True
    )
    found = [(0.5 + second) / (1 + second / 2), 1, 1]
    assert scores.per_query["exponential_ndcg_at_2"] == pytest.approx(found)
    # a random order gains the mean (1/2 + 1) / 2 at each rank, or 1/2 of what 1 and 2 have
    chance = [0.75 * (1 + second) / (1 + second / 2), (1 + second) / 2, (1 + second) / 2]
    assert scores.chance["exponential_ndcg_at_2"] == pytest.approx(np.mean(chance))


def test_chance_is_the_mean_over_orders():
    grades = np.array([[0.0, 1.0, 3.0, 0.5], [1, 0, 0, 0], [3, 0, 0, 2], [0.5, 0, 2, 0]])
    names = [name.replace("_3", "_2").replace("_5", "_2") for name in ALL]
    chance = retrieval_report(X[:4], None, relevance=grades, scores=names, n_resamples=1).chance
    embeddings = np.random.default_rng(1).normal(size=(250, 4, 3))
    scores = [list(_scores(names, e, relevance=grades).values()) for e in embeddings]
    assert chance == pytest.approx(dict(zip(names, np.mean(scores, axis=0), strict=True)), abs=0.05)


def _scores(names, embeddings, relevance):
    return mean_scores(names, embeddings, None, relevance=relevance)


def test_functions_by_hand():
    # metric learning's recall@2 is 1, that of information retrieval 2/3, precision 1, F1 2 · 2 / (2 + 3)
    line, y = [[0.0], [1.0], [2.0], [9.0]], ["a", "a", "a", "a"]
    sides = {"gallery": [[0.5], [0.6], [7.0]], "y_gallery": ["a", "a", "a"]}
    assert metrics.recall_at_k(line[:1], y[:1], 2, **sides) == 1
    assert metrics.ir_recall_at_k(line[:1], y[:1], 2, **sides) == pytest.approx(2 / 3)
    assert metrics.f1_at_k(line[:1], y[:1], 2, **sides) == pytest.approx(0.8)
    assert metrics.mean_average_precision_at_k(line[:1], y[:1], 2, **sides) == 1  # over min(3, 2)


def test_scorer_takes_labels_as_they_are_folded():
    class Same:
        def transform(self, X):
            return X

    expected, _ = by_hand(OVERLAP)
    scorer = RetrievalScorer("map_at_r", "f1_at_5", relevance="multilabel")
    assert scorer(Same(), X, TAGS) == pytest.approx({n: expected[n] for n in ("map_at_r", "f1_at_5")})
    assert repr(scorer) == "RetrievalScorer('map_at_r', 'f1_at_5', relevance='multilabel')"
    with pytest.raises(ValueError, match="does not follow the rows"):
        RetrievalScorer("map_at_r", relevance=OVERLAP)
    with pytest.raises(ValueError, match="relevance='multi_label' is unknown: use one of 'labels'"):
        RetrievalScorer("map_at_r", relevance="multi_label")  # not when the first fold is scored


def test_ranking_has_the_grades():
    ranking = rank([[0.0], [1.0], [3.0]], [{1, 2}, {1}, {1, 2}], relevance="multilabel", depth=1)
    assert ranking.grades.found.tolist() == [[0.5], [0.5], [0.5]]
    assert ranking.grades.best.tolist() == [[1.0], [0.5], [1.0]]


NESTED = np.array([["cat", "tabby"], ["dog", "tabby"], ["dog", "collie"], ["cat", "manx"]])


@pytest.mark.parametrize(
    ("y", "relevance", "match"),
    [
        (None, np.ones((4, 3)), r"shape \(4, 3\), and must have \(4, 4\): a square"),
        (None, -np.eye(4), r"negative or not finite in rows 0, 1, 2, 3"),
        (None, csr_array(-np.eye(4)), "negative or not finite in rows 0"),
        (None, np.full((4, 4), np.nan), "not finite"),
        (None, np.array([["a"] * 4] * 4), "must hold numbers"),
        (NESTED, "hierarchy", "'tabby' of level 1 lies in 'cat' and in 'dog' of level 0"),
        ([["a", "b"], ["a"], ["a", "b"], ["a", "b"]], "hierarchy", "different numbers of levels"),
        (np.zeros((4, 0)), "hierarchy", "one column for each level"),
        ([[]] * 4, "hierarchy", "one column for each level"),
        (np.full((4, 2), 2), "multilabel", "0 and 1 alone"),
        ([0, 1, 1, 0], "multilabel", "relevance='labels'"),
        ([[0, 1], [1, 1], [0, 0], [1, 0]], "multilabel", "could be a matrix"),
        ([{1}, {2}], "multilabel", "y has labels of 2 samples for 4 rows"),
        ([set()] * 4, "multilabel", "no other item has a grade above 0"),
        ([0, 1, 1, 0], "tags", "'labels', 'multilabel', 'hierarchy'"),
        ([0, 1, 1, 0], lambda a, b: np.ones(3), r"gave grades of shape \(3,\) for 4 and 4"),
        ([0, 1, 1, 0], lambda a, b: -np.ones((len(a), len(b))), "negative"),
        (TAGS[:4], None, "1d array"),
        (TAGS[:4], "labels", "1d array"),
    ],
)
def test_what_does_not_fit_is_refused(y, relevance, match):
    with pytest.raises(ValueError, match=match):
        metrics.map_at_r(X[:4], y, relevance=relevance)


def test_intervals_need_classes():
    report = retrieval_report(X, SETS, relevance="multilabel", scores=["map_at_r"])
    assert "intervals over queries" in repr(report)
    assert retrieval_report(X, TREE, relevance="hierarchy", per_class=True).per_class.keys() == {0, 1}
    with pytest.raises(ValueError, match="per_class"):
        retrieval_report(X, SETS, relevance="multilabel", per_class=True)


def test_a_comparison_by_grades_and_groups():
    # each query has one item with a grade: 1 for 0, 0 for 1, and 0 for 2
    grades = np.array([[0.0, 2.0, 0.0], [2, 0, 0], [1, 0, 0]])
    a, b = [[0.0], [1.0], [-0.5]], [[0.0], [1.0], [2.5]]
    # a: 2 is nearest to 0, then 1; 0 is nearest to 1 and to 2. b: 1 and 0 are nearest to each other, 1 to 2
    comparison = compare(a, b, None, relevance=grades, scores=["recall_at_1", "linear_ndcg_at_2"])
    assert comparison.scores_a["recall_at_1"] == pytest.approx(2 / 3)
    assert comparison.scores_b["recall_at_1"] == pytest.approx(2 / 3)
    second = 1 / np.log2(3)
    assert comparison.scores_a["linear_ndcg_at_2"] == pytest.approx((second + 1 + 1) / 3)
    assert comparison.scores_b["linear_ndcg_at_2"] == pytest.approx((1 + 1 + second) / 3)
    assert comparison.resample == "queries"
    # item 0 is of the group of 2 and has a grade for it: 2 has nothing left to find
    grouped = compare(a, b, None, relevance=grades, groups=[0, 1, 0], scores=["recall_at_1"])
    assert (grouped.n_queries, grouped.n_unanswerable, grouped["recall_at_1"]) == (2, 1, 0.5)
    report = retrieval_report(a, None, relevance=grades, groups=[0, 1, 0], scores=["recall_at_1"])
    assert grouped.scores_a == report.scores
    labelled = compare(X, X**3, FINE, scores=["map_at_r"])
    assert compare(X, X**3, [{c} for c in FINE], relevance="multilabel", scores=["map_at_r"]).scores_a == (
        labelled.scores_a
    )
    tree = compare(X, X**3, TREE, relevance="hierarchy", scores=["map_at_r"])
    assert (tree.resample, tree.n_queries) == ("classes", 40)


@pytest.mark.parametrize(
    "score", [retrieval_report, lambda X, y, relevance: compare(X, X, y, relevance=relevance)]
)
def test_labels_beside_grades_are_one_for_each_query(score):
    with pytest.raises(ValueError, match="y has 3 labels for 4 rows"):
        score(X[:4], [0, 1, 0], relevance=np.ones((4, 4)))


def test_groups_that_hide_all_that_has_a_grade():
    with pytest.raises(ValueError, match="items with a grade above 0 for a query are also of its group"):
        metrics.map_at_r(X[:4], None, relevance=np.ones((4, 4)), groups=[0] * 4)


def test_reports_list_what_they_listed_before():
    assert list(retrieval_report(X, FINE, n_resamples=1).scores) == [
        "recall_at_1",
        "recall_at_10",
        "precision_at_10",
        "r_precision",
        "map_at_r",
        "mean_average_precision",
        "mean_reciprocal_rank",
        "ndcg_at_10",
    ]


def test_hierarchies_with_a_gallery():
    """Item 0 shares one of two levels with the query, item 1 both, item 2 none: 0.5, 1 and 0."""
    gallery, levels = [[0.0], [1.0], [2.0]], [["cat", "tabby"], ["cat", "manx"], ["dog", "pug"]]
    sides = {"gallery": gallery, "y_gallery": levels, "relevance": "hierarchy"}
    found = metrics.graded_ndcg_at_k([[0.1]], [["cat", "manx"]], 2, **sides)
    assert found == pytest.approx((0.5 + 1 / np.log2(3)) / (1 + 0.5 / np.log2(3)))


@pytest.mark.parametrize(
    ("relevance", "y", "message"),
    [
        (
            "multilabel",
            [{1}, None, {1}],
            "y has no set of labels in row 1: give an empty set to a sample without",
        ),
        (lambda a, b: np.full((3, 3), "x"), [0, 1, 2], "gave <U1, and must give grades: numbers from 0"),
    ],
)
def test_what_gives_no_grades(relevance, y, message):
    with pytest.raises(ValueError, match=message):
        recall_at_k([[0.0], [1.0], [2.0]], y, relevance=relevance)
