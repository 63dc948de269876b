"""Losses for metric learning: ``loss(embeddings, labels) -> scalar tensor``, in torch.

Each is of use in a training loop of one's own::

    loss = TripletMarginLoss(margin=0.2).bind(n_components=128, n_classes=10)
    for images, labels in loader:
        loss(network(images), labels).backward()

A loss that owns proxies gives a module when bound, whose ``parameters()`` the optimizer needs. What a batch
without positives does, precision and memory are told in ``skmetric/deep/losses/_base.py``: such a batch warns
with :class:`skmetric.exceptions.NothingToLearnWarning`.

Each call takes ``weights=``, a weight for each row as an anchor (``class_weights[labels]`` weighs classes),
and ``reduction="none"``, which gives a number for each row. Losses of pairs take ``references=`` and
``reference_labels=``: the anchors are compared with these in place of the batch, as with the queue of a
momentum encoder or with the other tower of two. A bound loss with proxies has ``logits(embeddings)``.
"""

from skmetric._modules import publish

from ._angular import AngularLoss
from ._arc_face import ArcFaceLoss, SubCenterArcFaceLoss
from ._barlow_twins import BarlowTwinsLoss
from ._circle import CircleLoss
from ._clip import CLIPLoss, SigLIPLoss
from ._contrastive import ContrastiveLoss
from ._cos_face import CosFaceLoss
from ._cosine_regression import CosineRegressionLoss
from ._cross_batch_memory import CrossBatchMemory
from ._fast_ap import FastAPLoss
from ._foreign import ForeignLoss
from ._gathered_batches import GatheredBatches
from ._hyperbolic import HyperbolicInfoNCELoss
from ._lifted_structure import GeneralizedLiftedStructureLoss, LiftedStructureLoss
from ._log_ratio import LogRatioLoss
from ._margin import MarginLoss
from ._matryoshka import MatryoshkaLoss
from ._multi_similarity import MultiSimilarityLoss
from ._n_pairs import NPairsLoss
from ._normalized_softmax import NormalizedSoftmaxLoss
from ._nt_xent import NTXentLoss
from ._proxy_anchor import ProxyAnchorLoss
from ._proxy_nca import ProxyNCALoss
from ._recall_at_k import RecallAtKLoss
from ._sim_clr import SimCLRLoss
from ._smooth_ap import SmoothAPLoss
from ._snr_contrastive import SNRContrastiveLoss
from ._soft_nearest_neighbor import SoftNearestNeighborLoss
from ._soft_triple import SoftTripleLoss
from ._sup_con import SupConLoss
from ._triplet_margin import TripletMarginLoss
from ._tuplet_margin import TupletMarginLoss
from ._vicreg import VICRegLoss

__all__ = [
    "AngularLoss",
    "ArcFaceLoss",
    "BarlowTwinsLoss",
    "CLIPLoss",
    "CircleLoss",
    "ContrastiveLoss",
    "CosFaceLoss",
    "CosineRegressionLoss",
    "CrossBatchMemory",
    "FastAPLoss",
    "ForeignLoss",
    "GatheredBatches",
    "GeneralizedLiftedStructureLoss",
    "HyperbolicInfoNCELoss",
    "LiftedStructureLoss",
    "LogRatioLoss",
    "MarginLoss",
    "MatryoshkaLoss",
    "MultiSimilarityLoss",
    "NPairsLoss",
    "NTXentLoss",
    "NormalizedSoftmaxLoss",
    "ProxyAnchorLoss",
    "ProxyNCALoss",
    "RecallAtKLoss",
    "SNRContrastiveLoss",
    "SigLIPLoss",
    "SimCLRLoss",
    "SmoothAPLoss",
    "SoftNearestNeighborLoss",
    "SoftTripleLoss",
    "SubCenterArcFaceLoss",
    "SupConLoss",
    "TripletMarginLoss",
    "TupletMarginLoss",
    "VICRegLoss",
]

publish(__name__)
