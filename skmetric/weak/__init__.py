"""Weak supervision: pairs, triplets and quadruplets from labels, learners of these on labels, splits."""

from skmetric._modules import publish

from ._chunks import sample_chunks
from ._from_labels import FromLabels
from ._pair_group_k_fold import PairGroupKFold
from ._pairs import sample_pairs
from ._quadruplets import sample_quadruplets
from ._triplets import sample_triplets

__all__ = [
    "FromLabels",
    "PairGroupKFold",
    "sample_chunks",
    "sample_pairs",
    "sample_quadruplets",
    "sample_triplets",
]

publish(__name__)
