"""Deep metric learning: a learner for scikit-learn, and what it is made of, for a loop of your own."""

from . import augment, losses, miners, modules, samplers
from ._learner import DeepMetricLearner

__all__ = ["DeepMetricLearner", "augment", "losses", "miners", "modules", "samplers"]
