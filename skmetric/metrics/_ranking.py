"""One definition of each score: from a Ranking to one number a query, NaN where there is nothing to find.

R is the number of relevant items of a query in the whole gallery, itself left out. The ranking must be as
deep as the score looks: k, the largest R, or the whole gallery.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._graded import powers
from skmetric.retrieval import Ranking

from . import _chance

_CHUNK = 2**18  # entries of `relevant` looked through at a time, so that the hits of a block stay in cache


def recall_at_k(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """1 if one of the first k is relevant, else 0: the hit rate."""
    return _of_answerable(ranking, ranking.relevant[:, :k].any(axis=1))


def precision_at_k(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """Relevant items among the first k, over k."""
    return _of_answerable(ranking, ranking.relevant[:, :k].sum(axis=1) / k)


def r_precision(ranking: Ranking) -> NDArray[np.float64]:
    """Relevant items among the first R, over R."""
    return _of_answerable(ranking, _first_r(ranking).sum(axis=1) / _at_least_one(ranking))


def map_at_r(ranking: Ranking) -> NDArray[np.float64]:
    """Precision at each hit among the first R, summed, over R."""
    return _of_answerable(ranking, _sum_over_hits(_first_r(ranking), _precision) / _at_least_one(ranking))


def average_precision(ranking: Ranking) -> NDArray[np.float64]:
    """Precision at each hit, summed, over R."""
    return _of_answerable(ranking, _sum_over_hits(ranking.relevant, _precision) / _at_least_one(ranking))


def reciprocal_rank(ranking: Ranking) -> NDArray[np.float64]:
    """One over the rank of the first hit."""
    return _of_answerable(ranking, 1 / (1 + ranking.relevant.argmax(axis=1)))


def ndcg_at_k(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """Discounts of the hits among the first k, over those of min(R, k) hits at the top."""
    gain = _sum_over_hits(ranking.relevant[:, :k], lambda rank, nth: 1 / np.log2(rank + 1))
    best = np.cumsum(1 / np.log2(np.arange(2, k + 2)))  # (k,)
    return _of_answerable(ranking, gain / best[np.minimum(_at_least_one(ranking), k) - 1])


def ir_recall_at_k(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """Relevant items among the first k, over R."""
    return _of_answerable(ranking, ranking.relevant[:, :k].sum(axis=1) / _at_least_one(ranking))


def f1_at_k(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """Twice the relevant items among the first k, over k + R: the harmonic mean of precision and recall."""
    return _of_answerable(ranking, 2 * ranking.relevant[:, :k].sum(axis=1) / (k + ranking.n_relevant))


def average_precision_at_k(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """Precision at each hit among the first k, summed, over min(R, k)."""
    total = _sum_over_hits(ranking.relevant[:, :k], _precision)
    return _of_answerable(ranking, total / np.minimum(_at_least_one(ranking), k))


def linear_ndcg_at_k(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """Discounted grades of the first k, over those of the best order."""
    return ndcg_at_k(ranking, k) if ranking.grades is None else _graded_ndcg(ranking, k, _grade)


def exponential_ndcg_at_k(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """The same of 2^g - 1."""
    return ndcg_at_k(ranking, k) if ranking.grades is None else _graded_ndcg(ranking, k, powers)


def _graded_ndcg(ranking: Ranking, k: int, gain: Callable[..., NDArray[Any]]) -> NDArray[np.float64]:
    assert ranking.grades is not None
    largest = ranking.grades.best[:, 0]
    best = _discounted(gain(ranking.grades.best[:, :k], largest))
    found = _discounted(gain(ranking.grades.found[:, :k], largest))
    return _of_answerable(ranking, found / np.where(best > 0, best, 1))


def chance_of_graded_ndcg(ranking: Ranking, k: int, *, exponential: bool) -> NDArray[np.float64]:
    """Expected value in a random order: each rank has the mean gain of all items."""
    assert ranking.grades is not None
    grades = ranking.grades.best
    best = _discounted((powers if exponential else _grade)(grades[:, :k], grades[:, 0]))
    n_ranks = np.minimum(ranking.n_gallery, k)
    discounts = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])[n_ranks]
    gain = ranking.grades.mean_gains[:, int(exponential)] * discounts
    return _of_answerable(ranking, gain / np.where(best > 0, best, 1))


def _discounted(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    return gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2)))


def _grade(grades: NDArray[np.float64], largest: NDArray[np.float64]) -> NDArray[np.float64]:
    return grades


def _of_answerable(ranking: Ranking, values: Any) -> NDArray[np.float64]:
    return np.where(ranking.n_relevant > 0, values, np.nan)


def _at_least_one(ranking: Ranking) -> NDArray[np.intp]:
    """R as a denominator; the queries with R = 0 become NaN later."""
    return np.maximum(ranking.n_relevant, 1)


def _first_r(ranking: Ranking) -> NDArray[np.bool_]:
    depth = ranking.n_relevant.max()
    within = np.arange(depth) < ranking.n_relevant[:, None]  # (n_queries, largest R)
    return ranking.relevant[:, :depth] & within


def _precision(rank: NDArray[np.intp], nth: NDArray[np.intp]) -> NDArray[np.float64]:
    return nth / rank


def _sum_over_hits(relevant: NDArray[np.bool_], gain: Callable[..., NDArray[Any]]) -> NDArray[np.float64]:
    """Sum of ``gain(rank, nth)`` over the hits of each query: the nth hit is at that rank, both from 1.

    Visits the hits only: with many classes they are few beside n_queries * depth.
    """
    n_queries, depth = relevant.shape
    total = np.zeros(n_queries)
    step = max(_CHUNK // max(depth, 1), 1)
    for start in range(0, n_queries, step):
        part = relevant[start : start + step]
        hits = np.flatnonzero(part)
        first = np.searchsorted(hits, np.arange(len(part) + 1) * depth)  # where the hits of each query begin
        query = np.repeat(np.arange(len(part)), np.diff(first))
        rank = hits - query * depth + 1
        nth = np.arange(1, len(hits) + 1) - first[query]
        total[start : start + step] = np.bincount(query, gain(rank, nth), minlength=len(part))
    return total


class Definition(NamedTuple):
    """What makes a score: its value for each query, its chance level, and how many ranks it looks at."""

    per_query: Callable[..., NDArray[np.float64]]  # (ranking) or (ranking, k) -> (n_queries,)
    chance: Callable[..., NDArray[np.float64]]  # (R, n) or (R, n, k) -> (n_queries,)
    depth: Literal["k", "R", "all"]
    chance_of: Callable[..., NDArray[np.float64]] | None = None  # of a ranking with grades; None: `chance`


# in the order of reports; names that end in _at_k have a cut-off
SCORES = {
    "recall_at_k": Definition(recall_at_k, _chance.recall_at_k, "k"),
    "precision_at_k": Definition(precision_at_k, _chance.precision_at_k, "k"),
    "r_precision": Definition(r_precision, _chance.r_precision, "R"),
    "map_at_r": Definition(map_at_r, _chance.map_at_r, "R"),
    "mean_average_precision": Definition(average_precision, _chance.average_precision, "all"),
    "mean_reciprocal_rank": Definition(reciprocal_rank, _chance.reciprocal_rank, "all"),
    "ndcg_at_k": Definition(ndcg_at_k, _chance.ndcg_at_k, "k"),
}

# known by name, and not in reports unless they are asked for
FURTHER_SCORES = {
    "mean_average_precision_at_k": Definition(average_precision_at_k, _chance.average_precision_at_k, "k"),
    "ir_recall_at_k": Definition(ir_recall_at_k, _chance.ir_recall_at_k, "k"),
    "f1_at_k": Definition(f1_at_k, _chance.f1_at_k, "k"),
    "linear_ndcg_at_k": Definition(
        linear_ndcg_at_k, _chance.ndcg_at_k, "k", partial(chance_of_graded_ndcg, exponential=False)
    ),
    "exponential_ndcg_at_k": Definition(
        exponential_ndcg_at_k, _chance.ndcg_at_k, "k", partial(chance_of_graded_ndcg, exponential=True)
    ),
}
