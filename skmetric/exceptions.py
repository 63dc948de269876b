"""Errors and warnings of skmetric that a caller may want to catch by name."""

__all__ = ["NoEmbeddingError"]


class NoEmbeddingError(TypeError):
    """A score of embeddings was asked of an estimator that has no ``transform``.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skmetric.exceptions import NoEmbeddingError
    >>> from skmetric.metrics import RetrievalScorer
    >>> X, y = [[0], [1], [2]], [0, 0, 1]
    >>> try:
    ...     RetrievalScorer("map_at_r")(KNeighborsClassifier(1).fit(X, y), X, y)
    ... except NoEmbeddingError as error:
    ...     print(error)
    a retrieval score needs embeddings, and KNeighborsClassifier has no transform: ...
    """
