"""Errors and warnings of skmetric that a caller may want to catch by name."""

__all__ = ["NoEmbeddingError", "NothingToLearnWarning"]


class NoEmbeddingError(TypeError):
    """A score of embeddings was asked of an estimator that has no ``transform``."""


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
