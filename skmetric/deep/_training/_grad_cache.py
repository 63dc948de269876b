"""Exact gradients of a batch that does not fit the device as a whole.

L. Gao, Y. Zhang, J. Han, J. Callan, "Scaling deep contrastive learning batch size under memory limited
setup", RepL4NLP 2021. Embeddings of all parts are computed without a graph; the loss of the batch gives the
gradient at each embedding; each part is embedded once more, with its graph, to take that gradient to the
weights. The memory for activations is that of one part, and a step costs one more forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from skmetric._chance import generators, set_generators
from skmetric.deep._data._nested import n_samples, split_nested


class Cached(NamedTuple):
    """Embeddings of a batch, and what embeds its parts once more."""

    embeddings: torch.Tensor  # (n_batch, n_components), a leaf
    parts: list[Callable[[], torch.Tensor]]

    def backward(self) -> None:
        """Take the gradient of the embeddings to the weights, part by part."""
        if self.embeddings.grad is None:  # the loss depends on no embedding
            return
        end = generators()
        start = 0
        for part in self.parts:
            embeddings = part()
            gradient = self.embeddings.grad[start : start + len(embeddings)]
            start += len(embeddings)
            if embeddings.requires_grad:
                embeddings.backward(gradient)
        set_generators(end)


def in_parts(
    module: nn.Module, embed: Callable[[torch.Tensor], torch.Tensor], samples: torch.Tensor, size: int
) -> Cached:
    """Embed a batch in parts, without a graph.

    Parameters
    ----------
    module : nn.Module
        In training mode. Its running statistics are left as they are: the second pass changes them.
    embed : callable
        Runs the network over a batch.
    samples : Tensor of shape (n_batch, ...)
        A batch, or nested tuples and dicts of them.
    size : int
        Samples of a part, at most; parts are of nearly equal size.

    Returns
    -------
    Cached
        Chance, as in dropout, is the same in both passes.
    """
    statistics = [buffer.clone() for buffer in module.buffers()]
    embeddings: list[torch.Tensor] = []
    parts: list[Callable[[], torch.Tensor]] = []
    for part in split_nested(samples, -(-n_samples(samples) // size)):
        parts.append(_Again(embed, part))
        with torch.no_grad():
            embeddings.append(_embedded(embed, part, size))
    with torch.no_grad():
        for buffer, before in zip(module.buffers(), statistics, strict=True):
            buffer.copy_(before)
    return Cached(torch.cat(embeddings).requires_grad_(), parts)


def _embedded(embed: Callable[[torch.Tensor], torch.Tensor], part: torch.Tensor, size: int) -> torch.Tensor:
    try:
        return embed(part)
    except ValueError as error:  # of torch: a batch norm has no statistics of one sample
        if n_samples(part) > 1:
            raise
        raise ValueError(
            f"grad_cache={size} leaves a part of one sample, and a layer of the network needs more: {error}. "
            "Use a larger grad_cache, or freeze_batch_norm=True"
        ) from error


class _Again:
    """A part, to be embedded with the random numbers of the first time."""

    def __init__(self, embed: Callable[[torch.Tensor], torch.Tensor], samples: torch.Tensor) -> None:
        self.embed, self.samples, self.generators = embed, samples, generators()

    def __call__(self) -> torch.Tensor:
        set_generators(self.generators)
        return self.embed(self.samples)
