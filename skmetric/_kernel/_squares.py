"""Blocked squared distances in float32, and float64 where float32 cannot tell."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._hidden import Hidden, HiddenTwice
from skmetric._kernel._rounding import WIDE, order_of_squares, power_of_two, slack_of
from skmetric._kernel._threads import map_blocks, n_threads

Floats = NDArray[np.floating[Any]]

_BLOCK_BYTES = 2**25  # of float32 distances that one thread holds at a time
_BLOCK_ROWS = 256
EXACT = -1.0  # in place of the norm of a query whose float32 squares are exact
_PAIRS = 2**14  # whose exact distances are computed at a time
_FEW_ROWS = 4  # of queries, whose product is bound by memory
_CACHED = 2**22  # numbers, 16 MiB, about which caches end
_EXACT = 2.0**11  # largest norm, in units of a grid, at which float32 squares on the grid are exact
_PEEK = 64  # rows that tell that most data lie on no grid


class Gallery:
    """Rows to search, prepared once.

    They are centred, since far from the origin the product would cancel, and scaled against overflow; each is
    followed by 1 and its squared norm.

    Integers, binary codes and other numbers on a coarse grid are recognised: their centre is a point of the
    grid, so that float32 loses nothing, and equal distances are equal numbers.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        The rows. They are referred to, not copied, and decide what float32 cannot.
    largest : float, default=0
        Largest coordinate, about the centre, that queries may have; else that of the rows.
    """

    is_plain = False  # whether the prepared rows are those given, neither centred nor scaled
    unit: float | None = None  # grid on which all rows lie, if float32 squares are exact there

    def __init__(self, rows: Floats, largest: float = 0.0) -> None:
        self.rows = rows
        self.centre: Floats | float = rows.mean(axis=0, dtype=np.float64)
        self._prepare(largest)
        unit = _grid(self.norm / self._scale, np.abs(self.centre).max())
        if _is_on_grid(rows[:_PEEK], unit) and self._all_on_grid(rows, unit):
            self.centre = np.rint(self.centre / unit) * unit
            self._prepare(largest)
            self.unit = unit if self.norm <= _EXACT * unit * self._scale else None

    def _prepare(self, largest: float) -> None:
        self._scale = power_of_two(max(largest, self.reach(self.rows)))
        self._buffer = self.augment(self.rows)  # (n_rows, n_features + 2), with room behind once it has grown
        self.n_prepared = len(self.rows)
        self.norm = _largest_norm(self._buffer)

    @classmethod
    def plain(cls, augmented: NDArray[np.float32]) -> Self:
        """Gallery of float32 rows that are prepared already, (n_rows, n_features + 2), without a copy.

        For rows about the origin and of moderate size, which need no centring and no scale.
        """
        gallery = cls.__new__(cls)
        gallery.is_plain, gallery.centre, gallery._scale = True, 0.0, 1.0
        gallery.n_prepared, gallery.norm = len(augmented), 0.0
        return gallery.grown_plain(augmented, len(augmented))

    def grown_plain(self, augmented: NDArray[np.float32], n_new: int) -> Self:
        """The same plain gallery with `n_new` rows more at the end."""
        self._buffer, self.rows = augmented, augmented[:, :-2]
        self.norm = max(self.norm, _largest_norm(augmented[len(augmented) - n_new :]))
        return self

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def augmented(self) -> NDArray[np.float32]:
        """The prepared rows, (n_rows, n_features + 2)."""
        return self._buffer[: len(self.rows)]

    def grown(self, rows: Floats) -> "Gallery":
        """Gallery of `rows`, which begin with those of this one, at the price of the new rows.

        Every now and then all are prepared anew, since the centre moves.
        """
        old, new = len(self), rows[len(self) :]
        is_wide = len(new) and self.reach(new) * self._scale >= WIDE
        if is_wide or len(rows) > 1.5 * self.n_prepared:
            return Gallery(rows)
        if len(rows) > len(self._buffer):
            buffer = np.empty((int(1.5 * self.n_prepared) + 1, self._buffer.shape[1]), dtype=np.float32)
            buffer[:old] = self._buffer[:old]
            self._buffer = buffer
        self.rows = rows
        self._buffer[old : len(rows)] = self.augment(new)
        self.norm = max(self.norm, _largest_norm(self._buffer[old : len(rows)]))
        if self.unit is not None and not self.is_exact_for(new, self._buffer[old : len(rows), -1]):
            self.unit = None
        return self

    def is_exact_for(self, X: Floats, squares: NDArray[np.float32]) -> bool:
        """Whether float32 squares between rows X and the gallery are exact; `squares` are X's norms, squared.

        All numbers of a product are then integers, in units of the grid, and their sums at most
        (|q| + |g|)^2 <= 2^24, in whichever order they are added.
        """
        if self.unit is None:
            return False
        limit = (_EXACT * self.unit * self._scale) ** 2
        return bool((squares <= limit).all()) and self._all_on_grid(X, self.unit)

    def _all_on_grid(self, X: Floats, unit: float) -> bool:
        return all(_is_on_grid(X[part], unit) for part in _parts(len(X)))

    def reach(self, X: Floats) -> float:
        """Largest coordinate of rows, about the centre."""
        return max(np.abs(X[part] - self.centre).max() for part in _parts(len(X)))

    def augment(self, X: Floats) -> NDArray[np.float32]:
        """Centred and scaled rows, then 1, then their squared norm; float32."""
        out = np.ones((len(X), X.shape[1] + 2), dtype=np.float32)
        for rows in _parts(len(X)):
            out[rows, :-2] = (X[rows] - self.centre) * self._scale
            out[rows, -1] = np.einsum("ij,ij->i", out[rows, :-2], out[rows, :-2], dtype=np.float64)
        return out

    def fits(self, queries: Floats) -> bool:
        """Whether squares of queries are sure to stay finite."""
        return self.reach(queries) * self._scale < WIDE


class Search:
    """Queries and a gallery, ready for blocked search; without a gallery no row finds itself.

    One product gives squared distances: (-2q, |q|^2, 1) . (g, 1, |g|^2).
    """

    def __init__(
        self,
        queries: Floats,
        gallery: "Gallery | Floats | None" = None,
        hidden: Hidden | HiddenTwice | None = None,
    ) -> None:
        self.leaves_self_out, self.hidden = gallery is None, hidden
        if not isinstance(gallery, Gallery):
            gallery = Gallery(queries if gallery is None else gallery)
        if not gallery.fits(queries):
            gallery = Gallery(gallery.rows, largest=gallery.reach(queries))
        self.queries, self._gallery = queries, gallery
        self.n_queries, self.n_gallery = len(queries), len(gallery)
        self.n_items = self.n_gallery - self.leaves_self_out
        self.norm = gallery.norm  # the largest of the gallery, in the kernel's scale

    def blocks(self) -> list[NDArray[np.intp]]:
        """Arrays of consecutive query rows, each small enough for one thread, and enough for all threads."""
        most = int(np.clip(_BLOCK_BYTES // (4 * self.n_gallery), 8, _BLOCK_ROWS))
        n_blocks = max(-(-self.n_queries // most), min(n_threads(), self.n_queries // 8))
        return np.array_split(np.arange(self.n_queries), max(n_blocks, 1))

    def squares(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Squared distances of a block, and the norms of its queries.

        Returns
        -------
        squares : ndarray of shape (n_rows, n_gallery), float32
            In units of the kernel's scale; infinite from a row to itself and to what is hidden from it.
        norms : ndarray of shape (n_rows,)
            Of the centred queries, in the same units: what :meth:`slack` needs. Negative where the squares
            are exact.
        """
        queries = self.queries[rows[0] : rows[-1] + 1]
        left = self._gallery.augment(queries)
        norms = np.sqrt(left[:, -1].astype(np.float64))
        if self._gallery.is_exact_for(queries, left[:, -1]):
            norms = np.full(len(norms), EXACT)
        left[:, :-2] *= -2
        left[:, -2:] = left[:, :-3:-1]  # (1, |q|^2) becomes (|q|^2, 1)
        squares = _products(left, self._gallery.augmented)
        np.maximum(squares, 0, out=squares)
        if self.leaves_self_out:
            squares[np.arange(len(rows)), rows] = np.inf
        if self.hidden is not None:
            squares[self.hidden.pairs(rows)] = np.inf
        return squares, norms

    def slack(self, norms: Any, squares: Any) -> Any:
        """How close two float32 squares up to `squares` can be and yet stand in the wrong order.

        It is 0 where squares are exact.
        """
        slack = slack_of(norms, squares, self._gallery.norm, self.queries.shape[1])
        return np.where(norms < 0, 0.0, slack)

    def exact_squares(self, row: Any, indices: NDArray[np.intp]) -> NDArray[np.float64]:
        """Squared distances to a few items in float64."""
        difference = self._gallery.rows[indices].astype(np.float64)
        difference -= self.queries[row]
        return np.einsum("ij,ij->i", difference, difference)

    def exact_pairs(self, rows: NDArray[np.intp], indices: NDArray[np.intp]) -> NDArray[np.float64]:
        """Squared distances of pairs of a query and an item in float64, few at a time."""
        parts = [slice(start, start + _PAIRS) for start in range(0, max(len(rows), 1), _PAIRS)]
        return np.concatenate([self.exact_squares(rows[part], indices[part]) for part in parts])

    def order(self, squares: NDArray[np.float64], items: NDArray[np.intp], run: Any = 0) -> NDArray[np.intp]:
        """Order of exact squared distances: see :func:`order_of_squares`."""
        return order_of_squares(squares, items, self.queries.shape[1], run)


def _products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Products ``left @ right.T``, (n_left, n_right).

    A few rows of `left` against more of `right` than caches hold are multiplied by one dot product after the
    other. That reads `right` from end to end, as fast as memory gives it, in half the time of OpenBLAS's
    product of a matrix and a vector; within the caches OpenBLAS is faster.
    """
    if len(left) > _FEW_ROWS or right.size < _CACHED:
        return left @ right.T
    out = np.empty((len(left), len(right)), dtype=np.float32)

    def fill(part: slice) -> None:
        np.vecdot(left[:, None], right[None, part], out=out[:, part])

    ends = np.linspace(0, len(right), n_threads() + 1).astype(int)
    for _ in map_blocks(fill, map(slice, ends[:-1], ends[1:])):
        pass
    return out


def _parts(n_rows: int) -> list[slice]:
    return [slice(start, start + 4096) for start in range(0, n_rows, 4096)]


def _largest_norm(augmented: NDArray[np.float32]) -> float:
    return float(np.sqrt(augmented[:, -1].max())) if len(augmented) else 0.0


def _grid(norm: float, centre: float) -> float:
    """The finest grid, a power of two, in whose units a norm is small enough; a little room for the centre.

    Where all rows are the same and the norm is 0, the digits of the centre decide.
    """
    return 1 / power_of_two(max(1.1 * norm / _EXACT, centre * 2.0**-60))


def _is_on_grid(X: Floats, unit: float) -> bool:
    return bool((np.rint(X / unit) * unit == X).all())


def candidates(search: Search, squares: NDArray[np.float32], norm: float, k: int) -> NDArray[np.intp]:
    """Indices, ascending, of items that hold the `k` nearest of a query for sure, and few more."""
    bound = upper_bounds(squares[None], k)[0]
    found = np.flatnonzero(squares <= bound + search.slack(norm, bound))
    hides = search.leaves_self_out or search.hidden is not None
    return found[squares[found] < np.inf] if hides else found


def upper_bounds(squares: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """For each row a value that at least `k` of its entries do not exceed, close to the k-th smallest.

    The k-th smallest of column minima is one, and costs a pass at memory speed instead of a selection.
    """
    n_rows, n_columns = squares.shape
    fold = min(n_columns // (8 * k), 64)
    if fold >= 4 and k > 1:
        width = n_columns // fold
        squares = squares[:, : fold * width].reshape(n_rows, fold, width).min(axis=1)
    return squares.min(axis=1) if k == 1 else np.partition(squares, k - 1, axis=1)[:, k - 1]
