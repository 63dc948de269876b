"""Similarity search and open-set recognition."""

from ._exact import ExactIndex

__all__ = ["ExactIndex"]
