"""What comes after the trunk: generalised-mean pooling, unit length."""

import torch
from torch import nn
from torch.nn import functional as F

_SMALLEST = 1e-6


class GeM(nn.Module):
    """Generalised-mean pooling of feature maps, its power learned.

    ``(mean over places of x ** power) ** (1 / power)``: power 1 is the average, infinity the maximum.

    Parameters
    ----------
    power : float, default=3.0
        Where the learned power starts.

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

    def __init__(self, power=3.0):
        super().__init__()
        self.power = nn.Parameter(torch.tensor(float(power)))

    def forward(self, maps):
        """Pool maps over their places.

        Parameters
        ----------
        maps : Tensor of shape (n, C, H, W)
            Feature maps; values below 1e-6 count as that.

        Returns
        -------
        features : Tensor of shape (n, C)
            One value a channel.
        """
        powered = maps.clamp(min=_SMALLEST) ** self.power
        return powered.mean(dim=(-2, -1)) ** (1 / self.power)


class L2Normalize(nn.Module):
    """Scale rows to unit length, where Euclidean and cosine distance order alike.

    Examples
    --------
    >>> import torch
    >>> from skmetric.deep.modules import L2Normalize
    >>> L2Normalize()(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    def __init__(self):
        super().__init__()

    def forward(self, rows):
        """Scale rows; zero rows stay.

        Parameters
        ----------
        rows : Tensor of shape (n, n_components)
            Embeddings of any length.

        Returns
        -------
        rows : Tensor of shape (n, n_components)
            Of length 1.
        """
        return F.normalize(rows, dim=-1)
