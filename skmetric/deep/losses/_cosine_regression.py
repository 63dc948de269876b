"""Regression of cosines on grades."""

from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._graded import RELEVANCE, GradedPairLoss, as_graded
from ._pair import SimilarityPairLoss
from ._reduction import Reduction


class CosineRegressionLoss(GradedPairLoss, SimilarityPairLoss):
    r"""Regression of cosines on grades: each cosine should equal the grade of its pair [1]_.

    .. math:: \operatorname{mean}_{(a, i)} \bigl(\cos(x_a, x_i) - g_{ai} / g_{\max}\bigr)^2

    over all pairs of the batch, with g the grade, from 0 (nothing in common) to :math:`g_{\max}` (alike).
    The embeddings are normalised inside. [1]_ have the pairs as data; for such pairs
    :class:`~skmetric.deep.SiameseLearner` has further losses.

    Parameters
    ----------
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default="labels"
        What the labels of a call are, see :class:`LogRatioLoss`.
    max_grade : float, default=1.0
        The grade :math:`g_{\max}` of samples that are alike; higher grades count as this one.

    See Also
    --------
    LogRatioLoss : Ratios of distances, which need no absolute scale.
    SupConLoss : A softmax with grades as weights.

    References
    ----------
    .. [1] N. Reimers and I. Gurevych, "Sentence-BERT: sentence embeddings using Siamese BERT-networks",
       EMNLP 2019, section 3.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])  # cosines 1, 0 and 0
    >>> tags = torch.tensor([[1, 0], [1, 1], [0, 1]])  # overlaps of 1/2, 0 and 1/2
    >>> CosineRegressionLoss(relevance="multilabel")(embeddings, tags)  # (1/4 + 0 + 1/4) / 3
    tensor(0.1667)
    """

    _parameter_constraints = {
        "relevance": RELEVANCE,
        "max_grade": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(self, relevance: Any = "labels", max_grade: float = 1.0) -> None:
        self.relevance = relevance
        self.max_grade = max_grade

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        grades, valid = as_graded(tuples, matrix)
        wanted = (grades / self.max_grade).clamp_max(1)
        return reduce.over((matrix - wanted).square(), valid)
