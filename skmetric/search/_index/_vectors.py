"""Embeddings in memory, once: kept in the form in which the kernel searches them."""

from typing import final

import numpy as np

from skmetric._kernel import Gallery

from ._growing import GrowingArray

_OFF_CENTRE = 16.0  # squared distance of the centre from the origin, over the mean square about the centre
_SQUARES = (1e-12, 1e12)  # mean squared norms that float32 searches without a scale


@final
class Stored:
    """Rows of one dtype that grow at the end, shrink anywhere, and can be searched.

    Parameters
    ----------
    vectors : ndarray of shape (n_items, n_features)
        In float32 they are kept with two columns more, 1 and the squared norm: what
        :class:`skmetric._kernel.Gallery` multiplies.
    """

    def __init__(self, vectors):
        self._augmented = vectors.dtype == np.float32
        self._rows = GrowingArray(self._as_kept(vectors))
        self._gallery = None

    @classmethod
    def of_file(cls, vectors):
        """Wrap rows of a memory-mapped file; a change copies them, and so does the first search."""
        stored = cls.__new__(cls)
        stored._augmented, stored._rows, stored._gallery = False, GrowingArray.of_file(vectors), None
        return stored

    @property
    def vectors(self):
        """The rows, (n_items, n_features), as a view."""
        values = self._rows.values
        return values[:, :-2] if self._augmented else values

    def append(self, vectors):
        """Add rows at the end, in the dtype of those that are here."""
        if not self._augmented and not self._rows.writeable and self._rows.values.dtype == np.float32:
            self.__init__(self._rows.values)  # of a file: they are copied now, so in the form to search
        kept = self._as_kept(vectors.astype(self._rows.values.dtype, copy=False))
        self._rows.append(kept)
        if self._gallery is not None:
            self._gallery = self._grown(len(kept))

    def keep(self, kept):
        """Drop the rows where the mask `kept` is False."""
        self._rows.keep(kept)
        self._gallery = None

    def gallery(self):
        """The rows as the kernel wants them: themselves, or a copy where these cannot be searched."""
        if self._gallery is None:
            searchable = self._augmented and _is_plain(self.vectors, self._rows.values[:, -1])
            self._gallery = Gallery.plain(self._rows.values) if searchable else Gallery(self.vectors)
        return self._gallery

    def __getstate__(self):
        return {"_augmented": self._augmented, "_rows": self._rows, "_gallery": None}

    def _grown(self, n_new):
        """The gallery with rows more; anew from time to time, for the centre moves."""
        if not self._gallery.is_plain:
            return self._gallery.grown(self.vectors)
        if len(self._rows) > 1.5 * self._gallery.n_prepared:
            return None
        return self._gallery.grown_plain(self._rows.values, n_new)

    def _as_kept(self, vectors):
        if not self._augmented:
            return vectors
        squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)[:, None]
        return np.hstack([vectors, np.ones_like(vectors[:, :1]), squares.astype(np.float32)])


def _is_plain(vectors, squares):
    """Whether rows can be searched as they are: about the origin, and of a size that float32 squares."""
    if not len(vectors):
        return False
    centre = vectors.mean(axis=0, dtype=np.float64)
    total, off = float(squares.mean(dtype=np.float64)), float(centre @ centre)
    return _SQUARES[0] < total < _SQUARES[1] and off <= _OFF_CENTRE * (total - off)
