"""Smooth-AP loss."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._named_distances import DISTANCE
from ._pair import SimilarityPairLoss
from ._ranking import mean_over_queries, smooth_ranks
from ._reduction import Reduction


class SmoothAPLoss(SimilarityPairLoss):
    r"""Smooth-AP: one less the average precision, ranks counted with sigmoids [1]_.

    .. math:: 1 - \operatorname{mean}_q \frac{1}{|P_q|} \sum_{p \in P_q}
              \frac{1 + \sum_{j \in P_q, j \neq p} \sigma((S_{qj} - S_{qp}) / \tau)}
              {1 + \sum_{j \neq q, p} \sigma((S_{qj} - S_{qp}) / \tau)}

    over the queries that have a positive; a query is not its own positive. S is the cosine: the embeddings
    are normalised inside. Queries are worked off in chunks: time is O(batch² · positives), memory
    O(batch²).

    Parameters
    ----------
    temperature : float, default=0.01
        Temperature τ of the sigmoid.
    distance : {"cosine", "euclidean", "squared_euclidean", "dot_product"} or callable, default="cosine"
        What the similarity S comes from: the cosine, the inner product, or the negative of a distance. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    FastAPLoss : Bins instead of sigmoids.
    skmetric.metrics.mean_average_precision : The score itself.

    References
    ----------
    .. [1] A. Brown et al., "Smooth-AP: smoothing the path towards large-scale image retrieval", ECCV 2020,
       equation 6.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> SmoothAPLoss()(embeddings, torch.tensor([0, 0, 1]))  # the positive comes first
    tensor(0.)
    """

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance": DISTANCE,
    }

    def __init__(
        self, temperature: float = 0.01, distance: str | Callable[..., torch.Tensor] = "cosine"
    ) -> None:
        self.temperature = temperature
        self.distance = distance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        return mean_over_queries(self._costs, matrix, tuples, reduce)

    def _costs(
        self, rows: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, n_slots: int
    ) -> torch.Tensor:
        masks = [positive, positive | negative]
        ranks, filled = smooth_ranks(rows, positive, masks, self.temperature, n_slots)
        among_positives, among_all = ranks
        precisions = torch.where(filled, among_positives / among_all, 0)  # (n_rows, n_slots)
        return 1 - precisions.sum(1) / filled.sum(1)
