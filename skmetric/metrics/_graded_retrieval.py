"""Scores of information retrieval: of rankings cut at k, and of grades."""

from numbers import Integral
from typing import Any, Literal

from numpy.typing import ArrayLike

from skmetric._params import Interval, StrOptions, validate_params

from ._scores import mean_score

_COUNT = [Interval(Integral, 1, None, closed="left")]


@validate_params({"k": _COUNT}, prefer_skip_nested_validation=True)
def mean_average_precision_at_k(
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
    """MAP cut at k: precision at each hit among the first `k`, over min(R, k), averaged over queries.

    R is how many relevant items a query has in the whole gallery, itself left out. With ``k`` as large as the
    gallery it is :func:`mean_average_precision`; it is not :func:`map_at_r`, whose cut-off is each query's R.
    Others divide by R, or by the number of hits among the first k: their values differ where R exceeds k.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels.
    k : int, default=10
        Cut-off, from 1 to the size of the gallery.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items relevant to the query that
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
        If `k` is beyond the gallery, no query has anything to find, a row has NaN or infinity, labels or
        grades do not fit, or the queries are rows of `gallery`, which would find themselves.

    See Also
    --------
    mean_average_precision : Without a cut-off.
    map_at_r : The cut-off is the number of relevant items.

    References
    ----------
    .. [1] C. D. Manning, P. Raghavan, H. Schütze, "Introduction to information retrieval", 2008, section 8.4.

    Examples
    --------
    >>> from skmetric.metrics import mean_average_precision_at_k
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> round(mean_average_precision_at_k(X, y, k=2), 3)  # (1/1) / 2, (1/1) / 2 and (1/2) / 2
    0.417
    """
    name = f"mean_average_precision_at_{k}"
    return mean_score(name, embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance)


@validate_params({"k": _COUNT}, prefer_skip_nested_validation=True)
def ir_recall_at_k(
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
    """Share of the relevant items that are among the first `k`: recall in information retrieval.

    What metric learning calls recall@k, whether *one* is found, is :func:`recall_at_k`. The denominator is R,
    so that the best value is below 1 for queries with more than `k` relevant items.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels.
    k : int, default=10
        Cut-off, from 1 to the size of the gallery.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items relevant to the query that
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
        If `k` is beyond the gallery, no query has anything to find, a row has NaN or infinity, labels or
        grades do not fit, or the queries are rows of `gallery`, which would find themselves.

    See Also
    --------
    recall_at_k : Whether one relevant item is found.
    f1_at_k : Together with precision.

    References
    ----------
    .. [1] C. D. Manning, P. Raghavan, H. Schütze, "Introduction to information retrieval", 2008, section 8.4.

    Examples
    --------
    >>> from skmetric.metrics import ir_recall_at_k
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> ir_recall_at_k(X, y, k=2)  # one of two for each of the three queries
    0.5
    """
    name = f"ir_recall_at_{k}"
    return mean_score(name, embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance)


@validate_params({"k": _COUNT}, prefer_skip_nested_validation=True)
def f1_at_k(
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
    """F1 of the first `k` items: harmonic mean of their precision and of the recall of information retrieval.

    It is 2 h / (k + R) with h hits among the first k, averaged over queries: not the F1 of decisions at a
    threshold, which calibration has.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels.
    k : int, default=10
        Cut-off, from 1 to the size of the gallery.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items relevant to the query that
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
        If `k` is beyond the gallery, no query has anything to find, a row has NaN or infinity, labels or
        grades do not fit, or the queries are rows of `gallery`, which would find themselves.

    See Also
    --------
    ir_recall_at_k : Recall by itself.
    precision_at_k : Precision by itself.

    References
    ----------
    .. [1] C. D. Manning, P. Raghavan, H. Schütze, "Introduction to information retrieval", 2008, section 8.4.

    Examples
    --------
    >>> from skmetric.metrics import f1_at_k
    >>> X, y = [[0.0], [1.0], [3.0], [3.5]], ["a", "a", "b", "a"]
    >>> f1_at_k(X, y, k=2)  # 2 · 1 / (2 + 2) for each of the three queries
    0.5
    """
    name = f"f1_at_{k}"
    return mean_score(name, embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance)


@validate_params(
    {"k": _COUNT, "gain": [StrOptions({"linear", "exponential"})]}, prefer_skip_nested_validation=True
)
def graded_ndcg_at_k(
    embeddings: ArrayLike,
    y: ArrayLike | None,
    k: int = 10,
    *,
    gain: Literal["linear", "exponential"] = "linear",
    gallery: ArrayLike | None = None,
    y_gallery: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    groups_gallery: ArrayLike | None = None,
    relevance: Any = None,
) -> float:
    """Discounted gain of the grades of the first `k` items, over that of the best order of the gallery.

    The discount of rank i is 1 / log2(i + 1). The gain of a grade g is g itself [1]_ or 2^g - 1 [2]_: with
    grades of 0 and 1 both are :func:`ndcg_at_k`. Their names in reports and scorers are
    ``"linear_ndcg_at_10"`` and ``"exponential_ndcg_at_10"``. A query without a grade above 0, such as one
    without labels, is left out.

    Parameters
    ----------
    embeddings : array-like of shape (n_queries, n_features)
        Queries; nearer in Euclidean distance is ranked higher.
    y : array-like of shape (n_queries,), or as `relevance` says
        Their labels.
    k : int, default=10
        Cut-off, from 1 to the size of the gallery.
    gain : {"linear", "exponential"}, default="linear"
        What a grade g gains: g, or 2^g - 1.
    gallery : array-like of shape (n_gallery, n_features), default=None
        Rows to search. None searches each row of `embeddings` among the others, itself left out by
        identity, so that a duplicate of it is still found.
    y_gallery : array-like of shape (n_gallery,), or as `relevance` says, default=None
        Labels of the gallery, needed with `gallery`, unless `relevance` is a matrix.
    groups : array-like of shape (n_queries,), default=None
        Group of each query, such as the camera, the session or the seller. Items relevant to the query that
        are also of its group are left out of its search, as if they were not in the gallery.
    groups_gallery : array-like of shape (n_gallery,), default=None
        Groups of the gallery, needed with `gallery` and `groups`.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default=None
        How much an item is relevant to a query: a grade from 0. In scores without grades, an item is relevant
        if its grade is above 0. None or "labels": `y` has one label for each sample, and the grade is 1 for
        equal labels. "multilabel": `y` is a matrix of 0 and 1, one column a label, or a list of sets; the
        grade is the number of labels in common over that of the labels of either. "hierarchy": `y` has one
        column for each level, from coarse to fine; the grade is the share of levels in common. An array or a
        sparse matrix (n_queries, n_gallery), square without a gallery, has the grades themselves, and `y`
        may be None. A callable makes such a matrix of two arrays of labels; it is called with some queries
        at a time.

    Returns
    -------
    float
        In [0, 1]. Queries with nothing to find are left out; :func:`retrieval_report` counts them.

    Raises
    ------
    ValueError
        If `k` is beyond the gallery, no query has anything to find, a row has NaN or infinity, labels or
        grades do not fit, or the queries are rows of `gallery`, which would find themselves.

    See Also
    --------
    ndcg_at_k : Relevant or not.
    skmetric.deep.losses.LogRatioLoss : A loss of grades.

    References
    ----------
    .. [1] K. Järvelin, J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM Transactions on
       Information Systems 20, 2002.
    .. [2] C. Burges et al., "Learning to rank using gradient descent", ICML 2005.

    Examples
    --------
    >>> from skmetric.metrics import graded_ndcg_at_k
    >>> X = [[0.0], [1.0], [3.0]]
    >>> tags = [{"red", "round"}, {"red"}, {"red", "round"}]
    >>> round(graded_ndcg_at_k(X, tags, k=2, relevance="multilabel"), 3)  # .5 before 1, twice of three
    0.906
    """
    name = f"{gain}_ndcg_at_{k}"
    return mean_score(name, embeddings, y, gallery, y_gallery, groups, groups_gallery, relevance)
