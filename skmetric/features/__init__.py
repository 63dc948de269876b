"""From images to vectors, with networks that are never trained here."""

from skmetric._modules import publish

from ._frozen import FrozenFeatures

__all__ = ["FrozenFeatures"]

publish(__name__)
