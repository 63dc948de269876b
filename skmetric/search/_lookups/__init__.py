"""Items found for a query: tables, arrays of neighbours, recommendations."""

from skmetric._modules import names_of

__getattr__ = names_of("skmetric.search._lookups._lookups")  # for pickles of earlier versions
