"""The closed form of `MetricLearner` from pairs in place of classes."""
