"""Distances and rankings of embeddings that lie in the Poincaré ball."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import nn

from skmetric._checks import check_labels, check_matrix, encode_labels
from skmetric._kernel._hidden import hidden_by_groups
from skmetric.retrieval import Ranking, iter_rankings, read_grading

from ._poincare import from_chords, inside
from .losses._hyperbolic import poincare
from .modules import PoincareBall

_BLOCK_BYTES = 2**26  # of distances held at a time


def ball_of(network):
    """The ball that a network's embeddings lie in; None if they are Euclidean."""
    last = network[-1]
    return last if isinstance(last, PoincareBall) else None


def ball_distance(first, second, curvature):
    """Distance on the ball between rows of two arrays, pair by pair: (n_pairs,), float64."""
    first, second = (torch.from_numpy(np.asarray(points, np.float64)) for points in (first, second))
    chords = torch.linalg.vector_norm(first - second, dim=1)
    return from_chords(chords, inside(first, curvature), inside(second, curvature), curvature).numpy()


def iter_ball_rankings(
    embeddings,
    y,
    *,
    gallery=None,
    y_gallery=None,
    groups=None,
    groups_gallery=None,
    relevance=None,
    depth=None,
    curvature,
):
    """Rankings by distance on the ball, in blocks; else as :func:`skmetric.retrieval.iter_rankings`.

    For one query the order is that of ``|u - v|² / (1 - c |v|²)``, of which the distance is an increasing
    function. It is computed from differences in float64; ties go by the gallery's order.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_components)
        Points of the ball.
    y : array-like of shape (n_queries,)
        Their labels.
    gallery, y_gallery : array-like, default=None
        Points to search and their labels; None searches each query among the others.
    groups, groups_gallery : array-like, default=None
        Groups of queries and gallery: items of the query's class and group are left out of its search.
    relevance : str, array, sparse matrix or callable, default=None
        What makes an item relevant.
    depth : int, default=None
        Ranks to keep; None keeps all.
    curvature : float
        Of the ball.

    Yields
    ------
    rows : ndarray of shape (n_block,)
        Queries of the block.
    ranking : Ranking
        Of these.
    """
    queries = check_matrix(embeddings, "embeddings").astype(np.float64, copy=False)
    alone = gallery is None
    points = queries if alone else check_matrix(gallery, "gallery").astype(np.float64, copy=False)
    sides = (groups, groups_gallery, len(queries), None if alone else len(points))
    grading = read_grading(relevance, y, y_gallery, *sides)
    if grading is None:
        y = check_labels(y, len(queries))
        codes, codes_gallery, classes = encode_labels(
            y, None if alone else check_labels(y_gallery, len(points), "y_gallery")
        )
        codes_gallery = codes if codes_gallery is None else codes_gallery
        hidden = hidden_by_groups(codes, codes_gallery, groups, groups_gallery, not alone)
        left_out: Any = alone if hidden is None else hidden.counts
        n_relevant = np.bincount(codes_gallery, minlength=len(classes))[codes] - left_out  # (n_queries,)
        n_items: Any = len(points) - left_out  # of all queries, or with groups (n_queries,)
    depth = len(points) - alone if depth is None else min(depth, len(points) - alone)
    insides = inside(torch.from_numpy(points), curvature).numpy()
    n_blocks = -(-len(queries) * len(points) * 8 // _BLOCK_BYTES)
    for rows in np.array_split(np.arange(len(queries)), min(n_blocks, len(queries))):
        order_by = cdist(queries[rows], points, "sqeuclidean") / insides  # (n_block, n_gallery)
        if alone:
            order_by[np.arange(len(rows)), rows] = np.inf  # last, and `depth` leaves it out
        if grading is not None:
            order = order_by.argsort(axis=1, kind="stable")[:, : grading.needed(depth)]
            found = grading.block(rows, order, depth)
            n_gallery = len(points) - alone if groups is None else found.n_items
            yield rows, Ranking(found.relevant, found.n_relevant, n_gallery, found.grades)
            continue
        if hidden is not None:
            order_by[hidden.pairs(rows)] = np.inf
        order = order_by.argsort(axis=1, kind="stable")[:, :depth]
        assert codes_gallery is not None
        relevant = codes_gallery[order] == codes[rows, None]  # (n_block, depth)
        if hidden is not None:
            relevant &= np.take_along_axis(order_by, order, axis=1) < np.inf
        yield (
            rows,
            Ranking(relevant, n_relevant[rows], n_items if hidden is None else np.asarray(n_items)[rows]),
        )


def rankings_on(ball):
    """What ranks embeddings that lie in this ball (None: in Euclidean space)."""
    return iter_rankings if ball is None else partial(iter_ball_rankings, curvature=ball.curvature)


def distances_on(ball):
    """What gives the matrix of distances between tensors of such embeddings."""
    return torch.cdist if ball is None else partial(poincare, curvature=ball.curvature)


class BallMixin:
    """A learner whose embeddings may lie in the ball: distances, scores and rankings are then those on it.

    It stands left of ``MetricLearnerMixin``.
    """

    distance: str
    module_: nn.Module

    def _between(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
        ball = ball_of(self.module_)
        if ball is None:
            return super()._between(first, second)  # type: ignore[misc]
        return ball_distance(first, second, ball.curvature)

    @property
    def _distance_name(self) -> str:
        on_ball = (
            self.distance == "poincare" if not hasattr(self, "module_") else ball_of(self.module_) is not None
        )
        return "poincare" if on_ball else "euclidean"

    def _iter_rankings(self, *sides: Any, **settings: Any) -> Iterator[tuple[NDArray[Any], Ranking]]:
        """How scores rank embeddings: by the distance on the ball where they lie in one."""
        return rankings_on(ball_of(self.module_))(*sides, **settings)
