"""Deep metric learning: learners for scikit-learn, and what they are made of, for a loop of your own."""

from skmetric._modules import publish

from . import augment, losses, miners, modules, samplers
from ._distributed._settings import Distributed
from ._learner import DeepMetricLearner
from ._recipe._checkpoint_settings import Checkpoint
from ._recipe._fine_tuning import FineTuning
from ._siamese import SiameseLearner
from ._triplet import TripletLearner

__all__ = [
    "Checkpoint",
    "DeepMetricLearner",
    "Distributed",
    "FineTuning",
    "SiameseLearner",
    "TripletLearner",
    "augment",
    "losses",
    "miners",
    "modules",
    "samplers",
]

publish(__name__)
