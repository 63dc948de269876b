"""Items put into a gallery, changed, taken out, and embedded anew."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.search._enrolment._enrolment")  # for pickles of earlier versions
