"""SimCLR's loss of two views."""

from collections.abc import Callable
from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval

from ._named_distances import DISTANCE
from ._nt_xent import nt_xent
from ._pair import SimilarityPairLoss
from ._reduction import Reduction


class SimCLRLoss(SimilarityPairLoss):
    r"""SimCLR's loss: each view picks the other view of its sample out of the batch [1]_.

    .. math:: -\frac{1}{2n} \sum_i \log \frac{e^{S_{i i'} / \tau}}{\sum_{k \neq i} e^{S_{ik} / \tau}}

    with i' the other view of i. No classes are needed: labels number the samples, as in
    ``torch.cat([first_views, second_views])`` with labels ``torch.arange(n).repeat(2)``. S is the cosine: the
    embeddings are normalised inside. It is :class:`NTXentLoss` at the temperature of [1]_.

    Parameters
    ----------
    temperature : float, default=0.5
        Temperature τ; [1]_ take 0.5 for small images and 0.1 for large batches of large ones.
    distance : {"cosine", "euclidean", "squared_euclidean", "dot_product"} or callable, default="cosine"
        What the similarity S comes from: the cosine, the inner product, or the negative of a distance. A
        callable or module gives the matrix (n, m) of distances between n and m rows.

    See Also
    --------
    NTXentLoss : The same with labels.
    skmetric.deep.augment.TwoViews : Makes the views.

    References
    ----------
    .. [1] T. Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020,
       equation 1.

    Examples
    --------
    >>> import torch
    >>> views = torch.eye(2)
    >>> loss = SimCLRLoss(temperature=1.0)
    >>> loss(torch.cat([views, views]), torch.tensor([0, 1, 0, 1]))  # -log(e / (e + 1 + 1))
    tensor(0.5514)
    """

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "distance": DISTANCE,
    }

    def __init__(
        self, temperature: float = 0.5, distance: str | Callable[..., torch.Tensor] = "cosine"
    ) -> None:
        self.temperature = temperature
        self.distance = distance

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        return nt_xent(matrix / self.temperature, tuples, reduce)
