"""Similarity search and open-set recognition: index, look up, match, calibrate, enrol."""

from ._averaging import NeighborAverage
from ._calibration import Calibration
from ._cleaning import Duplicates
from ._evaluation import Evaluation
from ._exact import ExactIndex
from ._faiss import FaissIndex
from ._index import Index
from ._lookup import LookupTable
from ._matchers import ClassCenters
from ._milvus import MilvusIndex
from ._pgvector import PgVectorIndex
from ._reranking import KReciprocal
from ._similarity_search import SimilaritySearch

__all__ = [
    "Calibration",
    "ClassCenters",
    "Duplicates",
    "Evaluation",
    "ExactIndex",
    "FaissIndex",
    "Index",
    "KReciprocal",
    "LookupTable",
    "MilvusIndex",
    "NeighborAverage",
    "PgVectorIndex",
    "SimilaritySearch",
]
