"""What a lookup returns: neighbours, or what expansion, augmentation and re-ranking make of them."""

import numpy as np

from skmetric.retrieval import Neighbors, nearest

from ._gallery._memory import MemoryGallery


class RankedMixin:
    """Ranking options of :class:`SimilaritySearch`."""

    def _find(self, embeddings, k, where=None):
        """Neighbours with rows of the gallery for indices, by all options of ranking."""
        if not self._has_ranking_options():
            return self._gallery.neighbors(embeddings, k, where)
        if where is None:
            return self._find_rows(embeddings, k)
        rows = self._gallery.passing(where, k)
        found = self._find_rows(embeddings, k, rows)
        return found._replace(indices=rows[found.indices])

    def _find_labelled(self, embeddings, k, labels):
        """Codes of neighbours by all options, (n_queries, k)."""
        if not self._has_ranking_options():
            return self._gallery.labelled(embeddings, k, labels=labels).codes
        return labels.codes.values[self._find_rows(embeddings, k).indices]

    def _look_up(self, embeddings, k, where):
        """Hits by all options, with ids and columns."""
        if not self._has_ranking_options():
            return self._gallery.look_up(embeddings, k, where)
        return self._gallery.described(self._find(embeddings, k, where))

    def _find_rows(self, embeddings, k, among=None):
        """Neighbours under the rows of the gallery, or under places in `among`, the rows to search."""
        vectors, encoded = self._ranked_gallery(among)
        self._check_depth(k, len(vectors))
        if self.query_expansion is not None:
            around = nearest(embeddings, vectors, min(self.query_expansion.n_neighbors, len(vectors)))
            embeddings = self.query_expansion.average(embeddings, vectors[around.indices])
        if self.rerank is not None:
            return self.rerank.rerank(encoded, vectors, embeddings, k)
        return nearest(embeddings, vectors, k)

    def _find_among_the_others(self, k):
        """Neighbours of each item by all options, itself left out by identity."""
        vectors, encoded = self._ranked_gallery()
        if self.query_expansion is None:
            if self.rerank is not None:
                return self.rerank.rerank(encoded, vectors, None, k)
            return nearest(vectors, k=k)
        found = self._find_rows(self.index_.vectors(), k + 1)
        is_self = found.indices == np.arange(len(vectors))[:, None]
        is_self[~is_self.any(axis=1), -1] = True
        return Neighbors(*(part[~is_self].reshape(len(vectors), k) for part in found))

    def _has_ranking_options(self):
        if self.rerank is None and self.query_expansion is None and self.augment_gallery is None:
            return False
        if not isinstance(self._gallery, MemoryGallery):
            raise ValueError(
                "rerank, query_expansion and augment_gallery need the gallery in memory, and it is on a "
                "server: set them to None, or fit a search on what is there"
            )
        return True

    def _ranked_gallery(self, among=None):
        """Embeddings to search and their encoding, of all rows or of those `among` which a filter searches.

        Made anew when the gallery or an option has changed; those of the whole gallery and of the filter used
        last are kept.
        """
        gallery, options = self._gallery, (repr(self.augment_gallery), repr(self.rerank))
        state = (gallery.next_key, len(gallery), *options)  # a key is never used twice: this names a state
        kept = gallery.ranked[1] if gallery.ranked is not None and gallery.ranked[0] == state else {}
        name = None if among is None else among.tobytes()
        if name not in kept:
            whole = {None: kept[None]} if None in kept else {}
            kept = whole | {name: self._rank_gallery(among)}
            gallery.ranked = (state, kept)
        return kept[name]

    def _rank_gallery(self, among):
        vectors = self.index_.vectors()
        if among is not None:
            vectors = vectors[among]
        if self.augment_gallery is not None and len(vectors) > 1:
            around = nearest(vectors, k=min(self.augment_gallery.n_neighbors, len(vectors) - 1))
            vectors = self.augment_gallery.average(vectors, vectors[around.indices])
        return vectors, None if self.rerank is None else self.rerank.encode(vectors)

    @staticmethod
    def _check_depth(k, n_items):
        if not 1 <= k <= n_items:
            raise ValueError(f"n_neighbors={k} must be from 1 to the {n_items} items of the gallery")
