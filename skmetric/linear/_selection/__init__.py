"""Choice of what `MetricLearner` leaves open, by retrieval of held-out classes."""
