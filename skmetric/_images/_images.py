"""Images that passed the checks, and the one size that a network may need them to have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Images", "UnreadableImage", "as_pixels", "check_one_size", "check_size"]


class UnreadableImage(ValueError):
    """The pixels of one image cannot be decoded, although its header is sound."""


class Images(NamedTuple):
    """Images that passed the checks."""

    rows: Any  # list of paths, PIL images or arrays (H, W, C); or one array (n, H, W, C)
    read: Callable[[Any], NDArray] | None  # from a row to an array (H, W, C); None: `rows` is one array
    shapes: list[tuple[int, ...]]  # (H, W, C) of every row, or one for all where `rows` is one array
    kind: str = "array"  # or "path" or "PIL image": of a row

    def block(self, start: int, stop: int) -> NDArray:
        """Pixels (n_block, H, W, C) of some rows, which must be of one size: uint8, or float32."""
        return self.pixels(range(start, stop))

    def pixels(self, rows: Iterable[int]) -> NDArray:
        """Pixels (n_rows, H, W, C) of the rows with these numbers, which must be of one size."""
        if self.read is not None:
            return np.stack([self._read(i) for i in rows])
        return as_pixels(self.rows[rows.start : rows.stop] if isinstance(rows, range) else self.rows[rows])

    def _read(self, i: int) -> NDArray:
        assert self.read is not None
        try:
            return self.read(self.rows[i])
        except UnreadableImage as error:
            raise UnreadableImage(f"row {i}: {error}") from error


def as_pixels(array: NDArray) -> NDArray:
    """uint8 as it is, bool as black and white, float as float32."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array * np.uint8(255)
    return array.astype(np.float32, copy=False)


def check_one_size(images: Images, size: Sequence[int]) -> None:
    """Refuse images that are not of the one size (H, W) that the network is given."""
    for i, shape in enumerate(images.shapes):
        check_size(i, shape, size)


def check_size(i: int, shape: Sequence[int], size: Sequence[int]) -> None:
    """Refuse row number `i`, of `shape` (H, W, C), if it is not of the one size (H, W)."""
    if tuple(shape[:2]) != tuple(size):
        raise ValueError(
            f"row {i} is {shape[0]}x{shape[1]}, the images in `fit` began with {size[0]}x{size[1]}: "
            "pass image_size= to bring all to one size"
        )
