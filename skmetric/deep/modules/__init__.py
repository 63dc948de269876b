"""Networks that are small enough to train from nothing, and the heads that follow any trunk."""

from skmetric._modules import publish

from ._conv import Conv4, TutorialConv
from ._heads import BatchNormNeck, GeM, L2Normalize, PoincareBall
from ._mlp import MLP, LinearMap
from ._resnet import SmallResNet

__all__ = [
    "MLP",
    "BatchNormNeck",
    "Conv4",
    "GeM",
    "L2Normalize",
    "LinearMap",
    "PoincareBall",
    "SmallResNet",
    "TutorialConv",
]

publish(__name__)
