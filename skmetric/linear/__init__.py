"""Linear metrics: the learned distance is Euclidean after one matrix."""

from ._metric_learner import MetricLearner

__all__ = ["MetricLearner"]
