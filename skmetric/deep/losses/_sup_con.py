"""Supervised contrastive loss."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._distance import masked_logsumexp
from ._graded import RELEVANCE, GradedPairLoss, as_graded
from ._named_distances import DISTANCE
from ._pair import SimilarityPairLoss
from ._reduction import Reduction


class SupConLoss(GradedPairLoss, SimilarityPairLoss):
    r"""Supervised contrastive loss, with the mean over positives outside the logarithm [1]_.

    .. math:: -\operatorname{mean}_a \frac{1}{|P_a|} \sum_{p \in P_a} \log
              \frac{e^{S_{ap} / \tau}}{\sum_{k \neq a} e^{S_{ak} / \tau}}

    over the anchors that have a positive. S is the cosine: the embeddings are normalised inside. With
    `relevance` a sample is a positive by its grade g, and :math:`\frac{1}{|P_a|} \sum_{p \in P_a}` becomes
    :math:`\frac{1}{\sum_p g_{ap}} \sum_p g_{ap}`, over all samples with a grade above 0 [2]_. With one label
    for each sample the values are the same.

    Parameters
    ----------
    temperature : float, default=0.1
        Temperature τ.
    distance : {"cosine", "euclidean", "squared_euclidean", "dot_product"} or callable, default="cosine"
        What the similarity S comes from: the cosine, the inner product, or the negative of a distance. A
        callable or module gives the matrix (n, m) of distances between n and m rows.
    relevance : {"labels", "multilabel", "hierarchy"}, array, sparse matrix or callable, default="labels"
        What the labels of a call are, see :class:`LogRatioLoss`.

    See Also
    --------
    NTXentLoss : One positive at a time.
    LogRatioLoss, CosineRegressionLoss : Other losses of grades.
    SimCLRLoss : For two views without labels.

    References
    ----------
    .. [1] P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020, equation 2.
    .. [2] N. Lin, G. Qin, G. Wang, D. Zhou and A. Yang, "An effective deployment of contrastive learning in
       multi-label text classification", Findings of ACL 2023: weights by the Jaccard overlap of labels.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> SupConLoss(temperature=1.0)(embeddings, torch.tensor([0, 0, 1]))  # -log(e / (e + 1))
    tensor(0.3133)
    >>> tags = torch.tensor([[1, 0], [1, 1], [0, 1]])  # overlaps of 1/2, 0 and 1/2
    >>> SupConLoss(temperature=1.0, relevance="multilabel")(embeddings, tags)
    tensor(0.6066)
    """

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance": DISTANCE,
        "relevance": RELEVANCE,
    }

    def __init__(
        self,
        temperature: float = 0.1,
        distance: str | Callable[..., torch.Tensor] = "cosine",
        relevance: Any = "labels",
    ) -> None:
        self.temperature = temperature
        self.distance = distance
        self.relevance = relevance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        grades, valid = as_graded(tuples, matrix)
        logits = matrix / self.temperature
        log_shares = logits - masked_logsumexp(logits, valid)[:, None]
        total = grades.sum(1)  # (n_anchors,)
        means = torch.where(grades > 0, grades * log_shares, 0).sum(1) / torch.where(total > 0, total, 1)
        return -reduce.over(means, total > 0)
