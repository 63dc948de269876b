"""The closed form of MetricLearner as a layer: where a network starts, or where it ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skmetric._torch import to_tensor
from skmetric.deep.losses._base import full_precision, widen
from skmetric.linear import MetricLearner


class ClosedForm(nn.Module):
    """Power, unit length, centre and map of a fitted :class:`skmetric.MetricLearner`, which are not trained.

    Parameters
    ----------
    mean : Tensor of shape (n_features,)
        Subtracted before the map.
    components : Tensor of shape (n_components, n_features)
        The map.
    power : float, default=1.0
        Of the absolute values; signs are kept.
    normalize : bool, default=True
        Whether rows are scaled to unit length before the map.
    """

    def __init__(
        self, mean: torch.Tensor, components: torch.Tensor, power: float = 1.0, normalize: bool = True
    ) -> None:
        super().__init__()
        self.mean = nn.Parameter(mean, requires_grad=False)
        self.components = nn.Parameter(components, requires_grad=False)
        self.power, self.normalize = power, normalize

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map rows (n, n_features) to (n, n_components), in float32."""
        with full_precision(rows):
            rows = widen(rows)
            if self.power != 1.0:
                rows = rows.sign() * rows.abs() ** self.power
            if self.normalize:
                rows = nn.functional.normalize(rows, dim=1, eps=torch.finfo(rows.dtype).tiny)
            return (rows - self.mean) @ self.components.T

    def as_the_last(self, rows: torch.Tensor) -> torch.Tensor:
        """Map rows of places by the power and the length of the last row, that of the whole image."""
        last = rows[-1]
        if self.power != 1.0:
            rows = rows * torch.where(last == 0, 0.0, last.abs() ** (self.power - 1))
        if self.normalize:
            rows = rows / rows[-1].norm().clamp(min=torch.finfo(rows.dtype).tiny)
        return (rows - self.mean) @ self.components.T

    def extra_repr(self) -> str:
        """Settings, for the printed network."""
        width, n_features = self.components.shape
        return f"{n_features} -> {width}, power={self.power:g}, normalize={self.normalize}"


def fit_closed_form(rows: NDArray[Any], y: NDArray[Any], *, seed: int, normalize: bool = True) -> ClosedForm:
    """Closed form of labelled rows as a layer.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Finite.
    y : ndarray of shape (n_samples,)
        Their classes, at least two.
    seed : int
        Draws the folds on which its settings are chosen.
    normalize : bool, default=True
        Whether rows have unit length before and after the map.

    Returns
    -------
    ClosedForm
        In float32, with all directions in the order of the closed form. If each class has one row, nothing
        is learned: it only scales rows to unit length.
    """
    if np.unique(y, return_counts=True)[1].max() < 2:
        width = rows.shape[1]
        return ClosedForm(torch.zeros(width), torch.eye(width), normalize=normalize)
    learner = MetricLearner(normalize=normalize, random_state=seed).fit(rows, y)
    # in one layout, that of a loaded network, so that both round alike
    mean, components = (
        to_tensor(np.array(array, np.float32, order="C")) for array in (learner.mean_, learner.components_)
    )
    return ClosedForm(mean, components, learner.power_, normalize)


def map_behind(closed_form: ClosedForm, rows: NDArray[Any], n_components: int | None = None) -> nn.Linear:
    """The map that is trained behind a closed form.

    Parameters
    ----------
    closed_form : ClosedForm
        Fitted.
    rows : ndarray of shape (n_samples, n_features)
        It was fitted on.
    n_components : int, default=None
        None starts as the identity, in the basis of the closed form: sorted by variance, the optimizer finds
        less. A number starts as the projection on that many directions, in which mapped rows vary most.

    Returns
    -------
    nn.Linear
        Without bias.
    """
    width = len(closed_form.components)
    behind = nn.Linear(width, n_components or width, bias=False)
    nn.init.eye_(behind.weight)
    if n_components is not None and n_components < width:
        with torch.no_grad():
            mapped = closed_form(to_tensor(rows)).double()
            _, directions = torch.linalg.eigh(torch.cov(mapped.T))  # (width, width), ascending
            behind.weight.copy_(directions[:, -n_components:].flip(1).T)
    return behind
