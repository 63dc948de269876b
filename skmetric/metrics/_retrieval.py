"""Scores of embeddings: how well a search among them finds items of the query's class."""

from numbers import Integral
from typing import Any

from numpy.typing import ArrayLike

from skmetric._params import Interval, validate_params

from ._scores import mean_score


@validate_params({"k": [Interval(Integral, 1, None, closed="left")]}, prefer_skip_nested_validation=True)
def recall_at_k(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    k: int = 1,
    *,
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
) -> float:
    """Share of queries with a relevant item among the first `k`: metric learning's hit rate.

    This is what the field calls recall@k, not the share of the relevant items that was found, which is
    recall in information retrieval. At k=1 it is the accuracy of the nearest neighbour.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    k : int, default=1
        Cut-off, from 1 to the size of the gallery.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels".

    Returns
    -------
    float
        In [0, 1]. Queries with nothing to find are left out; :func:`retrieval_report` counts them.

    Raises
    ------
    ValueError
        If `k` is beyond the gallery, no query has anything to find, a row has NaN or infinity, labels do not
        fit, or the queries are rows of `gallery`, which would find themselves.

    See Also
    --------
    precision_at_k : How many of the first are relevant.
    retrieval_report : All scores from one search.

    References
    ----------
    .. [1] H. Oh Song et al., "Deep metric learning via lifted structured feature embedding", CVPR 2016.

    Examples
    --------
    >>> from skmetric.metrics import recall_at_k
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> round(recall_at_k(X, y), 3)  # the first two queries of three; nothing to find for b
    0.667
    """
    return mean_score(f"recall_at_{k}", embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance)


@validate_params({"k": [Interval(Integral, 1, None, closed="left")]}, prefer_skip_nested_validation=True)
def precision_at_k(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    k: int = 10,
    *,
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
) -> float:
    """Share of the first `k` items that are relevant.

    The denominator is `k`, also for queries with fewer relevant items, so that the best value may be below 1;
    :func:`r_precision` has no such ceiling.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    k : int, default=10
        Cut-off, from 1 to the size of the gallery.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels".

    Returns
    -------
    float
        In [0, 1]. Queries with nothing to find are left out; :func:`retrieval_report` counts them.

    Raises
    ------
    ValueError
        If `k` is beyond the gallery, no query has anything to find, a row has NaN or infinity, labels do not
        fit, or the queries are rows of `gallery`, which would find themselves.

    See Also
    --------
    r_precision : As many places as there are relevant items.
    retrieval_report : All scores from one search.

    Examples
    --------
    >>> from skmetric.metrics import precision_at_k
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> precision_at_k(X, y, k=2)  # one of two for each of the three queries
    0.5
    """
    return mean_score(
        f"precision_at_{k}", embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance
    )


def r_precision(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    *,
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
) -> float:
    """Share of the first R items that are relevant, R being how many relevant items there are.

    The denominator is each query's own R, counted in the whole gallery, itself left out.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels".

    Returns
    -------
    float
        In [0, 1]. Queries with nothing to find are left out; :func:`retrieval_report` counts them.

    Raises
    ------
    ValueError
        If no query has anything to find, a row has NaN or infinity, labels do not fit, or the queries are
        rows of `gallery`, which would find themselves.

    See Also
    --------
    precision_at_k : A fixed number of places.
    map_at_r : Early places count more.

    References
    ----------
    .. [1] K. Musgrave, S. Belongie, S.-N. Lim, "A metric learning reality check", ECCV 2020, section 3.2.

    Examples
    --------
    >>> from skmetric.metrics import r_precision
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> r_precision(X, y)  # R = 2: one of two for each of the three queries
    0.5
    """
    return mean_score("r_precision", embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance)


def map_at_r(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    *,
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
) -> float:
    """MAP@R: precision at each hit among the first R items, over R, averaged over queries.

    R is how many relevant items a query has in the whole gallery, itself left out; it is the denominator also
    when fewer are found. Unlike :func:`mean_average_precision` it ignores hits below rank R.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels".

    Returns
    -------
    float
        In [0, 1]. Queries with nothing to find are left out; :func:`retrieval_report` counts them.

    Raises
    ------
    ValueError
        If no query has anything to find, a row has NaN or infinity, labels do not fit, or the queries are
        rows of `gallery`, which would find themselves.

    See Also
    --------
    mean_average_precision : Goes through the whole gallery.
    mean_average_precision_at_k : Cut at a fixed k.
    retrieval_report : All scores from one search.

    References
    ----------
    .. [1] K. Musgrave, S. Belongie, S.-N. Lim, "A metric learning reality check", ECCV 2020, section 3.2.

    Examples
    --------
    >>> from skmetric.metrics import map_at_r
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> round(map_at_r(X, y), 3)  # (1/1) / 2, (1/1) / 2 and (1/2) / 2
    0.417
    """
    return mean_score("map_at_r", embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance)


def mean_average_precision(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    *,
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
) -> float:
    """Full MAP: precision at each hit in the whole gallery, over R, averaged over queries.

    R is how many relevant items a query has in the whole gallery, itself left out. Each query's value is
    :func:`sklearn.metrics.average_precision_score` of the negative distances, except in ties, which count
    here in the gallery's order. Not to be confused with :func:`map_at_r`.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels".

    Returns
    -------
    float
        In [0, 1]. Queries with nothing to find are left out; :func:`retrieval_report` counts them.

    Raises
    ------
    ValueError
        If no query has anything to find, a row has NaN or infinity, labels do not fit, or the queries are
        rows of `gallery`, which would find themselves.

    See Also
    --------
    map_at_r : Stops after R items.
    retrieval_report : All scores from one search.

    References
    ----------
    .. [1] C. D. Manning, P. Raghavan, H. Schütze, "Introduction to information retrieval", 2008, section 8.4.

    Examples
    --------
    >>> from skmetric.metrics import mean_average_precision
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> round(mean_average_precision(X, y), 3)  # (1/1 + 2/3) / 2 twice, (1/2 + 2/3) / 2
    0.75
    """
    return mean_score(
        "mean_average_precision", embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance
    )


def mean_reciprocal_rank(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    *,
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
) -> float:
    """One over the rank of the first relevant item in the whole gallery, averaged over queries.

    The rank counts from 1, and no cut-off applies.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels".

    Returns
    -------
    float
        In (0, 1]. Queries with nothing to find are left out; :func:`retrieval_report` counts them.

    Raises
    ------
    ValueError
        If no query has anything to find, a row has NaN or infinity, labels do not fit, or the queries are
        rows of `gallery`, which would find themselves.

    See Also
    --------
    recall_at_k : Whether the first comes in time.
    retrieval_report : All scores from one search.

    References
    ----------
    .. [1] E. M. Voorhees, "The TREC-8 question answering track report", TREC 1999.

    Examples
    --------
    >>> from skmetric.metrics import mean_reciprocal_rank
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> round(mean_reciprocal_rank(X, y), 3)  # first hits at ranks 1, 1 and 2
    0.833
    """
    return mean_score(
        "mean_reciprocal_rank", embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance
    )


@validate_params({"k": [Interval(Integral, 1, None, closed="left")]}, prefer_skip_nested_validation=True)
def ndcg_at_k(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    k: int = 10,
    *,
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
) -> float:
    """Discounted gain of the first `k` items, over the best that is possible.

    Gains are 1 for a relevant item and 0 for another, the discount of rank i is 1 / log2(i + 1), and the
    denominator has min(R, k) relevant items at the top, R of them being in the whole gallery.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels: an item of the gallery is relevant to a query if it has the query's label.
    k : int, default=10
        Cut-off, from 1 to the size of the gallery.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items of the query's class that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        What makes an item relevant, and `y` with it, see :func:`graded_ndcg_at_k`; None is "labels".

    Returns
    -------
    float
        In [0, 1]. Queries with nothing to find are left out; :func:`retrieval_report` counts them.

    Raises
    ------
    ValueError
        If `k` is beyond the gallery, no query has anything to find, a row has NaN or infinity, labels do not
        fit, or the queries are rows of `gallery`, which would find themselves.

    See Also
    --------
    precision_at_k : All places count alike.
    retrieval_report : All scores from one search.

    References
    ----------
    .. [1] K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM Transactions on
       Information Systems 20, 2002.

    Examples
    --------
    >>> from skmetric.metrics import ndcg_at_k
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> round(ndcg_at_k(X, y, k=2), 3)  # (2 * 1 + 0.631) / 1.631 / 3
    0.538
    """
    return mean_score(f"ndcg_at_{k}", embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance)
