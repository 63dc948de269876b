"""Retrieval scores of a search by any notion of "same"; several labels where a class is needed."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skmetric.metrics import retrieval_report
from skmetric.search import FaissIndex, KReciprocal, SimilaritySearch

rng = np.random.default_rng(0)
X, Q = rng.normal(size=(40, 3)), rng.normal(size=(12, 3))
TAGS, OF_Q = ((rng.random((n, 4)) < 0.4).astype(int) for n in (40, 12))
LEVELS, Q_LEVELS = (np.stack([fine // 3, fine], axis=1) for fine in (np.arange(40) % 9, np.arange(12) % 9))
Y, Q_Y = rng.integers(0, 4, 40), rng.integers(0, 4, 12)
GRADES = rng.integers(0, 4, (12, 40))
NAMES = ["recall_at_1", "map_at_r", "mean_average_precision", "linear_ndcg_at_5", "ir_recall_at_10"]


def far(first, second):
    return np.maximum(0, 3 - np.abs(first[:, None] - second))


NOTIONS = [
    (None, Q_Y, Y),
    ("labels", Q_Y.astype(str), Y.astype(str)),
    ("multilabel", OF_Q, TAGS),
    ("multilabel", [set(np.flatnonzero(r)) for r in OF_Q], [set(np.flatnonzero(r)) for r in TAGS]),
    ("hierarchy", Q_LEVELS, LEVELS),
    (GRADES, None, None),
    (csr_array(GRADES), None, None),
    (far, Q_Y, Y),
]


@pytest.mark.parametrize(("relevance", "y", "y_gallery"), NOTIONS)
def test_scores_are_those_of_the_embeddings(relevance, y, y_gallery):
    names = NAMES[:3] if not callable(relevance) and str(relevance) in ("None", "labels") else NAMES
    options = {"relevance": relevance, "scores": names, "n_resamples": 20, "per_query": True}
    found = SimilaritySearch().fit(X).retrieval_report(Q, y, y_gallery, **options, by=np.arange(12) % 2)
    expected = retrieval_report(Q, y, gallery=X, y_gallery=y_gallery, **options, by=np.arange(12) % 2)
    assert found.scores == pytest.approx(expected.scores, abs=1e-12)
    assert found.chance == pytest.approx(expected.chance, abs=1e-12)
    assert found.intervals.keys() == expected.intervals.keys()
    assert found.by[1].scores == pytest.approx(expected.by[1].scores, abs=1e-12)
    for name in names:
        np.testing.assert_allclose(found.per_query[name], expected.per_query[name], atol=1e-12)


def test_one_label_each_as_several_is_the_same_exactly():
    search, alone = SimilaritySearch().fit(X, Y), [{label} for label in Y]
    one = search.retrieval_report(Q, Q_Y, scores=NAMES[:3], resample="queries")
    several = search.retrieval_report(
        Q, [{label} for label in Q_Y], alone, relevance="multilabel", scores=NAMES[:3]
    )
    assert one.scores == several.scores
    assert one.intervals == several.intervals


def test_the_labels_of_the_gallery_are_those_asked_for():
    search = SimilaritySearch().fit(X, Y)
    for relevance in (None, far):
        assert (
            search.retrieval_report(Q, Q_Y, relevance=relevance, k=[1, 5]).scores
            == search.retrieval_report(Q, Q_Y, Y, relevance=relevance, k=[1, 5]).scores
        )


GROUPS, Q_GROUPS = np.arange(40) % 3, np.arange(12) % 3


@pytest.mark.parametrize(("relevance", "y", "y_gallery"), NOTIONS)
def test_groups_leave_out_what_they_leave_out_of_embeddings(relevance, y, y_gallery):
    names = NAMES[:3] if not callable(relevance) and str(relevance) in ("None", "labels") else NAMES
    options = {"relevance": relevance, "scores": names, "n_resamples": 20, "per_query": True}
    search = SimilaritySearch().fit(X, groups=GROUPS.astype(str))
    found = search.retrieval_report(Q, y, y_gallery, groups=Q_GROUPS.astype(str), **options)
    sides = {"gallery": X, "y_gallery": y_gallery, "groups": Q_GROUPS, "groups_gallery": GROUPS}
    expected = retrieval_report(Q, y, **sides, **options)
    assert found.n_left_out == expected.n_left_out > 0
    assert found.chance == pytest.approx(expected.chance, abs=1e-12)
    for name in names:
        np.testing.assert_allclose(found.per_query[name], expected.per_query[name], atol=1e-12)


def test_bad_groups():
    search = SimilaritySearch().fit(X, Y, groups=GROUPS)
    with pytest.raises(ValueError, match="groups has 11 values for 12 rows"):
        search.retrieval_report(Q, Q_Y, groups=Q_GROUPS[1:])
    with pytest.raises(ValueError, match="hold labels of several types"):
        search.retrieval_report(Q, Q_Y, groups=Q_GROUPS.astype(str))
    with pytest.raises(ValueError, match="groups has no group in row 0"):
        search.retrieval_report(Q, Q_Y, groups=[None, *Q_GROUPS[1:]])
    with pytest.raises(ValueError, match="groups= needs the groups of the items too: fit with groups"):
        SimilaritySearch().fit(X, Y).retrieval_report(Q, Q_Y, groups=Q_GROUPS)


class MissingIndex(FaissIndex):
    """Finds no item of an even id."""

    def query(self, embeddings, k, **filters):
        found = super().query(embeddings, k, **filters)
        gone = found.indices % 2 == 0
        last = np.argsort(gone, axis=1, kind="stable")
        blank = [np.where(gone, fill, part) for part, fill in zip(found, (np.inf, -1), strict=True)]
        return found._replace(
            **{
                name: np.take_along_axis(part, last, axis=1)
                for name, part in zip(found._fields, blank, strict=True)
            }
        )


def test_the_order_is_that_of_kneighbors():
    """With ranking options; what an index does not find is not relevant."""
    for options in ({"rerank": KReciprocal(4, 2)}, {"index": MissingIndex("Flat")}):
        search = SimilaritySearch(**options).fit(X, Y)
        found = search.kneighbors(Q, 10)[1]
        is_right = np.where(found < 0, -1, Y[found]) == Q_Y[:, None]
        for relevance in (None, lambda a, b: a[:, None] == b):
            names = ["precision_at_10", "recall_at_1"]
            scores = search.retrieval_report(Q, Q_Y, relevance=relevance, scores=names)
            assert scores["precision_at_10"] == pytest.approx(is_right.mean())
            assert scores["recall_at_1"] == pytest.approx(is_right[:, 0].mean())
    assert (found < 0).any()


def test_groups_and_what_an_index_misses():
    """What is missed is not relevant, what groups hide is not there; ranks close up."""
    search = SimilaritySearch(index=MissingIndex("Flat")).fit(X, Y, groups=GROUPS)
    found, expected = search.kneighbors(Q, 40)[1], []
    for i, order in enumerate(found):
        order = order[order >= 0]
        hits = (Q_Y[i] == Y)[order[~((Y[order] == Q_Y[i]) & (GROUPS[order] == Q_GROUPS[i]))]]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        n_relevant = np.sum((Q_Y[i] == Y) & (Q_GROUPS[i] != GROUPS))  # missed ones among them
        expected.append(precision[hits].sum() / n_relevant)
    for relevance in (None, lambda a, b: a[:, None] == b):
        scores = {"scores": ["mean_average_precision"], "per_query": True, "relevance": relevance}
        report = search.retrieval_report(Q, Q_Y, groups=Q_GROUPS, **scores)
        np.testing.assert_allclose(report.per_query["mean_average_precision"], expected)


@pytest.mark.parametrize("kind", ["pgvector", "milvus"])
def test_on_a_server(kind, request):
    index = (
        request.getfixturevalue("make_pgvector")() if kind == "pgvector" else request.getfixturevalue(kind)
    )
    there, here = (
        SimilaritySearch(index=i)
        .fit(X, Y, groups=GROUPS)
        .retrieval_report(Q, OF_Q, TAGS, relevance="multilabel", groups=Q_GROUPS)
        for i in (index, None)
    )
    assert there.scores == pytest.approx(here.scores, abs=1e-6)


SETS = [set(np.flatnonzero(row).tolist()) for row in TAGS]


def several_labels():
    """As users have them."""
    column = np.empty(40, dtype=object)
    column[:] = SETS
    pandas = pytest.importorskip("pandas")
    lists = [sorted(labels) for labels in SETS]
    tables = [pandas.DataFrame(TAGS), pandas.Series(SETS), pandas.Series(lists)]
    return [TAGS, csr_array(TAGS), SETS, lists, column, *tables, LEVELS, LEVELS.astype(str).tolist()]


def test_several_labels_are_refused_where_a_class_is_needed():
    search, message = SimilaritySearch().fit(X, Y), "several labels of a sample.*retrieval_report"
    for y in several_labels():
        for call in (
            SimilaritySearch().fit,
            search.partial_fit,
            search.calibrate,
            search.evaluate,
            search.score,
        ):
            with pytest.raises(ValueError, match=message):
                call(X, y)
    assert len(search.ids_) == 40


def test_bad_labels_and_grades():
    search, without = SimilaritySearch().fit(X, Y), SimilaritySearch().fit(X)
    for call, message in [
        (lambda: without.retrieval_report(Q, Q_Y), "the gallery has no labels: give the labels of its items"),
        (lambda: search.retrieval_report(Q, OF_Q, relevance="multilabel"), "y_gallery"),
        (
            lambda: search.retrieval_report(Q, OF_Q, TAGS[1:], relevance="multilabel"),
            "39 samples for 40 rows",
        ),
        (lambda: search.retrieval_report(Q, None, relevance=GRADES.T), "queries by gallery"),
        (lambda: search.retrieval_report(Q, None, relevance=-GRADES), "negative or not finite"),
        (lambda: search.retrieval_report(Q, Q_Y, relevance="label"), "relevance='label' is unknown"),
        (lambda: search.retrieval_report(Q, Q_Y, k=[41]), "more than the 40 items"),
        (lambda: search.retrieval_report(X, Y), "are rows of the gallery"),
        (lambda: search.retrieval_report(Q, 0 * OF_Q, TAGS, relevance="multilabel"), "no query has anything"),
        (lambda: search.retrieval_report(Q, Q_Y, n_resamples=0), "n_resamples"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
