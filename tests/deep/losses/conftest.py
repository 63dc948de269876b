"""Every loss, with the parameters it cannot do without, and the batches that all of them must survive."""

import inspect
from functools import partial

import pytest
import torch

from skmetric.deep import losses, miners


def foreign(embeddings, labels):
    """A loss from elsewhere."""
    return losses.NTXentLoss()(embeddings, labels)


NEEDED = {
    "CrossBatchMemory": lambda: {"loss": losses.NTXentLoss()},
    "ForeignLoss": lambda: {"loss": foreign},
    "GatheredBatches": lambda: {"loss": losses.NTXentLoss()},
    "MatryoshkaLoss": lambda: {"loss": losses.NTXentLoss()},
}


# the ways of working of a loss that take another path through it
VARIANTS = {
    "triplet, soft": lambda: losses.TripletMarginLoss(soft_margin=True),
    "triplet, swap": lambda: losses.TripletMarginLoss(swap=True),
    "triplet, batch-hard": lambda: losses.TripletMarginLoss(miner=miners.BatchHardMiner()),
    "triplet, semi-hard": lambda: losses.TripletMarginLoss(miner=miners.SemiHardMiner()),
    "contrastive, mined": lambda: losses.ContrastiveLoss(miner=miners.MultiSimilarityMiner()),
    "multi-similarity, all pairs": lambda: losses.MultiSimilarityLoss(epsilon=None),
    "margin, easy positives": lambda: losses.MarginLoss(class_beta=True, miner=miners.EasyPositiveMiner()),
    "SNR, no penalty": lambda: losses.SNRContrastiveLoss(mean_weight=0.0),
    "Matryoshka of ArcFace": lambda: losses.MatryoshkaLoss(losses.ArcFaceLoss(), prefixes=[2, 4]),
    "memory of triplets": lambda: losses.CrossBatchMemory(losses.TripletMarginLoss()),
    "gathered proxies": lambda: losses.GatheredBatches(losses.ProxyAnchorLoss()),
    "gathered memory": lambda: losses.GatheredBatches(losses.CrossBatchMemory(losses.ContrastiveLoss())),
}
SAMPLED = [
    name
    for name in losses.__all__
    if "sampled_classes" in inspect.signature(getattr(losses, name)).parameters
]
VARIANTS |= {f"{name}, sampled": partial(getattr(losses, name), sampled_classes=4) for name in SAMPLED}
NAMES = [*losses.__all__, *VARIANTS]


def make_loss(name):
    return VARIANTS[name]() if name in VARIANTS else getattr(losses, name)(**NEEDED.get(name, dict)())


@pytest.fixture(params=NAMES)
def loss(request):
    """Each loss in turn."""
    return make_loss(request.param)


@pytest.fixture(params=list(range(3)))
def batches(request):
    """Uneven batches of float32 embeddings, every class at least twice."""
    generator = torch.Generator().manual_seed(request.param)
    embeddings = torch.randn(14, 5, generator=generator)
    return embeddings, torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 0, 1, 0])
