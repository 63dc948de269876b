"""One definition of each score: from a Ranking to one number a query, NaN where there is nothing to find.

R is the number of relevant items of a query in the whole gallery, itself left out. The ranking must be as
deep as the score looks: k, the largest R, or the whole gallery.
"""

import numpy as np

_CHUNK = 2**18  # entries of `relevant` looked through at a time, so that the hits of a block stay in cache


def recall_at_k(ranking, k):
    """1 if one of the first k is relevant, else 0: the hit rate."""
    return _of_answerable(ranking, ranking.relevant[:, :k].any(axis=1))


def precision_at_k(ranking, k):
    """Relevant items among the first k, over k."""
    return _of_answerable(ranking, ranking.relevant[:, :k].sum(axis=1) / k)


def r_precision(ranking):
    """Relevant items among the first R, over R."""
    return _of_answerable(ranking, _first_r(ranking).sum(axis=1) / _at_least_one(ranking))


def map_at_r(ranking):
    """Precision at each hit among the first R, summed, over R."""
    return _of_answerable(ranking, _sum_over_hits(_first_r(ranking), _precision) / _at_least_one(ranking))


def average_precision(ranking):
    """Precision at each hit, summed, over R."""
    return _of_answerable(ranking, _sum_over_hits(ranking.relevant, _precision) / _at_least_one(ranking))


def reciprocal_rank(ranking):
    """One over the rank of the first hit."""
    return _of_answerable(ranking, 1 / (1 + ranking.relevant.argmax(axis=1)))


def ndcg_at_k(ranking, k):
    """Discounts of the hits among the first k, over those of min(R, k) hits at the top."""
    gain = _sum_over_hits(ranking.relevant[:, :k], lambda rank, nth: 1 / np.log2(rank + 1))
    best = np.cumsum(1 / np.log2(np.arange(2, k + 2)))  # (k,)
    return _of_answerable(ranking, gain / best[np.minimum(_at_least_one(ranking), k) - 1])


def _of_answerable(ranking, values):
    return np.where(ranking.n_relevant > 0, values, np.nan)


def _at_least_one(ranking):
    """R as a denominator; the queries with R = 0 become NaN later."""
    return np.maximum(ranking.n_relevant, 1)


def _first_r(ranking):
    depth = ranking.n_relevant.max()
    within = np.arange(depth) < ranking.n_relevant[:, None]  # (n_queries, largest R)
    return ranking.relevant[:, :depth] & within


def _precision(rank, nth):
    return nth / rank


def _sum_over_hits(relevant, gain):
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
