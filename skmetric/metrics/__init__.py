"""Scores of embeddings and of distances between pairs; a scorer for scikit-learn's model selection."""

from skmetric._modules import publish

from ._comparison import Comparison, compare
from ._graded_retrieval import f1_at_k, graded_ndcg_at_k, ir_recall_at_k, mean_average_precision_at_k
from ._retrieval import (
    map_at_r,
    mean_average_precision,
    mean_reciprocal_rank,
    ndcg_at_k,
    precision_at_k,
    r_precision,
    recall_at_k,
)
from ._retrieval_report import RetrievalReport, retrieval_report
from ._scorer import RetrievalScorer
from ._verification import VerificationReport, verification_report

__all__ = [
    "Comparison",
    "RetrievalReport",
    "RetrievalScorer",
    "VerificationReport",
    "compare",
    "f1_at_k",
    "graded_ndcg_at_k",
    "ir_recall_at_k",
    "map_at_r",
    "mean_average_precision",
    "mean_average_precision_at_k",
    "mean_reciprocal_rank",
    "ndcg_at_k",
    "precision_at_k",
    "r_precision",
    "recall_at_k",
    "retrieval_report",
    "verification_report",
]

publish(__name__)
