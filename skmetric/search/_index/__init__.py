"""Embeddings under integer ids: the contract of an index, and those in memory."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.search._index._index")  # for pickles of earlier versions
