"""Samples, labels, pairs and triplets, as batches for training and for embedding."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.deep._data._labelled")  # for pickles of earlier versions
