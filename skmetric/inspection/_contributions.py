"""Which features make two samples near or far under a linear metric."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted

from skmetric._embedding import steps_of
from skmetric.base import MahalanobisMixin


def distance_contributions(learner: Any, A: ArrayLike, B: ArrayLike) -> np.ndarray:
    """Share of each feature in the squared learned distance of pairs.

    With the map L of a linear learner and the difference z of two samples, centred and scaled as the learner
    does, the squared distance is ``z @ L.T @ L @ z``; the part of feature j is ``z[j] * (L.T @ L @ z)[j]``.
    Parts add up to the squared distance; one is negative where a feature brings the samples nearer than the
    others left them.

    Parameters
    ----------
    learner : MahalanobisMixin
        A fitted linear learner, as :class:`skmetric.MetricLearner`, or a fitted search or
        :class:`~sklearn.frozen.FrozenEstimator` around one.
    A, B : array-like of shape (n_pairs, n_features)
        First and second member of each pair.

    Returns
    -------
    ndarray of shape (n_pairs, n_features)
        Rows add up to ``learner.pair_distance(A, B) ** 2``.

    Raises
    ------
    TypeError
        If the learner is not linear, or steps come before it.
    ValueError
        If `A` and `B` differ in their number of rows.

    See Also
    --------
    skmetric.MetricLearner : A learner that it explains.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmetric import MetricLearner
    >>> from skmetric.inspection import distance_contributions
    >>> X, y = load_iris(return_X_y=True)
    >>> learner = MetricLearner(random_state=0).fit(X, y)
    >>> parts = distance_contributions(learner, X[:1], X[60:61])
    >>> float(parts.sum().round(6)), float((learner.pair_distance(X[:1], X[60:61])[0] ** 2).round(6))
    (61.325146, 61.325146)
    """
    steps = steps_of(learner)
    if len(steps) > 1:
        names = " -> ".join(type(step).__name__ for step in steps)
        raise TypeError(
            f"distance_contributions gives shares of the features that a linear learner takes, and {names} "
            "has several steps: give the linear learner alone, and A and B as it takes them"
        )
    learner = steps[0] if steps else learner
    if not isinstance(learner, MahalanobisMixin):
        raise TypeError(
            f"distance_contributions is of linear learners, and {type(learner).__name__} is not one: "
            "SimilarityMapDisplay explains networks"
        )
    check_is_fitted(learner)
    given: tuple[Any, Any] = (A, B)
    sides = (side.toarray() if issparse(side) else side for side in given)  # shares are dense anyway
    first, second = (_as_mapped(learner, np.asarray(side, dtype=float)) for side in sides)
    if len(first) != len(second):
        raise ValueError(f"A and B must pair up row by row; A has {len(first)} rows, B has {len(second)}")
    difference = first - second  # (n_pairs, n_features)
    return difference * (difference @ learner.components_.T @ learner.components_)


def _as_mapped(learner, X):
    """Rows that the linear map alone sends to the embeddings: scaled such that those have unit length."""
    learner.transform(X)  # refuses what does not fit
    centered = learner._center(X)
    if not getattr(learner, "normalize_", False):
        return centered
    embeddings = centered @ learner.components_.T
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return centered / np.where(lengths > 0, lengths, 1)
