"""Blocked squared distances in float32, and float64 where float32 cannot tell."""

import numpy as np

from skmetric._threads import map_blocks, n_threads

_BLOCK_BYTES = 2**25  # of float32 distances that one thread holds at a time
_BLOCK_ROWS = 256
_FEW_ROWS = 4  # of queries, whose product is bound by memory
_CACHED = 2**22  # numbers, 16 MiB, about which caches end
_WIDE = 2.0**50  # coordinates of queries, in the gallery's scale, whose squares might overflow
_SIGMAS = 6.0  # of rounding error: see `Search.slack`


class Gallery:
    """Rows to search, prepared once.

    They are centred, since far from the origin the product would cancel, and scaled against overflow; each is
    followed by 1 and its squared norm.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        The rows. They are referred to, not copied, and decide what float32 cannot.
    largest : float, default=0
        Largest coordinate, about the centre, that queries may have; else that of the rows.
    """

    is_plain = False  # whether the prepared rows are those given, neither centred nor scaled

    def __init__(self, rows, largest=0.0):
        self.rows = rows
        self.centre = rows.mean(axis=0, dtype=np.float64)
        self._scale = _power_of_two(max(largest, self.reach(rows)))
        self._buffer = self.augment(rows)  # (n_rows, n_features + 2), with room behind once it has grown
        self.n_prepared = len(rows)
        self.norm = _largest_norm(self._buffer)

    @classmethod
    def plain(cls, augmented):
        """Gallery of float32 rows that are prepared already, (n_rows, n_features + 2), without a copy.

        For rows about the origin and of moderate size, which need no centring and no scale.
        """
        gallery = cls.__new__(cls)
        gallery.is_plain, gallery.centre, gallery._scale = True, 0.0, 1.0
        gallery.n_prepared, gallery.norm = len(augmented), 0.0
        return gallery.grown_plain(augmented, len(augmented))

    def grown_plain(self, augmented, n_new):
        """The same plain gallery with `n_new` rows more at the end."""
        self._buffer, self.rows = augmented, augmented[:, :-2]
        self.norm = max(self.norm, _largest_norm(augmented[len(augmented) - n_new :]))
        return self

    def __len__(self):
        return len(self.rows)

    @property
    def augmented(self):
        """The prepared rows, (n_rows, n_features + 2)."""
        return self._buffer[: len(self.rows)]

    def grown(self, rows):
        """Gallery of `rows`, which begin with those of this one, at the price of the new rows.

        Every now and then all are prepared anew, since the centre moves.
        """
        old, new = len(self), rows[len(self) :]
        is_wide = len(new) and self.reach(new) * self._scale >= _WIDE
        if is_wide or len(rows) > 1.5 * self.n_prepared:
            return Gallery(rows)
        if len(rows) > len(self._buffer):
            buffer = np.empty((int(1.5 * self.n_prepared) + 1, self._buffer.shape[1]), dtype=np.float32)
            buffer[:old] = self._buffer[:old]
            self._buffer = buffer
        self.rows = rows
        self._buffer[old : len(rows)] = self.augment(new)
        self.norm = max(self.norm, _largest_norm(self._buffer[old : len(rows)]))
        return self

    def reach(self, X):
        """Largest coordinate of rows, about the centre."""
        return max(np.abs(X[part] - self.centre).max() for part in _parts(len(X)))

    def augment(self, X):
        """Centred and scaled rows, then 1, then their squared norm; float32."""
        out = np.ones((len(X), X.shape[1] + 2), dtype=np.float32)
        for rows in _parts(len(X)):
            out[rows, :-2] = (X[rows] - self.centre) * self._scale
            out[rows, -1] = np.einsum("ij,ij->i", out[rows, :-2], out[rows, :-2], dtype=np.float64)
        return out

    def fits(self, queries):
        """Whether squares of queries are sure to stay finite."""
        return self.reach(queries) * self._scale < _WIDE


class Search:
    """Queries and a gallery, ready for blocked search; without a gallery each row is kept out of its own.

    One product gives squared distances: (-2q, |q|^2, 1) . (g, 1, |g|^2).
    """

    def __init__(self, queries, gallery=None):
        self.leaves_self_out = gallery is None
        if not isinstance(gallery, Gallery):
            gallery = Gallery(queries if gallery is None else gallery)
        if not gallery.fits(queries):
            gallery = Gallery(gallery.rows, largest=gallery.reach(queries))
        self.queries, self._gallery = queries, gallery
        self.n_queries, self.n_gallery = len(queries), len(gallery)
        self.n_items = self.n_gallery - self.leaves_self_out

    def blocks(self):
        """Arrays of consecutive query rows, each small enough for one thread, and enough for all threads."""
        most = int(np.clip(_BLOCK_BYTES // (4 * self.n_gallery), 8, _BLOCK_ROWS))
        n_blocks = max(-(-self.n_queries // most), min(n_threads(), self.n_queries // 8))
        return np.array_split(np.arange(self.n_queries), max(n_blocks, 1))

    def squares(self, rows):
        """Squared distances of a block and the slack of each query.

        Returns
        -------
        squares : ndarray of shape (n_rows, n_gallery), float32
            In units of the kernel's scale; infinite from a row to itself.
        norms : ndarray of shape (n_rows,)
            Of the centred queries, in the same units: what :meth:`slack` needs.
        """
        left = self._gallery.augment(self.queries[rows[0] : rows[-1] + 1])
        left[:, :-2] *= -2
        left[:, -2:] = left[:, :-3:-1]  # (1, |q|^2) becomes (|q|^2, 1)
        squares = _products(left, self._gallery.augmented)
        np.maximum(squares, 0, out=squares)
        if self.leaves_self_out:
            squares[np.arange(len(rows)), rows] = np.inf
        return squares, np.sqrt(left[:, -2].astype(np.float64))

    def slack(self, norms, squares):
        """How close two float32 squares up to `squares` can be and yet stand in the wrong order.

        The product sums n_features terms of |q||g| in all and then adds |q|^2 and |g|^2. Its rounding errors
        behave like independent ones (Higham and Mary, SIAM J. Sci. Comput. 41, 2019), so they grow with the
        root of the number of terms; an item that near has |g| <= |q| + d.
        """
        g = np.minimum(norms + np.sqrt(squares), self._gallery.norm)
        product = np.sqrt(self.queries.shape[1] / 12) * norms * g
        return _SIGMAS * 2.0**-24 * (product + (norms**2 + g**2) / 2 + squares)

    def exact_squares(self, row, indices):
        """Squared distances to a few items in float64."""
        difference = self._gallery.rows[indices].astype(np.float64)
        difference -= self.queries[row]
        return np.einsum("ij,ij->i", difference, difference)

    def exact_pairs(self, rows, indices):
        """Squared distances of pairs of a query and an item in float64."""
        difference = self._gallery.rows[indices].astype(np.float64) - self.queries[rows]
        return np.einsum("ij,ij->i", difference, difference)


def _products(left, right):
    """Products ``left @ right.T``, (n_left, n_right).

    A few rows of `left` against more of `right` than caches hold are multiplied by one dot product after the
    other. That reads `right` from end to end, as fast as memory gives it, in half the time of OpenBLAS's
    product of a matrix and a vector; within the caches OpenBLAS is faster.
    """
    if len(left) > _FEW_ROWS or right.size < _CACHED:
        return left @ right.T
    out = np.empty((len(left), len(right)), dtype=np.float32)

    def fill(part):
        np.vecdot(left[:, None], right[None, part], out=out[:, part])

    ends = np.linspace(0, len(right), n_threads() + 1).astype(int)
    for _ in map_blocks(fill, map(slice, ends[:-1], ends[1:])):
        pass
    return out


def _parts(n_rows):
    return [slice(start, start + 4096) for start in range(0, n_rows, 4096)]


def _largest_norm(augmented):
    return np.sqrt(augmented[:, -1].max()) if len(augmented) else 0.0


def _power_of_two(largest):
    """Factor that brings `largest` below 1 and rounds nothing."""
    return 2.0 ** -np.frexp(largest)[1] if largest > 0 else 1.0


def candidates(search, squares, norm, k):
    """Indices, ascending, of items that hold the `k` nearest of a query for sure, and few more."""
    bound = _upper_bound(squares, k)
    found = np.flatnonzero(squares <= bound + search.slack(norm, bound))
    return found[squares[found] < np.inf] if search.leaves_self_out else found


def _upper_bound(values, k):
    """A value that at least `k` of `values` do not exceed, close to the k-th smallest.

    The k-th smallest of column minima is one, and costs a pass at memory speed instead of a selection.
    """
    fold = min(len(values) // (8 * k), 64)
    if fold >= 4:
        width = len(values) // fold
        values = values[: fold * width].reshape(fold, width).min(axis=0)
    return np.partition(values, k - 1)[k - 1]


def ascending(values):
    """Order of non-negative float32 `values`, ties by index: a stable argsort at the price of a sort.

    Non-negative floats order like their bits, so bits and index fit one integer.
    """
    keys = np.ascontiguousarray(values).view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(values), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.intp)
