"""Proxies that start where their classes are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skmetric._torch import to_tensor
from skmetric.deep.losses._proxy import Proxies


def proxies_in(loss: Any) -> list[Proxies]:
    """Layers of a bound loss that own proxies."""
    return [part for part in loss.modules() if isinstance(part, Proxies)] if hasattr(loss, "modules") else []


def start_at_class_means(loss: Any, embeddings: NDArray[np.float32], codes: NDArray[np.intp]) -> None:
    """Set each proxy to the direction of the mean of its class, at the mean length of proxies.

    Several proxies of a class stay apart by a tenth of what they were drawn with. A class without samples
    keeps its own.

    Parameters
    ----------
    loss : nn.Module
        Bound; it has proxies.
    embeddings : ndarray of shape (n_samples, n_components)
        Of the untrained network.
    codes : ndarray of shape (n_samples,)
        Their classes, positions among the proxies.
    """
    for owner in proxies_in(loss):
        drawn = owner.proxies.data  # (n_classes, n_components) or (n_classes, n_proxies, n_components)
        width = drawn.shape[-1]
        means = np.zeros((len(drawn), width))
        np.add.at(means, codes, embeddings[:, :width])
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        found = to_tensor((lengths > 0).ravel()).to(drawn.device)
        directions = to_tensor(means / np.maximum(lengths, np.finfo(float).tiny)).to(drawn)
        starts = directions * drawn.norm(dim=-1).mean()  # (n_classes, n_components)
        if drawn.ndim == 3:
            starts = starts[:, None] + 0.1 * drawn
        with torch.no_grad():
            owner.proxies[found] = starts[found]
