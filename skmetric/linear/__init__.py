"""Linear metrics: the learned distance is Euclidean after one matrix."""

from skmetric._modules import publish

from ._metric_learner import MetricLearner

__all__ = ["MetricLearner"]

publish(__name__)
