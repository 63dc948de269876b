"""The training loop and what it is made of."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.deep._training._loop")  # for pickles of earlier versions
