"""Scores of embeddings and of distances between pairs; a scorer for scikit-learn's model selection."""

from skmetric._modules import publish

from . import _graded_retrieval, _retrieval
from ._comparison import Comparison, compare
from ._graded_retrieval import *  # noqa: F403
from ._retrieval import *  # noqa: F403
from ._retrieval_report import RetrievalReport, retrieval_report
from ._scorer import RetrievalScorer
from ._verification import VerificationReport, verification_report

__all__ = [
    "Comparison",
    "RetrievalReport",
    "RetrievalScorer",
    "VerificationReport",
    "compare",
    "retrieval_report",
    "verification_report",
]
__all__ += _retrieval.__all__
__all__ += _graded_retrieval.__all__

publish(__name__)
