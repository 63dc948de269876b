"""The gallery embedded anew: another embedder, or another state of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skmetric._embedding import check_steps_fitted
from skmetric.search._embedder._embedder import KnownEmbedder
from skmetric.search._gallery._gallery import EMPTY
from skmetric.search._gallery._memory import MemoryGallery
from skmetric.search._gallery._samples import Samples
from skmetric.search._gallery._server import ServerGallery
from skmetric.search._index._growing import GrowingArray

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


from ._beginning import Beginning


class Reembedding(Beginning):
    """Embedding anew of :class:`SimilaritySearch`."""

    def reembed(self, X: Any, *, ids: ArrayLike | None = None, batch_size: int = 1024) -> Self:
        """Replace the embeddings of all items, as after the embedder was trained on or exchanged.

        Ids, labels, metadata and the order of the items stay. The embedder is the parameter ``embedder`` if
        that is fitted, as ``set_params`` may have changed it, and ``embedder_`` if not.

        Parameters
        ----------
        X : array-like of shape (n_items, ...), or callable
            The samples of all items in the order of the gallery: row i is that of ``ids_[i]``. Without an
            embedder: their new embeddings, of any dimension. Or a function that is given ids and returns
            their samples, in that order, which is called for `batch_size` items at a time.
        ids : array-like of shape (n_items,), default=None
            Id of each row of `X`, in any order. On a server they are needed, because others may enrol.
        batch_size : int, default=1024
            Items that a server is sent, or a function asked for, at a time.

        Returns
        -------
        SimilaritySearch
            With the new embeddings; unchanged if an error is raised. A calibration is kept but belongs to the
            old embeddings: `predict` and `verify` warn until `calibrate` is called.

        Raises
        ------
        ValueError
            If `X` has not one row for each item, or, on a server, an item changed meanwhile and `X` is not a
            function; if the index is a :class:`MilvusIndex`; if a table in PostgreSQL has what the one that
            takes its place would not have, such as triggers.
        IndexUnavailableError
            If the server is away, or others change items too fast. The old embeddings still serve.

        Notes
        -----
        In PostgreSQL a second table is filled while the first one serves: others search it and enrol. Items
        that they change are embedded once more. Then one transaction compares the two, while those that
        write wait, and puts the second table in the place of the first. Each search of another process sees
        the old embeddings or the new ones. From then on, searches and enrolments with the old embedder raise
        :class:`~skmetric.exceptions.GalleryReplacedError`, also in processes that attached before.

        A call that was killed leaves the second table there. The next call with the same embedder goes on
        with it; without an embedder it begins anew. Meanwhile the items take twice the room.

        The new table is made by the parameters of the index: `precision`, `storage` and the others may be
        changed before. It has the columns, constraints, defaults, privileges and indexes of the old one,
        except indexes of your own over the embeddings.

        Examples
        --------
        >>> from skmetric.search import SimilaritySearch
        >>> search = SimilaritySearch().fit([[0.0], [1.0]], ["ant", "bee"], ids=["a", "b"])
        >>> search.reembed([[1.0, 0.0], [0.0, 1.0]]).lookup([[0.9, 0.1]], n_neighbors=1)["id"].tolist()
        ['a']

        From samples by id, part by part:

        >>> samples = {"a": [3.0], "b": [7.0]}
        >>> search = search.reembed(lambda ids: [samples[i] for i in ids])
        >>> search.lookup([[6.0]], n_neighbors=1)["id"].tolist()
        ['b']
        """
        check_is_fitted(self)
        samples = Samples(X, ids, batch_size)
        if isinstance(self._gallery, ServerGallery) and ids is None and not samples.is_function:
            raise ValueError(
                "the gallery is on a server, where others may enrol: reembed needs ids=, the id of each row "
                "of X, or a function of ids in place of X"
            )
        made = object.__new__(type(self))  # is changed in the place of this one, until nothing can fail
        made.__dict__.update(self.__dict__)
        with self._gallery.reading():
            made._reembed(samples)
        self.__dict__ = made.__dict__
        return self

    def _reembed(self, samples: Samples) -> None:
        gallery = self._gallery
        self._known_embedder = None  # that of the old embeddings
        if not self.adapt_metric:
            try:
                self.embedder_ = self._fitted_embedder()
            except NotFittedError:  # `fit` has fitted a copy
                check_steps_fitted(self.embedder_)
        if isinstance(gallery, ServerGallery):
            self._reembed_on_server(gallery, samples)
        else:
            self._reembed_in_memory(gallery, samples)  # type: ignore[arg-type]  # there are two kinds
            self._know_embedder()
        self._is_stale = hasattr(self, "calibration_")

    def _reembed_on_server(self, gallery: ServerGallery, samples: Samples) -> None:
        known = KnownEmbedder.of(self.embedder_)

        def embed(ids: NDArray[Any]) -> NDArray[Any]:
            embeddings = self._embed(samples.of(ids), reset=self._known_embedder is None)
            self._known_embedder, self.n_components_ = known, embeddings.shape[1]
            return embeddings

        described = None if known is None else known.fingerprint
        self._gallery = gallery.reembedded(embed, described, samples)
        self.n_components_, self._known_embedder = self._gallery.n_features, known

    def _reembed_in_memory(self, old: MemoryGallery, samples: Samples) -> None:
        ids = old.all_ids()
        if not len(ids):
            raise ValueError(EMPTY)
        if self.adapt_metric:
            embeddings, kept = self._embed_first(samples.whole(ids), old.all_labels())
        else:
            parts: list[NDArray[Any]] = []
            for part in samples.parts(ids):
                parts.append(self._embed(part, reset=not parts))
                self.n_components_ = parts[0].shape[1]
            embeddings, kept = np.concatenate(parts) if len(parts) > 1 else parts[0], {}
        n_items = len(old)
        if len(embeddings) != n_items:
            raise ValueError(
                f"X has {len(embeddings)} rows and the gallery {n_items} items: give the sample of each "
                "item, in the order of ids_"
            )
        index = clone(old.index)
        index.add(old.keys.values, embeddings)
        new: MemoryGallery = object.__new__(MemoryGallery)
        held = {"samples": GrowingArray(kept["samples"]) if kept else None}
        new.__setstate__(old.__getstate__() | held | {"index": index})
        self._refit_key = new.next_key if kept else 0
        self._gallery = new
        self.n_components_ = embeddings.shape[1]
