"""Similarity search and open-set recognition: the place of what is to come.

Exact nearest neighbours are in :mod:`skmetric.retrieval` today.
"""

__all__: list[str] = []
