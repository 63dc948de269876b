"""Squared lengths of the differences of pairs under a map, and their gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, diags_array

_CHUNK = 4096  # pairs whose differences are held at a time

_Floats = NDArray[np.float64]


class Forms(NamedTuple):
    """Pairs of rows. Where they are fewer than the rows, `rows` holds their differences and `pairs` is None.

    Costs are O(n_rows * n_features^2 + n_pairs * n_features), memory is O(n_rows * n_features).
    """

    rows: _Floats  # (n_rows, n_features)
    pairs: NDArray[np.intp] | None  # (n_pairs, 2)

    @property
    def largest(self) -> float:
        """Largest absolute entry of the rows."""
        return float(np.abs(self.rows).max(initial=0.0))

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(self.rows if self.pairs is None else self.pairs)

    @property
    def n_features(self) -> int:
        """Number of features of the rows."""
        return self.rows.shape[1]

    def scaled(self, factor: float) -> Forms:
        """The pairs with all rows multiplied."""
        return self._replace(rows=self.rows * factor)

    def through(self, components: _Floats) -> Forms:
        """The pairs of the mapped rows."""
        return self._replace(rows=self.under(components))

    def under(self, components: _Floats) -> _Floats:
        """Rows or differences after a map, (n_rows, n_components); the map may be given as its diagonal."""
        return self.rows * components if components.ndim == 1 else self.rows @ components.T

    def squares(self, mapped: _Floats) -> _Floats:
        """Squared lengths of the mapped differences, (n_pairs,)."""
        if self.pairs is None:
            return np.einsum("ij,ij->i", mapped, mapped)
        out = np.empty(len(self.pairs))
        for start in range(0, len(out), _CHUNK):
            first, second = self.pairs[start : start + _CHUNK].T
            gap = mapped[first] - mapped[second]
            np.einsum("ij,ij->i", gap, gap, out=out[start : start + _CHUNK])
        return out

    def along(self, directions: _Floats) -> _Floats:
        """Squared differences along each direction, (n_directions, n_pairs)."""
        return squares_of(directions @ self.rows.T, self.pairs)

    def spread(self, mapped: _Floats, weights: _Floats) -> _Floats:
        """Sum over pairs of weight * (mapped difference) (difference)^T, (n_components, n_features)."""
        if self.pairs is None:
            return (mapped * weights[:, None]).T @ self.rows
        return (laplacian(self.pairs, weights, len(self.rows)) @ mapped).T @ self.rows

    def scatter(self, weights: _Floats) -> _Floats:
        """Sum over pairs of weight * difference difference^T, (n_features, n_features)."""
        return self.spread(self.rows, weights)

    def feature_squares(self) -> _Floats:
        """Sum over pairs of the squared differences, (n_features,): exactly 0 for a feature that is equal."""
        if self.pairs is None:
            return np.einsum("ij,ij->j", self.rows, self.rows)
        out = np.zeros(self.n_features)
        for start in range(0, len(self.pairs), _CHUNK):
            first, second = self.pairs[start : start + _CHUNK].T
            gap = self.rows[first] - self.rows[second]
            out += np.einsum("ij,ij->j", gap, gap)
        return out


def forms_of(rows: NDArray[np.floating], pairs: NDArray[np.intp]) -> Forms:
    """Pairs of rows of an array, in float64: only the rows that occur, about their mean."""
    used, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    if len(pairs) <= len(used):
        return Forms(rows[pairs[:, 0]].astype(np.float64) - rows[pairs[:, 1]], None)
    rows = rows[used].astype(np.float64)
    return Forms(rows - rows.mean(axis=0), places)


def squares_of(places: _Floats, pairs: NDArray[np.intp] | None) -> _Floats:
    """Squared differences of places of rows along directions, (n_directions, n_pairs)."""
    gaps = places if pairs is None else places[:, pairs[:, 0]] - places[:, pairs[:, 1]]
    return gaps * gaps


def laplacian(pairs: NDArray[np.intp], weights: _Floats, n_rows: int) -> csr_array:
    """Matrix whose quadratic form is the weighted sum of squared differences."""
    first, second = pairs.T
    kept = weights != 0
    first, second, weights = first[kept], second[kept], weights[kept]
    links = coo_array(
        (-np.tile(weights, 2), (np.concatenate([first, second]), np.concatenate([second, first]))),
        shape=(n_rows, n_rows),
    )
    degree = np.bincount(first, weights, n_rows) + np.bincount(second, weights, n_rows)
    degree = degree.astype(np.float64)  # of no pairs, counts are integers
    return csr_array(links.tocsr() + diags_array(degree, format="csr"))
