"""Impostors: rows of other classes within a radius of each row, found by blocks and kept while valid."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._soft_neighbors import block_width, class_parts, class_slices, product_factors

_SLACK = 0.05  # by which kept pairs reach farther than the radius
_WORTH = (
    48  # pairs are kept if they are fewer than 1 / 48 of all: one by one they cost about 48 times as much
)


class Pairs(NamedTuple):
    """A row, a row of another class within its radius, and their squared distance."""

    rows: NDArray[np.intp]
    impostors: NDArray[np.intp]
    squares: NDArray[np.floating]


class _Kept(NamedTuple):
    embeddings: NDArray[np.floating]  # among which the pairs were found
    reach: NDArray[np.floating]  # (n,) distances up to which they were
    rows: NDArray[np.intp]
    impostors: NDArray[np.intp]


class ImpostorSearch:
    """Finds impostors under one map after another.

    A full pass costs one matrix product of (n, n_components) by (n_components, n). It keeps pairs somewhat
    beyond the radius. While no row has moved so far that another pair may have come within the radius, only
    the kept ones are looked at: the result is the same.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Class of each row, sorted.
    """

    def __init__(self, codes: NDArray[np.intp]) -> None:
        self.begins, self.ends = class_slices(codes)
        self.n_passes, self._kept = 0, None

    _kept: _Kept | None

    def __call__(self, embeddings: NDArray[np.floating], radii: NDArray[np.floating]) -> Iterator[Pairs]:
        """Yield all pairs within squared `radii`, (n,), in parts; -inf is no radius."""
        if self._kept is not None and self._is_valid(self._kept, embeddings, radii):
            return _of_kept(self._kept, embeddings, radii)
        return self._full_pass(embeddings, radii)

    def _is_valid(self, kept: _Kept, embeddings: NDArray[np.floating], radii: NDArray[np.floating]) -> bool:
        """By the triangle inequality: no pair that is not kept has come within a radius."""
        difference = embeddings - kept.embeddings
        moved = np.sqrt(np.einsum("ij,ij->i", difference, difference))
        return bool((np.sqrt(np.maximum(radii, 0)) + moved + moved.max() <= kept.reach).all())

    def _full_pass(self, embeddings: NDArray[np.floating], radii: NDArray[np.floating]) -> Iterator[Pairs]:
        n, k = embeddings.shape
        self.n_passes, self._kept = self.n_passes + 1, None
        factors, width = product_factors(embeddings), block_width(n)
        norms, squared_reach = -factors[:, k], radii * (1 + _SLACK) ** 2
        left, buffer = np.empty((width, k + 1), factors.dtype), np.empty((width, n), factors.dtype)
        found: list[tuple[NDArray[np.intp], NDArray[np.intp]]] | None = []
        n_found = 0
        for start in range(0, n, width):
            rows = slice(start, min(start + width, n))
            own, products = left[: rows.stop - start], buffer[: rows.stop - start]
            own[:, :k], own[:, k] = factors[rows, :k], 1
            np.matmul(own, factors.T, out=products)  # 2 e_i e_j - |e_j|^2 = |e_i|^2 - squares
            for part in class_parts(self.begins, self.ends, rows):
                products[part] = -np.inf
            limits = norms[rows] - squared_reach[rows]
            near = np.flatnonzero(products > limits[:, None])
            i, impostors = np.divmod(near, n)
            squares = norms[rows][i] - products.ravel()[near]
            i = i + start
            n_found += len(i)
            if found is not None:
                found.append((i, impostors))
                found = found if n_found < n * n // _WORTH else None
            within = squares < radii[i]
            yield Pairs(i[within], impostors[within], squares[within])
        if found is not None:
            i, impostors = (np.concatenate(side) for side in zip(*found, strict=True))
            reach = np.where(radii > 0, np.sqrt(np.maximum(squared_reach, 0)), np.inf)
            self._kept = _Kept(embeddings, reach, i, impostors)


def _of_kept(kept: _Kept, embeddings: NDArray[np.floating], radii: NDArray[np.floating]) -> Iterator[Pairs]:
    step = max(1, (1 << 21) // embeddings.shape[1])  # pairs whose differences fit into the cache
    for start in range(0, len(kept.rows), step):
        rows, impostors = kept.rows[start : start + step], kept.impostors[start : start + step]
        difference = embeddings[rows] - embeddings[impostors]
        squares = np.einsum("ij,ij->i", difference, difference)
        within = squares < radii[rows]
        yield Pairs(rows[within], impostors[within], squares[within])
