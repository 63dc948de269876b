"""Deep metric learning: learners for scikit-learn, and what they are made of, for a loop of your own."""

from . import losses, miners, modules, samplers
from ._learner import DeepMetricLearner
from ._siamese import SiameseLearner
from ._triplet import TripletLearner

__all__ = ["DeepMetricLearner", "SiameseLearner", "TripletLearner", "losses", "miners", "modules", "samplers"]
