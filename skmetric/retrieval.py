"""The one kernel: exact nearest neighbours and rankings.

Distances come from one float32 matrix product a block; whatever that product cannot tell apart is computed
again in float64. So the order is that of float64 at nearly the price of float32.
"""

from collections.abc import Iterator
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import as_array, check_labels, check_matrix, encode_labels
from skmetric._input._groups import check_both_groups, group_codes
from skmetric._input._relevance import is_matrix, read_relevance
from skmetric._kernel._graded import Grades, Grading, order_of
from skmetric._kernel._hidden import hidden_by_groups
from skmetric._kernel._nearest import nearest_items
from skmetric._kernel._relevance import block_relevance
from skmetric._kernel._squares import Gallery, Search
from skmetric._kernel._threads import map_blocks

__all__ = ["Neighbors", "Ranking", "iter_rankings", "nearest", "rank"]


class Neighbors(NamedTuple):
    """Result of a search, nearest first.

    The one value that is handed on after a search.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, k), float64
        Euclidean distances.
    indices : ndarray of shape (n_queries, k), intp
        Rows of the gallery.

    See Also
    --------
    Ranking : What of it is relevant.
    nearest : Returns it.

    Examples
    --------
    >>> from skmetric.retrieval import nearest
    >>> nearest([[0.0], [1.0], [5.0]], k=1).indices.ravel()
    array([1, 0, 1])
    """

    distances: NDArray[np.float64]
    indices: NDArray[np.intp]


class Ranking(NamedTuple):
    """Which of the items that a search found are relevant: all that a retrieval score needs.

    Scores are arithmetic on it, without a further search.

    Parameters
    ----------
    relevant : ndarray of shape (n_queries, depth), bool
        Nearest first: whether the item at this rank is of the query's class.
    n_relevant : ndarray of shape (n_queries,), intp
        Relevant items in the whole gallery, the query itself left out; may exceed `depth`.
    n_gallery : int, or ndarray of shape (n_queries,)
        Items that each query was searched among, itself left out. With groups it is an array, since queries
        differ in how many items are left out. Ranks beyond it are False in `relevant`.
    grades : Grades or None
        With ``relevance=``: `found`, the grade at each rank; `best`, the largest grades in the gallery, both
        (n_queries, depth); and `mean_gains`. None where labels are compared.

    See Also
    --------
    Neighbors : The search before it.
    rank : Returns it.

    Examples
    --------
    >>> from skmetric.retrieval import rank
    >>> rank([[0.0], [1.0], [5.0]], ["a", "a", "b"]).relevant
    array([[ True, False],
           [ True, False],
           [False, False]])
    """

    relevant: NDArray[np.bool_]
    n_relevant: NDArray[np.intp]
    n_gallery: int | NDArray[np.intp]
    grades: Grades | None = None


def nearest(queries: ArrayLike, gallery: Any = None, k: int = 1) -> Neighbors:
    """Exact Euclidean nearest neighbours of each query, ties by the gallery's order.

    Queries are served in blocks: no matrix of all distances is held.

    Parameters
    ----------
    queries : array-like of shape (n_queries, n_features)
        Rows to look up.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each query among the others, itself left out by identity: a duplicate of
        it is still found.
    k : int, default=1
        Neighbours of each query, from 1 to the size of the gallery.

    Returns
    -------
    Neighbors
        Distances (float64) and indices, both of shape (n_queries, k).

    Raises
    ------
    ValueError
        If `k` is out of range, a row has NaN or infinity, or the two sides differ in their columns.

    See Also
    --------
    rank : What of it is of the query's class.
    skmetric.search.ExactIndex : Keeps the gallery.

    Examples
    --------
    >>> from skmetric.retrieval import nearest
    >>> distances, indices = nearest([[0.0, 0.0]], [[3.0, 4.0], [1.0, 0.0]], k=2)
    >>> distances, indices
    (array([[1., 5.]]), array([[1, 0]]))
    """
    search = Search(*_check_sides(queries, gallery))
    k = _check_count(k, "k", search.n_items)
    return Neighbors(*nearest_items(search, k))


def rank(
    embeddings: ArrayLike,
    y: ArrayLike,
    *,
    gallery: Any = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
    depth: int | None = None,
) -> Ranking:
    """Search every row by Euclidean distance and say which of the items found are of its class.

    Without a gallery each row is searched among the others, itself left out by identity.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries.
    y : array-like of shape (n_queries,)
        Their labels.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each query among the others, itself left out by identity.
    y_gallery : array-like of shape (n_gallery,), default=None
        Labels of the gallery, needed with `gallery`.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery; items of other
        classes stay, whatever their group.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, see :func:`skmetric.metrics.graded_ndcg_at_k`; None is "labels". Items
        with a grade above 0 are relevant.
    depth : int, default=None
        Ranks to keep, at most the gallery's size; None keeps all. The result takes `n_queries * depth` bytes:
        :func:`iter_rankings` gives it in blocks.

    Returns
    -------
    Ranking
        Ties in distance are in order of the gallery.

    Raises
    ------
    ValueError
        On NaN or infinity (rows named), labels of mixed types, missing groups, or sides that do not fit.

    See Also
    --------
    iter_rankings : In blocks, for many queries.
    nearest : Distances and rows.

    Examples
    --------
    >>> from skmetric.retrieval import rank
    >>> ranking = rank([[0.0]], ["a"], gallery=[[1.0], [2.0], [3.0]], y_gallery=["b", "a", "a"])
    >>> ranking.relevant, ranking.n_relevant, ranking.n_gallery
    (array([[False,  True,  True]]), array([2]), 3)
    """
    sides = {"gallery": gallery, "y_gallery": y_gallery, "groups": groups, "groups_gallery": groups_gallery}
    blocks = list(iter_rankings(embeddings, y, **sides, relevance=relevance, depth=depth))
    order = np.argsort(np.concatenate([rows for rows, _ in blocks]))
    relevant = np.concatenate([ranking.relevant for _, ranking in blocks])[order]
    n_relevant = np.concatenate([ranking.n_relevant for _, ranking in blocks])[order]
    n_gallery = blocks[0][1].n_gallery
    if groups is not None:
        n_gallery = np.concatenate([ranking.n_gallery for _, ranking in blocks])[order]
    parts = [ranking.grades for _, ranking in blocks if ranking.grades is not None]
    grades = Grades(*(np.concatenate(p)[order] for p in zip(*parts, strict=True))) if parts else None
    return Ranking(relevant, n_relevant, n_gallery, grades)


def iter_rankings(
    embeddings: ArrayLike,
    y: ArrayLike,
    *,
    gallery: Any = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
    depth: int | None = None,
) -> Iterator[tuple[NDArray[np.intp], Ranking]]:
    """Yield rankings in blocks of queries, so that memory stays bounded; see :func:`rank`.

    The next blocks are computed while one is in use, and BLAS stays on one thread until the iterator ends or
    is closed.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries.
    y : array-like of shape (n_queries,)
        Their labels.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search; None searches each query among the others.
    y_gallery : array-like of shape (n_gallery,), default=None
        Labels of the gallery, needed with `gallery`.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery; items of other
        classes stay, whatever their group.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, see :func:`skmetric.metrics.graded_ndcg_at_k`; None is "labels". Items
        with a grade above 0 are relevant.
    depth : int, default=None
        Ranks to keep, at most the gallery's size; None keeps all.

    Returns
    -------
    iterator of (ndarray of shape (n_block,), Ranking)
        Indices of the queries in a block, and their ranking; each query is in one block. All ranks are in
        the order of float64 distances; those that differ by rounding alone are ties.

    Raises
    ------
    ValueError
        As in :func:`rank`.

    See Also
    --------
    rank : All at once.

    Examples
    --------
    >>> from skmetric.retrieval import iter_rankings
    >>> for rows, ranking in iter_rankings([[0.0], [1.0], [5.0]], [0, 0, 1], depth=1):
    ...     print(rows, ranking.relevant.ravel())
    [0 1 2] [ True  True False]
    """
    if (gallery is None and y_gallery is not None) or (
        gallery is not None and y_gallery is None and not is_matrix(relevance)
    ):
        raise ValueError("gallery and y_gallery go together: give both or neither")
    search = Search(*_check_sides(embeddings, gallery))
    grading = read_grading(
        relevance,
        y,
        y_gallery,
        groups,
        groups_gallery,
        search.n_queries,
        None if gallery is None else search.n_gallery,
    )
    if grading is not None:
        return _graded_rankings(search, grading, depth)
    codes, codes_gallery, n_classes = _check_codes(search, y, y_gallery)
    hidden = hidden_by_groups(codes, codes_gallery, groups, groups_gallery, gallery is not None)
    search.hidden = hidden
    depth = search.n_items if depth is None else min(_check_count(depth, "depth"), search.n_items)
    sizes = np.bincount(codes_gallery, minlength=n_classes)
    left_out: Any = search.leaves_self_out if hidden is None else hidden.counts  # which count the row itself
    n_relevant = sizes[codes] - left_out  # (n_queries,)
    n_items = search.n_gallery - left_out  # of all queries, or with groups (n_queries,)

    def block(rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], Ranking]:
        relevant = block_relevance(search, rows, codes, codes_gallery, sizes, depth)
        return rows, Ranking(relevant, n_relevant[rows], n_items if hidden is None else n_items[rows])

    return map_blocks(block, search.blocks())


def _graded_rankings(
    search: Search, grading: Grading, depth: int | None
) -> Iterator[tuple[NDArray[np.intp], Ranking]]:
    depth = search.n_items if depth is None else min(_check_count(depth, "depth"), search.n_items)

    def block(rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], Ranking]:
        found = grading.block(rows, order_of(search, rows, grading.needed(depth)), depth)
        n_gallery = search.n_items if grading.groups is None else found.n_items
        return rows, Ranking(found.relevant, found.n_relevant, n_gallery, found.grades)

    return map_blocks(block, search.blocks())


def read_grading(
    relevance: Any,
    y: Any,
    y_gallery: Any,
    groups: Any,
    groups_gallery: Any,
    n_queries: int,
    n_gallery: int | None,
) -> Grading | None:
    """Grades of queries and gallery from what the user gives; None where labels are compared."""
    read = read_relevance(relevance, y, y_gallery, n_queries=n_queries, n_gallery=n_gallery)
    if read is None:
        return None
    check_both_groups(groups, groups_gallery, n_gallery is not None)
    codes = None if groups is None else group_codes(groups, groups_gallery, n_queries, n_gallery)
    return Grading(read, codes, alone=n_gallery is None)


def _check_sides(queries: Any, gallery: Any) -> tuple[NDArray[Any], Gallery | None]:
    queries = check_matrix(queries, "queries" if gallery is not None else "embeddings")
    if gallery is None:
        if len(queries) < 2:
            raise ValueError("searching rows among the others needs at least 2 rows; got 1")
        return queries, None
    if not isinstance(gallery, Gallery):
        gallery = Gallery(check_matrix(gallery, "gallery"))
    if gallery.rows.shape[1] != queries.shape[1]:
        raise ValueError(
            f"queries have {queries.shape[1]} features and the gallery has {gallery.rows.shape[1]}: "
            "both must come from the same transform"
        )
    return queries, gallery


def _check_count(k: Any, name: str, largest: int | None = None) -> int:
    if not isinstance(k, Integral) or isinstance(k, bool) or int(k) < 1:
        raise ValueError(f"{name} must be an integer from 1; got {k!r}")
    if largest is not None and int(k) > largest:
        raise ValueError(f"{name}={k} is more than the {largest} items that each query is searched among")
    return int(k)


def _check_codes(search: Search, y: Any, y_gallery: Any) -> tuple[NDArray[np.int32], NDArray[np.int32], int]:
    y = check_labels(as_array(y), search.n_queries)
    y_gallery = (
        None if y_gallery is None else check_labels(as_array(y_gallery), search.n_gallery, "y_gallery")
    )
    codes, codes_gallery, classes = encode_labels(y, y_gallery)
    codes = codes.astype(np.int32)
    return codes, codes if codes_gallery is None else codes_gallery.astype(np.int32), len(classes)
