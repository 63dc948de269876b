"""Miners: ``miner(distances, labels)`` chooses the tuples of a batch that a loss learns from."""

from skmetric._modules import publish

from ._base import Pairs, Triplets
from ._batch_hard import BatchHardMiner
from ._distance_weighted import DistanceWeightedMiner
from ._easy_positive import EasyPositiveMiner
from ._multi_similarity import MultiSimilarityMiner
from ._semi_hard import SemiHardMiner

__all__ = [
    "BatchHardMiner",
    "DistanceWeightedMiner",
    "EasyPositiveMiner",
    "MultiSimilarityMiner",
    "Pairs",
    "SemiHardMiner",
    "Triplets",
]

publish(__name__)
