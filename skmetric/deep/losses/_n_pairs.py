"""Multi-class N-pair loss."""

from numbers import Real

import torch
from torch.nn.functional import softplus

from skmetric._params import Interval

from ._base import BatchLoss, report_missing
from ._distance import masked_logsumexp, relations
from ._reduction import Reduction


class NPairsLoss(BatchLoss):
    r"""Multi-class N-pair loss: a positive against one sample of every other class [1]_.

    .. math:: \operatorname{mean}_{(a, p)} \log\Bigl(1 + \sum_{c \neq y_a} \operatorname{mean}_{n \in c}
              e^{x_a^\top x_n - x_a^\top x_p}\Bigr) + \lambda \operatorname{mean}_i \|x_i\|^2

    [1]_ draw one pair of each class, and its positive is the negative of the others. Here all positive
    pairs of the batch count, and a class stands for the mean over its samples: the expectation over such
    draws, which depends on no order. The embeddings are not normalised: the inner product needs their
    length.

    Parameters
    ----------
    norm_weight : float, default=0.0
        Weight λ of the mean squared length, which [1]_ recommend to keep small.

    See Also
    --------
    NTXentLoss : On the sphere, at a temperature.
    TupletMarginLoss : With a margin on the angle.

    References
    ----------
    .. [1] K. Sohn, "Improved deep metric learning with multi-class N-pair loss objective", NIPS 2016,
       equation 7 and section 3.2.2.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> NPairsLoss()(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(0 - 1))
    tensor(0.3133)
    """

    _parameter_constraints = {"norm_weight": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, norm_weight: float = 0.0) -> None:
        self.norm_weight = norm_weight

    def _value(self, embeddings: torch.Tensor, labels: torch.Tensor, reduce: Reduction) -> torch.Tensor:
        positive, negative = relations(labels, len(labels))
        report_missing(positive, negative)
        products = embeddings @ embeddings.T  # (batch, batch)
        class_sizes = 1 + positive.sum(0)
        others = masked_logsumexp(products - class_sizes.to(products.dtype).log(), negative)
        value = reduce.over(softplus(others[:, None] - products), positive)
        return value + self.norm_weight * reduce.of_rows(embeddings.square().sum(1))
