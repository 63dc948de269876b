"""Similarity search and open-set recognition: index, look up, match, calibrate, enrol."""

from ._averaging import NeighborAverage
from ._calibration import Calibration
from ._cleaning import Duplicates
from ._evaluation import Evaluation
from ._exact import ExactIndex
from ._index import Index
from ._lookup import LookupTable
from ._matchers import ClassCenters
from ._reranking import KReciprocal
from ._similarity_search import SimilaritySearch

__all__ = [
    "Calibration",
    "ClassCenters",
    "Duplicates",
    "Evaluation",
    "ExactIndex",
    "Index",
    "KReciprocal",
    "LookupTable",
    "NeighborAverage",
    "SimilaritySearch",
]
