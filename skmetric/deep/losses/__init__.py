"""Losses for metric learning: ``loss(embeddings, labels) -> scalar tensor``, in torch.

Each is of use in a training loop of one's own::

    loss = TripletMarginLoss(margin=0.2).bind(n_components=128, n_classes=10)
    for images, labels in loader:
        loss(network(images), labels).backward()

A loss that owns proxies gives a module when bound, whose ``parameters()`` the optimizer needs. What a batch
without positives does, precision and memory are told in ``skmetric/deep/losses/_base.py``: such a batch warns
with :class:`skmetric.exceptions.NothingToLearnWarning`.
"""

from ._arc_face import ArcFaceLoss, SubCenterArcFaceLoss
from ._contrastive import ContrastiveLoss
from ._cos_face import CosFaceLoss
from ._multi_similarity import MultiSimilarityLoss
from ._normalized_softmax import NormalizedSoftmaxLoss
from ._nt_xent import NTXentLoss
from ._proxy_anchor import ProxyAnchorLoss
from ._proxy_nca import ProxyNCALoss
from ._sup_con import SupConLoss
from ._triplet_margin import TripletMarginLoss

__all__ = [
    "ArcFaceLoss",
    "ContrastiveLoss",
    "CosFaceLoss",
    "MultiSimilarityLoss",
    "NTXentLoss",
    "NormalizedSoftmaxLoss",
    "ProxyAnchorLoss",
    "ProxyNCALoss",
    "SubCenterArcFaceLoss",
    "SupConLoss",
    "TripletMarginLoss",
]
