"""Classes of queries: prediction, thresholds, and what both are worth."""
