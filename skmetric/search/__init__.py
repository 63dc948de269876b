"""Similarity search and open-set recognition: index, look up, match, calibrate, enrol."""

from skmetric._modules import publish

from ._asked._lookup_table import LookupTable
from ._calibration._calibration import Calibration
from ._calibration._evaluation import Evaluation
from ._calibration._matchers import ClassCenters
from ._cleaning import Duplicates
from ._columns._not import Not
from ._index._exact import ExactIndex
from ._index._faiss._faiss_index import FaissIndex
from ._index._index import Index
from ._ranking._k_reciprocal import KReciprocal
from ._ranking._neighbor_average import NeighborAverage
from ._server.milvus._index import MilvusIndex
from ._server.pgvector._index import PgVectorIndex
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
    "Not",
    "PgVectorIndex",
    "SimilaritySearch",
]

publish(__name__)
