"""From images to vectors, with networks that are never trained here."""

from ._frozen import FrozenFeatures

__all__ = ["FrozenFeatures"]
