"""Errors and warnings of skmetric that a caller may want to catch by name."""

__all__ = [
    "CollapseWarning",
    "DivergenceWarning",
    "IndexUnavailableError",
    "NoEmbeddingError",
    "NothingToLearnWarning",
    "StuckLossWarning",
    "TrainingWarning",
]


class IndexUnavailableError(ConnectionError):
    """The server of an index is away, refuses, or dropped the connection: the message names host and table.

    A call that raises it has changed nothing, or, if the connection broke while the server confirmed, all of
    what was asked. The index connects again at its next call.

    Examples
    --------
    >>> issubclass(IndexUnavailableError, OSError)
    True
    """


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


class NothingToLearnWarning(UserWarning):
    """A batch lacks positives or negatives, so that a loss learns less from it than it could, or nothing.

    The loss goes on with what there is, and is a 0 that keeps the graph if there is nothing.

    Examples
    --------
    A loop that must not go on turns it into an error:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", NothingToLearnWarning)
    """


class TrainingWarning(UserWarning):
    """Training of a network did not go as it should; the message says what to try.

    Examples
    --------
    A script that must not go on turns all kinds of it into errors:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", TrainingWarning)
    """


class DivergenceWarning(TrainingWarning):
    """The loss or the embeddings became NaN or infinite; the state before that epoch was kept.

    Examples
    --------
    >>> issubclass(DivergenceWarning, TrainingWarning)
    True
    """


class CollapseWarning(TrainingWarning):
    """Training ended with all embeddings in nearly one point.

    Examples
    --------
    >>> issubclass(CollapseWarning, TrainingWarning)
    True
    """


class StuckLossWarning(TrainingWarning):
    """The loss did not move, or stayed at the margin.

    Examples
    --------
    >>> issubclass(StuckLossWarning, TrainingWarning)
    True
    """
