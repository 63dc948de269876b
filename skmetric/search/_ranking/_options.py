"""Neighbours by the ranking options of a search: expanded queries, an augmented gallery, re-ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skmetric._kernel._squares import Gallery
from skmetric.retrieval import Neighbors, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._neighbor_average import NeighborAverage


class Options(NamedTuple):
    """Ranking options, None where one is not in use."""

    rerank: Any
    query_expansion: NeighborAverage | None
    augment_gallery: NeighborAverage | None

    def state(self) -> tuple[Any, Any]:
        """Equal for options under which a gallery is prepared alike."""
        return _state(self.augment_gallery), _state(self.rerank)


class Prepared(NamedTuple):
    """A gallery that is ready for searches by ranking options."""

    vectors: NDArray[Any]  # (n_items, n_features), those of the gallery or their means over neighbours
    gallery: Gallery  # the same, as the kernel searches them
    encoded: Any  # of `rerank`


def prepare(gallery: Gallery, options: Options, among: NDArray[np.intp] | None = None) -> Prepared:
    """Augment and encode a gallery, or its rows `among`: one search of all in all for each of the two."""
    vectors = gallery.rows if among is None else gallery.rows[among]
    augments = options.augment_gallery is not None and len(vectors) > 1
    if options.augment_gallery is not None and len(vectors) > 1:
        around = nearest(vectors, k=min(options.augment_gallery.n_neighbors, len(vectors) - 1))
        vectors = options.augment_gallery.average(vectors, vectors[around.indices])
    encoded = None if options.rerank is None else options.rerank.encode(vectors)
    is_gallery = among is None and not augments
    return Prepared(vectors, gallery if is_gallery else Gallery(vectors), encoded)


def find(prepared: Prepared, embeddings: NDArray[Any], k: int, options: Options) -> Neighbors:
    """The `k` nearest items of each embedding by the ranking options."""
    vectors, n_items = prepared.vectors, len(prepared.vectors)
    if not 1 <= k <= n_items:
        raise ValueError(f"n_neighbors={k} must be from 1 to the {n_items} items of the gallery")
    if options.query_expansion is not None:
        n_means = min(options.query_expansion.n_neighbors, n_items)
        around = nearest(embeddings, prepared.gallery, n_means)
        embeddings = options.query_expansion.average(embeddings, vectors[around.indices])
    if options.rerank is not None:
        return options.rerank.rerank(prepared.encoded, vectors, embeddings, k)
    return nearest(embeddings, prepared.gallery, k)


def find_among_the_others(
    prepared: Prepared, embeddings: NDArray[Any], k: int, options: Options
) -> Neighbors:
    """Neighbours of each item, whose embeddings are given too, by the ranking options, itself left out."""
    vectors = prepared.vectors
    if options.query_expansion is not None:
        return without_itself(find(prepared, embeddings, k + 1, options))
    if options.rerank is not None:
        return options.rerank.rerank(prepared.encoded, vectors, None, k)
    return nearest(vectors, k=k)


def without_itself(found: Neighbors) -> Neighbors:
    """Neighbours of each item of a gallery in it, one fewer: without the item, by identity."""
    n_items, k = found.indices.shape
    is_self = found.indices == np.arange(n_items)[:, None]
    is_self[~is_self.any(axis=1), -1] = True  # duplicates pushed it out
    return Neighbors(*(part[~is_self].reshape(n_items, k - 1) for part in found))


def _state(option: Any) -> Any:
    """An option by its class and parameters, where it tells them: both can change in place."""
    if not hasattr(option, "get_params"):
        return option
    return type(option), tuple(sorted(option.get_params().items()))
