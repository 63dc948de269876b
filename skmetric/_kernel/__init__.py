"""The kernel of neighbours and rankings: squared distances by blocks, what is relevant in them, threads."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric._kernel._squares")  # for pickles of earlier versions
