"""Margin loss with a learned boundary."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval
from skmetric.deep.miners._base import Pairs, as_pairs

from ._base import ParametricLoss, check_labels_in_range, report_missing, share
from ._distance import euclidean, relations, unit
from ._named_distances import DISTANCE
from ._named_distances import distances as named_distances
from ._reduction import Reduction

_DIAMETER = 2.0  # of the unit sphere


class MarginLoss(ParametricLoss):
    r"""Margin loss: positive pairs within a learned distance β, negative pairs beyond it, by a margin [1]_.

    .. math:: \frac{1}{|A|} \Bigl(\sum_P [m + d - \beta]_+ + \sum_N [m + \beta - d]_+\Bigr)
              + \nu\, \bar\beta

    with A the pairs that cost something, and :math:`\bar\beta` the mean boundary over the batch. [1]_ draw
    the negatives: ``miner=DistanceWeightedMiner(n_components)``.

    Parameters
    ----------
    margin : float, default=0.2
        Margin m.
    beta : float, default=1.2
        Boundary β to start from: in [0, 2] unless `distance` is given.
    class_beta : bool, default=False
        Learn a boundary for each class; the pair has that of its anchor.
    nu : float, default=0.0
        Weight of the boundary itself, which holds it down.
    miner : Miner or callable, default=None
        Chooses the pairs; None takes all.
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default=None
        The distance d. None is Euclidean between embeddings normalised inside, as [1]_ have it; all others
        take the embeddings as they are. "cosine" is one minus the cosine; "dot_product" is the negative inner
        product. A callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    ContrastiveLoss : Two fixed bounds.
    skmetric.deep.miners.DistanceWeightedMiner : Its usual miner.

    References
    ----------
    .. [1] C.-Y. Wu et al., "Sampling matters in deep embedding learning", ICCV 2017, equations 6 and 7.

    Examples
    --------
    >>> import torch
    >>> loss = MarginLoss(margin=0.2, beta=1.2).bind(n_components=2, n_classes=2)
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])  # √2 apart, or together
    >>> loss(embeddings, torch.tensor([0, 0, 1])).item()  # two of .2 + √2 - 1.2, two of .2 + 1.2
    0.907...
    """

    _parameter_constraints = {
        "margin": [Interval(Real, 0, None, closed="left")],
        "beta": [Interval(Real, None, None, closed="neither")],
        "class_beta": ["boolean"],
        "nu": [Interval(Real, 0, None, closed="left")],
        "miner": [callable, None],
        "distance": [*DISTANCE, None],
    }
    distance: str | Callable[..., torch.Tensor] | None = None  # also of losses that earlier versions pickled

    def __init__(
        self,
        margin: float = 0.2,
        beta: float = 1.2,
        class_beta: bool = False,
        nu: float = 0.0,
        miner: Callable[..., Any] | None = None,
        distance: str | Callable[..., torch.Tensor] | None = None,
    ) -> None:
        self.margin = margin
        self.beta = beta
        self.class_beta = class_beta
        self.nu = nu
        self.miner = miner
        self.distance = distance

    def _parameters(self, n_components: int, n_classes: int, generator: torch.Generator | None):
        if self.distance is None and not 0 <= self.beta <= _DIAMETER:
            raise ValueError(
                f"beta must lie in [0, 2], the distances on the unit sphere; got {self.beta!r}. Other "
                "boundaries are for distance='euclidean', which takes the embeddings as they are"
            )
        return {"beta": torch.full((n_classes if self.class_beta else 1,), float(self.beta))}

    def _value(
        self, embeddings: torch.Tensor, labels: torch.Tensor, reduce: Reduction, beta: torch.Tensor
    ) -> torch.Tensor:
        if self.class_beta:
            check_labels_in_range(labels, len(beta))
        pairs = Pairs(*relations(labels, len(labels)))
        report_missing(*pairs)
        distances = self._distances(embeddings)
        if self.miner is not None:
            named = getattr(self.miner, "distance", None)
            with torch.no_grad():
                seen = distances if named is None else named_distances(named, embeddings, embeddings)
            pairs = as_pairs(self.miner(seen.detach(), labels), distances)
        boundary = beta.to(embeddings.dtype)[labels if self.class_beta else torch.zeros_like(labels)]
        near = torch.relu(self.margin + distances - boundary[:, None]) * pairs.positive
        far = torch.relu(self.margin + boundary[:, None] - distances) * pairs.negative
        n_active = (near > 0).sum(1) + (far > 0).sum(1)  # (batch,)
        self.active_share_ = share(n_active.sum(), pairs.positive.sum() + pairs.negative.sum())
        value = reduce.of_sums((near + far).sum(1), n_active.to(near.dtype))
        return value + self.nu * reduce.of_rows(boundary)

    def _distances(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Distances (batch, batch)."""
        if self.distance is not None:
            return named_distances(self.distance, embeddings, embeddings)
        sphere = unit(embeddings)
        return euclidean(sphere, sphere)
