"""What comes after the trunk: generalised-mean pooling, batch-norm neck, unit length, Poincaré ball."""

import torch
from torch import nn
from torch.nn import functional as F

from skmetric.deep._poincare import CLIP, CURVATURE, into_ball

_SMALLEST = 1e-6


class GeM(nn.Module):
    """Generalised-mean pooling of feature maps, its power learned.

    ``(mean over places of x ** power) ** (1 / power)``: power 1 is the average, infinity the maximum.

    Parameters
    ----------
    power : float, default=3.0
        Where the learned power starts.

    See Also
    --------
    BatchNormNeck : What may follow it.
    L2Normalize : What may follow it.

    References
    ----------
    .. [1] F. Radenovic, G. Tolias, O. Chum, "Fine-tuning CNN image retrieval with no human annotation",
       TPAMI 2019, eq. 3.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import GeM
    >>> maps = torch.tensor([[[[1.0, 3.0]]]])  # one image, one channel, two places
    >>> GeM(power=1.0)(maps).detach()
    tensor([[2.]])
    """

    def __init__(self, power: float = 3.0) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(float(power)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Pool maps over their places.

        Parameters
        ----------
        maps : Tensor of shape (n, C, H, W)
            Feature maps; values below 1e-6 count as that.

        Returns
        -------
        Tensor of shape (n, C)
            One value a channel.
        """
        powered = maps.clamp(min=_SMALLEST) ** self.power
        return powered.mean(dim=(-2, -1)) ** (1 / self.power)


class L2Normalize(nn.Module):
    """Scale rows to unit length, where Euclidean and cosine distance order alike.

    A row of zeros stays as it is.

    See Also
    --------
    PoincareBall : Inside a ball instead.
    BatchNormNeck : What may stand before it.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import L2Normalize
    >>> L2Normalize()(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Scale rows; zero rows stay.

        Parameters
        ----------
        rows : Tensor of shape (n, n_components)
            Embeddings of any length.

        Returns
        -------
        Tensor of shape (n, n_components)
            Of length 1.
        """
        return F.normalize(rows, dim=-1)


class BatchNormNeck(nn.BatchNorm1d):
    """Batch norm without a bias, between the trunk and the normalised embedding.

    It centres each component and brings all to one scale, so that no few of them decide the direction of the
    unit vector; the offset stays 0, so that the origin is the centre of the data. In [1]_ a triplet loss
    looks at what comes in and a softmax at what goes out; as a layer of one network, any loss looks at what
    goes out.

    Parameters
    ----------
    n_components : int
        Width of the rows.

    See Also
    --------
    L2Normalize : The sphere behind it.
    GeM : Pooling before it.

    References
    ----------
    .. [1] H. Luo et al., "Bag of tricks and a strong baseline for deep person re-identification", CVPR
       workshops 2019, section 3.5.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import BatchNormNeck
    >>> BatchNormNeck(1)(torch.tensor([[1.0], [3.0]])).detach()
    tensor([[-1.0000],
            [ 1.0000]])
    """

    def __init__(self, n_components: int) -> None:
        super().__init__(n_components)
        self.bias.requires_grad_(False)  # zero; without it, `state_dict` would not be that of BatchNorm1d


class PoincareBall(nn.Module):
    r"""Map rows into the Poincaré ball: the exponential map at the origin, of rows shortened to `clip`.

    .. math:: x \mapsto \tanh(\sqrt c\, \|x'\|) \frac{x'}{\sqrt c\, \|x'\|}, \quad
              x' = \min(1, r / \|x\|)\, x

    Distances on the ball of radius :math:`1 / \sqrt c` grow without bound towards its rim, which gives
    hierarchies room [1]_; shortening keeps points off the rim, where gradients vanish [2]_. It is the head of
    ``DeepMetricLearner(distance="poincare")``, before
    :class:`~skmetric.deep.losses.HyperbolicInfoNCELoss` with ``on_ball=True``.

    Parameters
    ----------
    curvature : float, default=0.1
        Curvature c, above 0.
    clip : float or None, default=2.3
        Length r to which longer rows are shortened; None shortens none.

    See Also
    --------
    skmetric.deep.losses.HyperbolicInfoNCELoss : The loss of its distance.
    L2Normalize : The sphere instead.

    References
    ----------
    .. [1] A. Ermolov et al., "Hyperbolic vision transformers: combining improvements in metric learning",
       CVPR 2022, equations 2 to 6.
    .. [2] Y. Guo et al., "Clipped hyperbolic classifiers are super-hyperbolic classifiers", CVPR 2022.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import PoincareBall
    >>> PoincareBall(curvature=1.0)(torch.tensor([[0.5, 0.0]]))  # tanh(0.5)
    tensor([[0.4621, 0.0000]])
    """

    def __init__(self, curvature: float = CURVATURE, clip: float = CLIP) -> None:
        super().__init__()
        if curvature <= 0:
            raise ValueError(f"curvature={curvature!r} must be above 0")
        if clip is not None and clip <= 0:
            raise ValueError(f"clip={clip!r} must be above 0, or None")
        self.curvature, self.clip = curvature, clip

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map rows.

        Parameters
        ----------
        rows : Tensor of shape (n, n_components)
            Embeddings of any length.

        Returns
        -------
        Tensor of shape (n, n_components)
            Of the ball, in float32 at least.
        """
        with torch.autocast(rows.device.type, enabled=False):
            return into_ball(rows.float() if rows.dtype.itemsize < 4 else rows, self.curvature, self.clip)

    def extra_repr(self) -> str:
        """Settings, for the printed network.

        Returns
        -------
        str
            Curvature and clip.
        """
        return f"curvature={self.curvature}, clip={self.clip}"
