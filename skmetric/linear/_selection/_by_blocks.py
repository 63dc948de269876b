"""MAP@R of queries among sparse rows: a block of these is embedded at a time, since embeddings are dense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric.metrics._ranking import map_at_r
from skmetric.retrieval import Ranking, nearest

_NUMBERS = 1 << 18  # of the embeddings, and of the distances, that are held at a time


def map_at_r_by_blocks(
    embed: Callable[[Any], NDArray[np.floating]],
    queries: Any,
    codes: NDArray[np.intp],
    gallery: Any,
    codes_gallery: NDArray[np.intp],
) -> NDArray[np.float64]:
    """MAP@R of each query, (n_queries,); memory of one block, and of the neighbours that are looked at.

    Items at the same distance are in the order of the gallery.

    Parameters
    ----------
    embed : callable
        From rows, dense or sparse, to their embeddings.
    queries, gallery : ndarray or CSR array of shape (n_rows, n_features)
        Rows. The queries are few.
    codes, codes_gallery : ndarray of shape (n_rows,)
        Their classes, from 0; each class of a query is in the gallery.
    """
    asked, n_items = embed(queries), gallery.shape[0]  # (n_queries, n_components)
    n_relevant = np.bincount(codes_gallery, minlength=codes.max() + 1)[codes]  # (n_queries,)
    depth = int(n_relevant.max())
    distances, found = np.empty((len(asked), 0)), np.empty((len(asked), 0), np.intp)
    step = max(1, _NUMBERS // max(asked.shape))
    for start in range(0, n_items, step):
        block = embed(gallery[start : start + step])
        near = nearest(asked, block, min(depth, len(block)))
        distances = np.concatenate([distances, near.distances], axis=1)
        found = np.concatenate([found, near.indices + start], axis=1)
        kept = distances.argsort(axis=1, kind="stable")[:, :depth]
        distances = np.take_along_axis(distances, kept, axis=1)
        found = np.take_along_axis(found, kept, axis=1)
    return map_at_r(Ranking(codes_gallery[found] == codes[:, None], n_relevant, n_items))
