"""The distances that a loss of pairs can compare by, by name."""

from collections.abc import Callable
from typing import Any

import torch

from skmetric._params import StrOptions

from ._distance import cosine, euclidean, unit

NAMES = ("euclidean", "squared_euclidean", "cosine", "dot_product")
DISTANCE: list[Any] = [StrOptions(set(NAMES)), callable]  # what the parameter `distance` may be


def distances(distance: str | Callable[..., torch.Tensor], a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Distances (n_a, n_b) between rows, smaller is nearer.

    "cosine" is 1 less the cosine. "dot_product" is the negative inner product, which has no lower bound.
    """
    if distance == "euclidean":
        return euclidean(a, b)
    if distance == "squared_euclidean":
        return euclidean(a, b).square()
    if distance == "cosine":
        return 1 - cosine(a, b)
    if distance == "dot_product":
        return -(a @ b.T)
    return _of_callable(distance, a, b)


def similarities(
    distance: str | Callable[..., torch.Tensor], a: torch.Tensor, b: torch.Tensor
) -> torch.Tensor:
    """Similarities (n_a, n_b) between rows: cosine, inner product, or the negative distance."""
    return cosine(a, b) if distance == "cosine" else -distances(distance, a, b)


def distances_in_tuples(
    distance: str | Callable[..., torch.Tensor], first: torch.Tensor, others: torch.Tensor
) -> torch.Tensor:
    """Distances (n_tuples, n_others) of the first member of each tuple from the other members.

    `first` is (n_tuples, 1, n_components), `others` (n_tuples, n_others, n_components).
    """
    if distance in ("euclidean", "squared_euclidean"):
        squared = (first - others).square().sum(dim=-1)
        return _root(squared) if distance == "euclidean" else squared
    if distance == "cosine":
        return 1 - (unit(first) * unit(others)).sum(dim=-1)
    if distance == "dot_product":
        return -(first * others).sum(dim=-1)
    columns = [distances(distance, first[:, 0], others[:, k]).diagonal() for k in range(others.shape[1])]
    return torch.stack(columns, dim=1)


def similarities_in_tuples(
    distance: str | Callable[..., torch.Tensor], first: torch.Tensor, others: torch.Tensor
) -> torch.Tensor:
    """Similarities (n_tuples, n_others), as :func:`distances_in_tuples`."""
    if distance == "cosine":
        return (unit(first) * unit(others)).sum(dim=-1)
    return -distances_in_tuples(distance, first, others)


def _root(squared: torch.Tensor) -> torch.Tensor:
    """Square root whose gradient is 0 at 0."""
    return torch.where(squared > 0, squared.clamp_min(torch.finfo(squared.dtype).tiny).sqrt(), 0)


def _of_callable(distance: Any, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    matrix = distance(a, b)
    wanted = (len(a), len(b))
    if not isinstance(matrix, torch.Tensor) or matrix.shape != wanted:
        given = tuple(matrix.shape) if isinstance(matrix, torch.Tensor) else type(matrix).__name__
        name = getattr(distance, "__name__", type(distance).__name__)
        raise ValueError(
            f"distance={name} must give a tensor {wanted}, the distance of each row of its first argument "
            f"from each row of its second; it gave {given}"
        )
    return matrix
