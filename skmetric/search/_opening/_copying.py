"""Copies of a search over another index: from memory to a server, from a server to a folder."""

from __future__ import annotations

from typing import Self

from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skmetric.search._base import SearchBase
from skmetric.search._gallery._gallery import EMPTY
from skmetric.search._gallery._memory import MemoryGallery
from skmetric.search._gallery._server import ServerGallery
from skmetric.search._index._exact import ExactIndex
from skmetric.search._index._index import Index
from skmetric.search._server._shared import SharedIndex


class Copying(SearchBase):
    """Copies of :class:`SimilaritySearch` over another index."""

    def copy_to(self, index: Index | None = None) -> Self:
        """Copy all items into another index, and return a search over it.

        So a gallery goes from memory to a server, from a server to memory (and with `save` to a folder), and
        from one server to another. Embeddings are copied, not computed.

        Parameters
        ----------
        index : Index, default=None
            An index without items; it is cloned. None means :class:`ExactIndex`.

        Returns
        -------
        SimilaritySearch
            With the same ids, labels, metadata, embedder, parameters and calibration. This search stays as it
            is, and later changes of one are not seen by the other. The items are those of one moment, also
            where other processes change a server meanwhile.

        Raises
        ------
        ValueError
            If there are no items, the table or collection of `index` holds items already, or this search has
            ``adapt_metric=True`` and `index` is on a server.
        IndexUnavailableError
            If a server is away; then no item is in the new index, except in Milvus.

        See Also
        --------
        SimilaritySearch.save : Of a gallery on a server a folder has the address and no items.

        Notes
        -----
        All items are in the memory of this process meanwhile. For tables that do not fit, use the tools of
        the database, such as ``pg_dump``.

        Examples
        --------
        >>> from skmetric.search import ExactIndex, SimilaritySearch
        >>> search = SimilaritySearch().fit([[0.0], [1.0]], ["ant", "bee"], ids=["a", "b"])
        >>> copied = search.copy_to(ExactIndex()).remove("a")
        >>> search.ids_.tolist(), copied.ids_.tolist()
        (['a', 'b'], ['b'])

        A backup of a server, and the way back to another table::

            SimilaritySearch.attach(index, learner).copy_to().save("backup")

            search = SimilaritySearch.load("backup", learner)
            search = search.copy_to(PgVectorIndex("host=db.example dbname=faces", "people"))
        """
        check_is_fitted(self)
        index = ExactIndex() if index is None else clone(index)
        is_shared = isinstance(index, SharedIndex)
        if is_shared and self.adapt_metric:
            raise ValueError(
                "adapt_metric=True keeps the samples of the gallery in memory, and the index is on a server: "
                "fit a search without it on the same items, with embedder_ for an embedder"
            )
        made = object.__new__(type(self))
        with self._gallery.reading():
            made.__dict__.update(self.__dict__)
            embeddings, ids, labels, metadata = self._gallery.whole()
            if not len(embeddings):
                raise ValueError(EMPTY)
            kept = {}
            if isinstance(self._gallery, MemoryGallery) and self._gallery.samples is not None:
                kept = {"samples": self._gallery.samples.values}
                made._refit_key = int(self._is_refitted(self._gallery).sum())  # keys count from 0 again
        if isinstance(index, SharedIndex):
            gallery = ServerGallery.start(index, embeddings, ids, labels, metadata or None)
            known = self._known_embedder
            gallery.keep_fingerprint(None if known is None else known.fingerprint)
            made._gallery = gallery
        else:
            made._gallery = MemoryGallery(index, embeddings, ids, labels, metadata or None, **kept)
        made.index = index if is_shared or not isinstance(index, ExactIndex) else None
        return made
