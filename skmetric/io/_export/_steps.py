"""Steps that are no networks, as modules of torch: linear learners, and transformers of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)
from torch import Tensor, nn

from skmetric.base import MahalanobisMixin
from skmetric.weak import FromLabels

__all__ = ["module_of_step"]


class _Linear(nn.Module):
    """``(x - mean) @ components.T`` after a power, between rows of unit length if they are wanted."""

    mean: Tensor | None
    components: Tensor

    def __init__(
        self,
        components: NDArray[Any],
        mean: NDArray[Any] | None = None,
        *,
        power: float = 1.0,
        normalize: bool = False,
    ) -> None:
        super().__init__()
        self.power, self.normalize = power, normalize
        self.register_buffer("components", _float32(components))  # (n_components, n_features)
        self.register_buffer("mean", None if mean is None else _float32(mean))

    def forward(self, rows: Tensor) -> Tensor:
        """Embeddings (n, n_components) of rows (n, n_features)."""
        if self.power != 1:
            rows = torch.sign(rows) * torch.abs(rows) ** self.power
        rows = _unit_rows(rows) if self.normalize else rows
        rows = rows if self.mean is None else rows - self.mean
        embeddings = rows @ self.components.T
        return _unit_rows(embeddings) if self.normalize else embeddings


class _Affine(nn.Module):
    """``(x - shift) / scale``, then cut off at bounds."""

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Any, scale: Any, bounds: tuple[float, float] | None = None) -> None:
        super().__init__()
        self.register_buffer("shift", _float32(shift))
        self.register_buffer("scale", _float32(scale))
        self.bounds = bounds

    def forward(self, rows: Tensor) -> Tensor:
        """Scaled rows (n, n_features)."""
        scaled = (rows - self.shift) / self.scale
        return scaled if self.bounds is None else scaled.clamp(*self.bounds)


class _Length(nn.Module):
    """Rows over their norm; zero rows stay."""

    def __init__(self, norm: str) -> None:
        super().__init__()
        self.order = {"l1": 1.0, "l2": 2.0, "max": float("inf")}[norm]

    def forward(self, rows: Tensor) -> Tensor:
        """Rows (n, n_features) of length 1."""
        lengths = torch.linalg.vector_norm(rows, self.order, dim=1, keepdim=True)
        return rows / torch.where(lengths == 0, 1.0, lengths)


def _unit_rows(rows: Tensor) -> Tensor:
    """Rows of length 1, zero rows as they are; over the largest value first, so that squares stay finite."""
    largest = rows.abs().amax(dim=1, keepdim=True)
    rows = rows / torch.where(largest > 0, largest, 1.0)
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return rows / torch.where(lengths > 0, lengths, 1.0)


def _float32(values: Any) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32))


# One function a class


def _mahalanobis(learner: Any) -> nn.Module:
    return _Linear(
        learner.components_,
        getattr(learner, "mean_", None),
        power=float(getattr(learner, "power_", 1.0)),
        normalize=bool(getattr(learner, "normalize_", False)),
    )


def _pca(step: Any) -> nn.Module:
    scale = np.sqrt(step.explained_variance_)[:, None] if step.whiten else 1.0
    if step.whiten:  # scikit-learn's own floor, for directions without variance
        scale = np.maximum(scale, np.finfo(step.components_.dtype).eps)
    return _Linear(step.components_ / scale, step.mean_)


def _standard(step: Any) -> nn.Module:
    return _Affine(_or(step.mean_ if step.with_mean else None, 0), _or(step.scale_, 1))


def _min_max(step: Any) -> nn.Module:
    low, high = map(float, step.feature_range)
    return _Affine(-step.min_ / step.scale_, 1 / step.scale_, (low, high) if step.clip else None)


def _robust(step: Any) -> nn.Module:
    return _Affine(_or(step.center_, 0), _or(step.scale_, 1))


def _function(step: Any) -> nn.Module:
    if step.func is not None:
        raise TypeError(f"FunctionTransformer calls {step.func!r}, code that cannot be exported")
    return nn.Identity()


def _or(values: Any, otherwise: float) -> Any:
    return otherwise if values is None else values


_STEPS: dict[type, Callable[[Any], nn.Module]] = {  # exactly these classes: a subclass may do something else
    StandardScaler: _standard,
    MinMaxScaler: _min_max,
    MaxAbsScaler: lambda step: _Affine(0, step.scale_, (-1.0, 1.0) if getattr(step, "clip", False) else None),
    RobustScaler: _robust,
    Normalizer: lambda step: _Length(step.norm),
    PCA: _pca,
    TruncatedSVD: lambda step: _Linear(step.components_),
    FunctionTransformer: _function,
}


def module_of_step(step: Any) -> nn.Module:
    """The transform of a fitted step as a module from rows to rows.

    Raises
    ------
    TypeError
        If it cannot be exported; the message names it.
    """
    if type(step) is FromLabels:
        return module_of_step(step.estimator_)
    if isinstance(step, MahalanobisMixin) and type(step)._embed is MahalanobisMixin._embed:
        return _mahalanobis(step)
    if type(step) in _STEPS:
        return _STEPS[type(step)](step)
    known = ", ".join(sorted(kind.__name__ for kind in _STEPS))
    raise TypeError(
        f"{type(step).__name__} cannot be exported: what can are learners of this package, FrozenFeatures, "
        f"and of scikit-learn {known}. Do its part before the exported model, or leave it out"
    )
