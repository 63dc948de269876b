"""Networks that are small enough to train from nothing, and the heads that follow any trunk."""

from ._conv import Conv4, TutorialConv
from ._heads import GeM, L2Normalize
from ._mlp import MLP, LinearMap

__all__ = ["MLP", "Conv4", "GeM", "L2Normalize", "LinearMap", "TutorialConv"]
