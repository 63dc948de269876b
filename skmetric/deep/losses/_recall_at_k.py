"""Recall@k surrogate loss."""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._named_distances import DISTANCE
from ._pair import SimilarityPairLoss
from ._ranking import mean_over_queries, smooth_ranks
from ._reduction import Reduction


class RecallAtKLoss(SimilarityPairLoss):
    r"""Recall@k surrogate: one less the share of positives among the first k, counted with sigmoids [1]_.

    .. math:: 1 - \operatorname{mean}_k \operatorname{mean}_q \frac{1}{\min(k, |P_q|)}
              \sum_{p \in P_q} \sigma\bigl((k - r_{qp}) / \tau_1\bigr), \quad
              r_{qp} = 1 + \sum_{j \neq q, p} \sigma\bigl((S_{qj} - S_{qp}) / \tau_2\bigr)

    over the queries that have a positive; the share of a query is at most 1. S is the cosine: the embeddings
    are normalised inside. Queries are worked off in chunks: time is O(batch² · positives), memory
    O(batch²).

    Divided by min(k, number of positives), a sharp and perfect ranking has recall 1 at every k, and the sum
    is cut off at k: both as in the code that the authors published. Two things in that code differ from this
    formula and are not followed: it compares each positive with the query itself too, which adds 1 to every
    rank, so that no positive ever stands first; and its settings widen the cut-off sigmoid with k (τ₁ = k),
    while here τ₁ is one for all k.

    Parameters
    ----------
    k : tuple of int, default=(1, 2, 4, 8, 16)
        Cut-offs; the loss is the mean over them.
    rank_temperature : float, default=1.0
        Temperature of the cut-off, in ranks.
    temperature : float, default=0.01
        Temperature of the comparisons, in cosines.
    distance : {"cosine", "euclidean", "squared_euclidean", "dot_product"} or callable, default="cosine"
        What the similarity S comes from: the cosine, the inner product, or the negative of a distance. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    SmoothAPLoss : Average precision instead.
    skmetric.metrics.recall_at_k : The score itself.

    References
    ----------
    .. [1] Y. Patel, G. Tolias and J. Matas, "Recall@k surrogate loss with large batches and similarity
       mixup", CVPR 2022.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> loss = RecallAtKLoss(k=(1,))
    >>> loss(embeddings, torch.tensor([0, 0, 1]))  # 1 - sigmoid(1 - 1)
    tensor(0.5000)
    """

    _parameter_constraints = {
        "k": [tuple, list],
        "rank_temperature": [Interval(Real, 0, None, closed="neither")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance": DISTANCE,
    }

    def __init__(
        self,
        k: Sequence[int] = (1, 2, 4, 8, 16),
        rank_temperature: float = 1.0,
        temperature: float = 0.01,
        distance: str | Callable[..., torch.Tensor] = "cosine",
    ) -> None:
        self.k = k
        self.rank_temperature = rank_temperature
        self.temperature = temperature
        self.distance = distance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        if not len(self.k) or min(self.k) < 1:
            raise ValueError(f"k must hold cut-offs from 1, got {self.k!r}")
        return mean_over_queries(self._costs, matrix, tuples, reduce)

    def _costs(
        self, rows: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, n_slots: int
    ) -> torch.Tensor:
        (ranks,), filled = smooth_ranks(rows, positive, [positive | negative], self.temperature, n_slots)
        n_positives, recalls = filled.sum(1), []
        for k in self.k:
            found = torch.where(filled, torch.sigmoid((k - ranks) / self.rank_temperature), 0).sum(1)
            possible = n_positives.clamp_max(k)  # (n_rows,)
            recalls.append(found.minimum(possible) / possible)  # found is below the number of positives
        return 1 - torch.stack(recalls).mean(0)
