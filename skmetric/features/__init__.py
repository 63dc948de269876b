"""From images to vectors, with networks that are never trained here."""

from skmetric._modules import publish

from ._frozen import FrozenFeatures
from ._text import FrozenText

__all__ = ["FrozenFeatures", "FrozenText"]

publish(__name__)
