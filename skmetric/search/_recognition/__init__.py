"""Classes of queries: prediction, thresholds, and what both are worth."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.search._recognition._prediction")  # for pickles of earlier versions
