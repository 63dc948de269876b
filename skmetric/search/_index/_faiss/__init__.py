"""Approximate search by FAISS: the index, what it holds, how that changes, how it is searched."""

from ._held import Held as _Held  # noqa: F401 (pickles name it so)

__all__: list[str] = []
