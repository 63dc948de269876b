"""From queries to thresholds: evidence, rates, matchers, what is measured."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.search._calibration._calibration")  # for pickles of earlier versions
