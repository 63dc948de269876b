"""A search in a folder or on a server, opened again or copied into another index."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.search._opening._opening")  # for pickles of earlier versions
