"""Errors and warnings of skmetric that a caller may want to catch by name."""

__all__ = ["NoEmbeddingError"]


class NoEmbeddingError(TypeError):
    """A score of embeddings was asked of an estimator that has no ``transform``."""
