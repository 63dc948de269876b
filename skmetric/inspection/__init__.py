"""Pictures of a metric: neighbours, thresholds, distances, regions, embeddings, training; a browser map."""

from skmetric._modules import publish

from ._contributions import distance_contributions
from ._embedding import EmbeddingDisplay
from ._histogram import DistanceHistogramDisplay
from ._map import embedding_map
from ._neighbors import NeighborsDisplay
from ._recall import RecallAtKDisplay
from ._similarity import SimilarityMapDisplay
from ._threshold import ThresholdDisplay
from ._training import TrainingDisplay

__all__ = [
    "DistanceHistogramDisplay",
    "EmbeddingDisplay",
    "NeighborsDisplay",
    "RecallAtKDisplay",
    "SimilarityMapDisplay",
    "ThresholdDisplay",
    "TrainingDisplay",
    "distance_contributions",
    "embedding_map",
]

publish(__name__)
