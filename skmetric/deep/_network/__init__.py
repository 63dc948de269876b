"""The network of a deep learner: trunk, head, layout, compilation."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.deep._network._network")  # for pickles of earlier versions
