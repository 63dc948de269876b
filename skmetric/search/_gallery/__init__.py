"""Items with labels and metadata over an index, in memory or on a server."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.search._gallery._gallery")  # for pickles of earlier versions
