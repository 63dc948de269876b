"""Linear metrics: the learned distance is Euclidean after one matrix."""

from skmetric._modules import publish

from ._from_tuples._itml import ITML
from ._metric_learner import MetricLearner

__all__ = ["ITML", "MetricLearner"]

publish(__name__)
