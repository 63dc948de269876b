"""InfoNCE on the Poincaré ball."""

from numbers import Real
from typing import Any

import torch

from skmetric._params import Interval
from skmetric.deep._poincare import CLIP, CURVATURE, from_chords, inside, into_ball

from ._distance import euclidean
from ._nt_xent import nt_xent
from ._pair import PairLoss
from ._reduction import Reduction


class HyperbolicInfoNCELoss(PairLoss):
    r"""InfoNCE of distances on the Poincaré ball [1]_.

    .. math:: -\operatorname{mean}_{(a, p)} \log
              \frac{e^{-D_{ap} / \tau}}{e^{-D_{ap} / \tau} + \sum_{n \in N_a} e^{-D_{an} / \tau}}, \quad
              D = \frac{2}{\sqrt c} \operatorname{arsinh}
              \frac{\sqrt c\, \|u - v\|}{\sqrt{(1 - c \|u\|^2) (1 - c \|v\|^2)}}

    over all positive pairs. The embeddings x are shortened to length r and mapped into the ball,
    :math:`u = \tanh(\sqrt c \|x\|)\, x / (\sqrt c \|x\|)`, unless they lie there already. The distance is
    that of [1]_, written without the difference of nearly equal numbers.

    Parameters
    ----------
    temperature : float, default=0.2
        Temperature τ.
    curvature : float, default=0.1
        Curvature c; the ball has the radius :math:`1 / \sqrt c`.
    clip : float or None, default=2.3
        Length r to which longer embeddings are shortened, which keeps gradients alive; None shortens none.
    on_ball : bool, default=False
        The embeddings are points of the ball already, as a ball head gives them: neither clip nor map.

    See Also
    --------
    NTXentLoss : The same on the sphere.
    skmetric.deep.modules.PoincareBall : The head that it needs.

    References
    ----------
    .. [1] A. Ermolov et al., "Hyperbolic vision transformers: combining improvements in metric learning",
       CVPR 2022, equations 2 to 6.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    >>> loss = HyperbolicInfoNCELoss(temperature=1.0)
    >>> loss(embeddings, torch.tensor([0, 0, 1]))  # the negative is 2 away: log(1 + exp(-2))
    tensor(0.1269)
    """

    _parameter_constraints = {
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "curvature": [Interval(Real, 0, None, closed="neither")],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "on_ball": ["boolean"],
    }

    def __init__(
        self,
        temperature: float = 0.2,
        curvature: float = CURVATURE,
        clip: float = CLIP,
        on_ball: bool = False,
    ) -> None:
        self.temperature = temperature
        self.curvature = curvature
        self.clip = clip
        self.on_ball = on_ball

    def _matrix(self, embeddings: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        if not self.on_ball:
            embeddings, others = (into_ball(x, self.curvature, self.clip) for x in (embeddings, others))
        return poincare(embeddings, others, self.curvature)

    def _value(self, matrix: torch.Tensor, tuples: Any, reduce: Reduction) -> torch.Tensor:
        return nt_xent(-matrix / self.temperature, tuples, reduce)


def poincare(u, v, curvature):
    """Distances (n_u, n_v) on the ball of this curvature; points at its rim count as just inside."""
    inside_u, inside_v = (inside(x, curvature) for x in (u, v))
    return from_chords(euclidean(u, v), inside_u[:, None], inside_v, curvature)
