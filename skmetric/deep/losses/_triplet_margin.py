"""Triplet margin loss, over all triplets of a batch or over mined ones."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch
from torch.nn.functional import softplus

from skmetric._params import Interval, StrOptions
from skmetric.deep.miners._base import Triplets

from ._base import share
from ._distance import with_gradient
from ._epoch import most_positives
from ._named_distances import DISTANCE
from ._pair import DistancePairLoss
from ._reduction import Reduction


class TripletMarginLoss(DistancePairLoss):
    r"""Triplet loss: an anchor nearer to a positive than to a negative, by a margin [1]_.

    .. math:: \operatorname{mean}_{(a, p, n)}\, [m + d(a, p) - d(a, n)]_+

    Without a miner over *all* triplets of the batch (batch-all [2]_), at the price of a sort: each anchor's
    positives are sorted, each negative is counted against those it is too near to, and cumulative sums give
    value and gradient. Time is O(batch² log batch), memory O(batch²). The soft margin and the swap admit no
    such order and take O(batch² · positives of an anchor) time, in O(batch²) memory too.
    ``miner=BatchHardMiner()`` is batch-hard [2]_, ``miner=SemiHardMiner()`` semi-hard [1]_. The embeddings
    are not normalised.

    Parameters
    ----------
    margin : float, default=0.2
        Distance by which negatives must be farther.
    soft_margin : bool, default=False
        Replace the hinge :math:`[x]_+` by :math:`\log(1 + e^x)`, which never stops pulling; [2]_ use it with
        ``margin=0``.
    swap : bool, default=False
        Measure the negative from the anchor or from the positive, whichever is nearer to it [3]_.
    average : {"active", "all"}, default="active"
        Mean over the triplets that cost something, or over all.
    miner : Miner or callable, default=None
        Chooses the triplets; None takes all.
    distance : {"euclidean", "squared_euclidean", "cosine", "dot_product"} or callable, default="euclidean"
        The distance d. "cosine" is one minus the cosine; "dot_product" is the negative inner product. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    AngularLoss : Bounds an angle instead.
    skmetric.deep.miners : Which triplets count.
    skmetric.deep.TripletLearner : Learns from triplets as data.

    References
    ----------
    .. [1] F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: a unified embedding for face recognition and
       clustering", CVPR 2015.
    .. [2] A. Hermans, L. Beyer and B. Leibe, "In defense of the triplet loss for person re-identification",
       2017, arXiv:1703.07737.
    .. [3] V. Balntas et al., "Learning local feature descriptors with triplets and shallow convolutional
       neural networks", BMVC 2016.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[0.0], [1.0], [1.5]])
    >>> TripletMarginLoss(margin=0.2)(embeddings, torch.tensor([0, 0, 1]))  # anchor 1: 0.2 + 1 - 0.5
    tensor(0.7000)
    """

    _parameter_constraints = {
        "margin": [Interval(Real, 0, None, closed="left")],
        "soft_margin": ["boolean"],
        "swap": ["boolean"],
        "average": [StrOptions({"active", "all"})],
        "miner": [callable, None],
        "distance": DISTANCE,
    }
    _takes_triplets = True

    def __init__(
        self,
        margin: float = 0.2,
        soft_margin: bool = False,
        swap: bool = False,
        average: str = "active",
        miner: Callable[..., Any] | None = None,
        distance: str | Callable[..., torch.Tensor] = "euclidean",
    ) -> None:
        self.margin = margin
        self.soft_margin = soft_margin
        self.swap = swap
        self.average = average
        self.miner = miner
        self.distance = distance

    @property
    def _of_columns(self) -> bool:  # type: ignore[override]
        return self.swap

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        if self.swap and matrix.shape[0] != matrix.shape[1]:
            raise ValueError("swap=True needs distances among all samples: it does not go with a memory")
        if isinstance(tuples, Triplets):
            return self._of_triplets(matrix, tuples, reduce)
        if self.soft_margin or self.swap:
            return self._by_positive(matrix, tuples.positive, tuples.negative, reduce)
        return self._by_counting(matrix, tuples.positive, tuples.negative, reduce)

    def _of_triplets(self, matrix: torch.Tensor, triplets, reduce: Reduction):
        anchor, positive, negative = triplets
        to_negative = matrix[anchor, negative]
        if self.swap:
            to_negative = torch.minimum(to_negative, matrix[positive, negative])
        costs = self._cost(matrix[anchor, positive] - to_negative)
        none = matrix.new_zeros(len(matrix))
        n_active = none.index_add(0, anchor, (costs > 0).to(none.dtype))
        n_all = none.index_add(0, anchor, torch.ones_like(costs))
        return reduce.of_sums(none.index_add(0, anchor, costs), self._counted(n_active, n_all))

    def _by_counting(
        self, matrix: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, reduce: Reduction
    ):
        """The hinge is linear in distances that carry, as weights, in how many active triplets they stand."""
        with torch.no_grad():
            weights, n_active = count_active(matrix, positive, negative, self.margin)
            counted = self._counted(n_active, _n_triplets(positive, negative))
        return reduce.of_sums((weights * matrix).sum(1) + self.margin * n_active, counted)

    def _by_positive(
        self, matrix: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, reduce: Reduction
    ):
        """Value and gradient, one positive of every anchor at a time."""
        if reduce.each and self.swap:
            raise ValueError(
                "reduction='none' does not go with swap=True, which uses distances of other rows"
            )
        with torch.no_grad():
            sums, n_active = matrix.new_zeros(len(matrix)), matrix.new_zeros(len(matrix))
            weights = torch.ones_like(sums) if reduce.weights is None else reduce.weights
            gradient = torch.zeros_like(matrix)
            columns, filled = positives_in_turn(positive)
            for column, there in zip(columns.T, filled.T, strict=True):  # (n_anchors,)
                costs, slopes, crossed = self._against_negatives(matrix, column, there, negative)
                sums += costs.sum(1)
                n_active += (costs > 0).sum(1)
                slopes = slopes * weights[:, None]
                gradient.scatter_add_(1, column[:, None], slopes.sum(1, keepdim=True))
                gradient -= slopes.masked_fill(crossed, 0)
                if self.swap:
                    gradient.index_add_(0, column, -slopes.masked_fill(~crossed, 0))
            counted = self._counted(n_active, _n_triplets(positive, negative))
            divisor = reduce.divisor(counted)
            gradient /= divisor[:, None] if reduce.each else divisor
        return with_gradient(matrix, reduce.of_sums(sums, counted), gradient)

    def _against_negatives(self, matrix: torch.Tensor, column, there, negative: torch.Tensor):
        """Cost and slope of the triplets of each anchor with one of its positives, and where a swap happens.

        `column` (n_anchors,) is the positive, `there` (n_anchors,) says whether the anchor has one.
        """
        to_negative, crossed = matrix, torch.zeros_like(negative)  # (n_anchors, n_others)
        if self.swap:
            crossed = matrix[column] < to_negative
            to_negative = torch.minimum(to_negative, matrix[column])
        excess = matrix.gather(1, column[:, None]) - to_negative
        costs = self._cost(excess).masked_fill(~(negative & there[:, None]), 0)
        slopes = (self.margin + excess).sigmoid() if self.soft_margin else torch.ones_like(excess)
        return costs, slopes.masked_fill(costs == 0, 0), crossed

    def _cost(self, excess):
        return softplus(self.margin + excess) if self.soft_margin else torch.relu(self.margin + excess)

    def _counted(self, n_active: torch.Tensor, n_all: torch.Tensor):
        """Triplets of each anchor that the mean is over; the share of active ones is noted."""
        self.active_share_ = share(n_active.sum(), n_all.sum())
        return (n_active if self.average == "active" else n_all).to(n_active.dtype)


def _n_triplets(positive: torch.Tensor, negative: torch.Tensor):
    """Number of triplets of each anchor."""
    return positive.sum(1) * negative.sum(1)


def positives_in_turn(positive: torch.Tensor):
    """Columns of the positives of each anchor (n_anchors, n_turns), and which entries are filled."""
    filled, columns = positive.to(torch.uint8).topk(most_positives(positive), dim=1)
    return columns, filled.bool()


def count_active(distances, positive: torch.Tensor, negative: torch.Tensor, margin):
    """In how many triplets with m + d(a, p) > d(a, n) each distance stands: + as d(a, p), - as d(a, n).

    Returns the signed counts, of the shape of `distances`, and the number of active triplets of each anchor.
    """
    columns, filled = positives_in_turn(positive)  # (n_anchors, n_turns)
    n_turns = columns.shape[1]
    limits = (distances.gather(1, columns) + margin).masked_fill(~filled, -torch.inf)
    limits, order = limits.sort(1)  # (n_anchors, n_turns); -inf stands for no positive
    passed = torch.searchsorted(limits, distances, right=True)  # limits that the distance keeps
    passed = passed.masked_fill(~negative, n_turns)
    histogram = distances.new_zeros((len(distances), n_turns + 1))
    histogram.scatter_add_(1, passed, torch.ones_like(distances))
    within = histogram.cumsum(1)[:, :n_turns]  # negatives nearer than each limit
    within = torch.empty_like(within).scatter_(1, order, within).masked_fill(~filled, 0)
    counts = (passed - n_turns).to(distances.dtype).scatter_add_(1, columns, within)  # 0 at a positive so far
    return counts, within.sum(1)
