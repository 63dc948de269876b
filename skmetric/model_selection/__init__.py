"""Splits for metric learning: train on some classes, score on others; queries against a gallery."""

from skmetric._modules import publish

from ._candidate_notes import CandidateNotes
from ._class_disjoint import ClassDisjointKFold, ClassDisjointShuffleSplit, class_disjoint_split
from ._query_gallery import query_gallery_split

__all__ = [
    "CandidateNotes",
    "ClassDisjointKFold",
    "ClassDisjointShuffleSplit",
    "class_disjoint_split",
    "query_gallery_split",
]

publish(__name__)
