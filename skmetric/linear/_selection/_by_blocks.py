"""MAP@R of queries among sparse rows: a block of these is embedded at a time, since embeddings are dense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = 1 << 18  # of the embeddings, and of the squared distances, that are held at a time
_HALF = np.uint64(32)  # bits of a key for the distance, in front of those for the number of the row
_NUMBER = np.uint64(0xFFFFFFFF)


def map_at_r_by_blocks(
    embed: Callable[[Any], NDArray[np.floating]],
    queries: Any,
    codes: NDArray[np.intp],
    gallery: Any,
    codes_gallery: NDArray[np.intp],
) -> NDArray[np.float64]:
    """MAP@R of each query, (n_queries,); memory of one block, and of the neighbours that are looked at.

    Squares that float32 does not tell apart are in the order of the gallery.

    Parameters
    ----------
    embed : callable
        From rows, dense or sparse, to their embeddings.
    queries, gallery : ndarray or CSR array of shape (n_rows, n_features)
        Rows. The queries are few.
    codes, codes_gallery : ndarray of shape (n_rows,)
        Their classes, from 0; each class of a query is in the gallery.
    """
    asked = embed(queries).astype(np.float64)  # (n_queries, n_components)
    norms = np.einsum("ij,ij->i", asked, asked)
    n_relevant = np.bincount(codes_gallery, minlength=codes.max() + 1)[codes]  # (n_queries,)
    depth = int(n_relevant.max())
    nearest = np.empty((len(asked), 0), np.uint64)
    step = max(1, _NUMBERS // max(asked.shape))
    for start in range(0, gallery.shape[0], step):
        block = embed(gallery[start : start + step]).astype(np.float64)
        squares = norms[:, None] + np.einsum("ij,ij->i", block, block) - 2 * asked @ block.T
        keys = np.maximum(squares, 0).astype(np.float32).view(np.uint32).astype(np.uint64) << _HALF
        keys |= np.arange(start, start + len(block), dtype=np.uint64)
        nearest = _least(np.concatenate([nearest, keys], axis=1), depth)
    nearest.sort(axis=1)
    found = codes_gallery[(nearest & _NUMBER).astype(np.intp)]  # (n_queries, depth)
    ranks = np.arange(1, depth + 1)
    hits = (found == codes[:, None]) & (ranks <= n_relevant[:, None])
    values: NDArray[np.float64] = (np.cumsum(hits, axis=1) * hits / ranks).sum(axis=1) / n_relevant
    return values


def _least(keys: NDArray[np.uint64], depth: int) -> NDArray[np.uint64]:
    """The `depth` least keys of each row, in any order."""
    return np.partition(keys, depth - 1, axis=1)[:, :depth] if depth < keys.shape[1] else keys
