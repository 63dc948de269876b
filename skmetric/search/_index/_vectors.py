"""Embeddings in memory, once: kept in the form in which the kernel searches them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._squares import Gallery

from ._blocks import widened
from ._growing import GrowingArray

if TYPE_CHECKING:
    from ._on_device import OnDevice

_OFF_CENTRE = 16.0  # squared distance of the centre from the origin, over the mean square about the centre
_SQUARES = (1e-12, 1e12)  # mean squared norms that float32 searches without a scale


@final
class Stored:
    """Rows of one dtype that can be searched; a change makes the changed rows beside these.

    Parameters
    ----------
    vectors : ndarray of shape (n_items, n_features)
        In float32 they are kept with two columns more, 1 and the squared norm: what
        :class:`skmetric._squares.Gallery` multiplies.
    """

    def __init__(self, vectors: NDArray[Any]) -> None:
        self._augmented: bool = vectors.dtype == np.float32
        self.in_blocks: bool = vectors.dtype == np.float16
        self._rows: GrowingArray = GrowingArray(self._as_kept(vectors))
        self._gallery: Gallery | None = None

    _on_device: OnDevice | None = (
        None  # what the last search on a device made of these rows or the first of them
    )

    @classmethod
    def of_file(cls, vectors: NDArray[Any], check: Callable[[], None] | None = None) -> Stored:
        """Wrap rows of a memory-mapped file; a change copies them, and so does the first search."""
        return cls._of(GrowingArray.of_file(vectors, check), is_augmented=False)

    @classmethod
    def of_map(cls, vectors: np.memmap[Any, Any]) -> Stored:
        """Wrap a memory map, which is searched in blocks; a change copies it."""
        rows = vectors.view(np.ndarray)
        rows.flags.writeable = False  # or added rows would be written to the file
        stored = cls._of(GrowingArray.of_file(rows), False)
        stored.in_blocks = True
        return stored

    @classmethod
    def _of(cls, rows: GrowingArray, is_augmented: bool) -> Stored:
        stored = cls.__new__(cls)
        stored._augmented, stored._rows, stored._gallery = is_augmented, rows, None
        stored.in_blocks = rows.dtype == np.float16
        return stored

    @property
    def vectors(self) -> NDArray[Any]:
        """The rows, (n_items, n_features), as a view."""
        values = self._rows.values
        return values[:, :-2] if self._augmented else values

    def appended(self, vectors: NDArray[Any]) -> Stored:
        """These rows, and more at the end, in the same dtype."""
        if not self._augmented and not self._rows.writeable and self._rows.dtype == np.float32:
            return Stored(self.vectors).appended(vectors)  # of a file: copied now, so in the form to search
        added = self._as_kept(vectors.astype(self._rows.dtype, copy=False))
        stored = self._of(self._rows.appended(added), self._augmented)
        gallery, self._gallery = self._gallery, None  # one heir alone may write behind its rows
        if gallery is not None:
            stored._gallery = _grown(copy.copy(gallery), stored, len(added))
        stored._on_device = self._on_device
        return stored

    def kept(self, mask: NDArray[np.bool_]) -> Stored:
        """The rows where the mask is True: a copy of them."""
        return self._of(self._rows.kept(mask), self._augmented)

    def gallery(self) -> Gallery:
        """The rows as the kernel wants them: themselves, or a copy where these cannot be searched."""
        gallery = self._gallery
        if gallery is None:
            searchable = self._augmented and _is_plain(self.vectors, self._rows.values[:, -1])
            gallery = Gallery.plain(self._rows.values) if searchable else Gallery(widened(self.vectors))
            self._gallery = gallery
        return gallery

    def on_device(self, device: str) -> OnDevice:
        """The rows where torch searches them."""
        from ._on_device import OnDevice

        made, rows = self._on_device, self.vectors
        if made is None or made.asked != device or len(made.rows) < len(rows):
            is_mapped = self.in_blocks and not self._rows.writeable
            made = self._on_device = OnDevice(rows, device, is_mapped, made)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {"_augmented": self._augmented, "_rows": self._rows, "_gallery": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.in_blocks = self._rows.dtype == np.float16  # a memory map was pickled as an array

    def _as_kept(self, vectors: NDArray[Any]) -> NDArray[Any]:
        if not self._augmented:
            return vectors
        squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)[:, None]
        return np.hstack([vectors, np.ones_like(vectors[:, :1]), squares.astype(np.float32)])


def _grown(gallery: Gallery, stored: Stored, n_new: int) -> Gallery | None:
    """A gallery with the new rows of `stored`; anew from time to time, for the centre moves."""
    if not gallery.is_plain:
        return gallery.grown(stored.vectors)
    if len(stored._rows) > 1.5 * gallery.n_prepared:
        return None
    return gallery.grown_plain(stored._rows.values, n_new)


def _is_plain(vectors: NDArray[Any], squares: NDArray[Any]) -> bool:
    """Whether rows can be searched as they are: about the origin, and of a size that float32 squares."""
    if not len(vectors):
        return False
    centre = vectors.mean(axis=0, dtype=np.float64)
    return is_about_origin(float(squares.mean(dtype=np.float64)), float(centre @ centre))


def is_about_origin(total: float, off: float) -> bool:
    """Whether float32 can search rows as they are: of a mean squared norm, and one of their centre."""
    return _SQUARES[0] < total < _SQUARES[1] and off <= _OFF_CENTRE * (total - off)
