"""Deep metric learning: networks trained so that Euclidean distance between embeddings is the metric."""

from . import modules

__all__ = ["modules"]
