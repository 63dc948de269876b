"""Log-ratio loss of grades."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._base import report
from ._epoch import when_known
from ._graded import RELEVANCE, GradedPairLoss, as_graded
from ._named_distances import DISTANCE
from ._pair import DistancePairLoss
from ._reduction import Reduction


class LogRatioLoss(GradedPairLoss, DistancePairLoss):
    r"""Log-ratio loss: distances from an anchor should have the ratio that the grades ask for [1]_.

    .. math:: \operatorname{mean}_{(a, i, j)} \Bigl(\log \frac{D_{ai} + 2 \epsilon}{D_{aj} + 2 \epsilon}
              - \log \frac{\delta_{ai} + \epsilon}{\delta_{aj} + \epsilon}\Bigr)^2, \quad
              \delta = 1 - g / g_{\max}

    over all anchors and all ordered pairs of other samples, with g the grade, from 0 (nothing in common) to
    :math:`g_{\max}` (alike), and D the squared Euclidean distance. On the unit sphere :math:`D = 2 - 2 \cos`,
    so that the value is 0 if each cosine is :math:`g / g_{\max}`. The sum over pairs is a variance: time and
    memory are O(batch²). [1]_ take distances between labels, such as poses; ε is ours, for grades that are
    at their maximum. The embeddings are not normalised.

    Parameters
    ----------
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default="labels"
        What the labels of a call are. "labels": classes (batch,), grades 1 and 0. "multilabel": 0 and 1
        (batch, n_labels), the grade is the number of labels in common over that of the labels of either.
        "hierarchy": integers (batch, n_levels) from coarse to fine, the grade is the share of levels in
        common. A square matrix has the grades themselves, and labels number its rows. A callable gives the
        grades (n, m) of n and m labels. In :class:`~skmetric.deep.DeepMetricLearner` leave it: the
        `relevance` of the learner is used.
    max_grade : float, default=1.0
        The grade :math:`g_{\max}` of samples that are alike; higher grades count as this one.
    epsilon : float, default=0.1
        Offset ε, in units of :math:`1 - \cos`; the larger it is, the less small distances matter.
    distance : {"squared_euclidean", "euclidean", "cosine"} or callable, default="squared_euclidean"
        The distance D, which must not be negative. A callable or module gives the matrix (n, m) of distances
        between n and m rows.

    See Also
    --------
    CosineRegressionLoss : Asks for the cosine itself, not for a ratio.
    SupConLoss : A softmax with grades as weights.

    References
    ----------
    .. [1] S. Kim et al., "Deep metric learning beyond binary supervision", CVPR 2019, equation 3.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])  # cosines .8, 0 and .6
    >>> grades = torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.0, 0.6], [0.0, 0.6, 1.0]])
    >>> round(float(LogRatioLoss(relevance=grades)(embeddings, torch.arange(3))), 4)
    0.0
    """

    _parameter_constraints = {
        "relevance": RELEVANCE,
        "max_grade": [Interval(Real, 0, None, closed="neither")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "distance": DISTANCE,
    }

    def __init__(
        self,
        relevance: Any = "labels",
        max_grade: float = 1.0,
        epsilon: float = 0.1,
        distance: str | Callable[..., torch.Tensor] = "squared_euclidean",
    ) -> None:
        self.relevance = relevance
        self.max_grade = max_grade
        self.epsilon = epsilon
        self.distance = distance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        if self.distance == "dot_product":
            raise ValueError("LogRatioLoss takes logarithms of distances: distance='dot_product' is negative")
        grades, valid = as_graded(tuples, matrix)
        wanted = (1 - grades / self.max_grade).clamp_min(0) + self.epsilon
        logs = (matrix.clamp_min(0) + 2 * self.epsilon).log() - wanted.log()  # (n_anchors, n_others)
        n_others = valid.sum(1)
        when_known(_report_few, ~(n_others > 1).any()[None])
        # the mean of (u_i - u_j)² over ordered pairs is twice the variance with n - 1
        means = torch.where(valid, logs, 0).sum(1) / n_others.clamp_min(1)
        squares = torch.where(valid, (logs - means[:, None]).square(), 0).sum(1)
        return reduce.over(2 * squares / (n_others - 1).clamp_min(1), n_others > 1)


def _report_few(lacks: list[bool]):
    if any(lacks):
        report("the batch has no anchor with two others to compare: draw at least three samples")
