"""Samplers: torch batch samplers over integer labels, seeded, for ``DataLoader(batch_sampler=...)``."""

from skmetric._modules import publish

from ._balanced import BalancedBatchSampler
from ._hierarchical import HierarchicalBatchSampler

__all__ = ["BalancedBatchSampler", "HierarchicalBatchSampler"]

publish(__name__)
