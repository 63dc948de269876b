"""Scores by name, and one pass of the kernel for any number of them."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np

from skmetric.retrieval import as_array, iter_rankings

from . import _chance, _ranking
from ._copies import check_copies


class Score(NamedTuple):
    """A score by name: what it makes of a ranking, of chance, and how deep it looks."""

    name: str
    per_query: Callable  # ranking -> (n_queries,)
    chance: Callable  # (n_relevant, n_gallery) -> (n_queries,)
    depth: Callable  # largest number of relevant items -> depth, None for the whole gallery
    k: int | None = None


class PerQuery(NamedTuple):
    """Scores of each query, in the order of the queries."""

    values: np.ndarray  # (n_scores, n_queries), NaN where there is nothing to find
    n_relevant: np.ndarray  # (n_queries,)
    n_gallery: int

    @property
    def answerable(self):
        return self.n_relevant > 0  # (n_queries,)


def _largest_class(n_relevant):
    return n_relevant


def _whole_gallery(n_relevant):
    return None


_AT_K = {
    "recall": (_ranking.recall_at_k, _chance.recall_at_k),
    "precision": (_ranking.precision_at_k, _chance.precision_at_k),
    "ndcg": (_ranking.ndcg_at_k, _chance.ndcg_at_k),
}
_PLAIN = {
    "r_precision": (_ranking.r_precision, _chance.r_precision, _largest_class),
    "map_at_r": (_ranking.map_at_r, _chance.map_at_r, _largest_class),
    "mean_average_precision": (_ranking.average_precision, _chance.average_precision, _whole_gallery),
    "mean_reciprocal_rank": (_ranking.reciprocal_rank, _chance.reciprocal_rank, _whole_gallery),
}


def parse_score(name):
    """The score of that name: one of `_PLAIN`, or ``"recall_at_10"`` for any of `_AT_K` and any cut-off."""
    if name in _PLAIN:
        return Score(name, *_PLAIN[name])
    parts = re.fullmatch(r"([a-z]+)_at_([1-9]\d*)", name) if isinstance(name, str) else None
    if parts is None or parts[1] not in _AT_K:
        choices = [f"{family}_at_<k>" for family in _AT_K] + list(_PLAIN)
        raise ValueError(f"unknown score {name!r}; the choices are {', '.join(choices)}, with k from 1")
    per_query, chance = _AT_K[parts[1]]
    k = int(parts[2])
    return Score(name, partial(per_query, k=k), partial(chance, k=k), lambda n_relevant: k, k)


def score_queries(scores, embeddings, y, *, gallery=None, y_gallery=None, rankings=iter_rankings):
    """All `scores` of each query, from one pass of the kernel no deeper than they need.

    `rankings` takes the place of the kernel where the distance is not Euclidean.

    Returns
    -------
    PerQuery

    Raises
    ------
    ValueError
        If a cut-off is beyond the gallery, no query has anything to find, or the queries are rows of the
        gallery, and what the kernel raises.
    """
    parts = []
    depth = _depth(scores, y, y_gallery)
    with closing(rankings(embeddings, y, gallery=gallery, y_gallery=y_gallery, depth=depth)) as blocks:
        for rows, ranking in blocks:
            n_gallery = ranking.n_gallery
            _check_cutoffs(scores, n_gallery)
            parts.append((rows, np.stack([score.per_query(ranking) for score in scores]), ranking.n_relevant))
    rows, values, n_relevant = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    if not n_relevant.any():
        reason = "every class of y has one row" if gallery is None else "y and y_gallery share no class"
        raise ValueError(f"no query has anything to find: {reason}")
    if gallery is not None:
        sides = [as_array(side) for side in (embeddings, gallery)]
        check_copies(sides[0], np.ravel(y), sides[1], np.ravel(y_gallery))
    order = np.argsort(rows)
    return PerQuery(values.take(order, axis=1), n_relevant[order], n_gallery)


def mean_scores(
    names, embeddings, y, *, gallery=None, y_gallery=None, sample_weight=None, rankings=iter_rankings
):
    """Each score by name, averaged over the queries that have something to find."""
    scores = [parse_score(name) for name in names]
    result = score_queries(scores, embeddings, y, gallery=gallery, y_gallery=y_gallery, rankings=rankings)
    kept = result.answerable
    weights = None if sample_weight is None else np.asarray(sample_weight)[kept]
    if weights is not None and not weights.any():
        raise ValueError(
            "sample_weight is 0 for each row that has something to find: give one of them a positive weight"
        )
    means = np.average(result.values.compress(kept, axis=1), axis=1, weights=weights)
    return dict(zip(names, means.tolist(), strict=True))


def _depth(scores, y, y_gallery):
    largest = max(Counter(np.ravel(y if y_gallery is None else y_gallery).tolist()).values(), default=1)
    depths = [score.depth(largest) for score in scores]
    return None if None in depths else max(depths)


def _check_cutoffs(scores, n_gallery):
    for score in scores:
        if score.k is not None and score.k > n_gallery:
            raise ValueError(
                f"{score.name}: k={score.k} is more than the {n_gallery} items that a query is searched among"
            )
