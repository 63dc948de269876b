"""The closed form of `MetricLearner`: scatters, solution, refinement."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.linear._closed_form._whitening")  # for pickles of earlier versions
