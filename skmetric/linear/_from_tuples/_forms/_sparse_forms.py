"""Squared lengths of the differences of pairs of sparse rows under a map, and their gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from ._dense_forms import Forms, laplacian, squares_of

_ENTRIES = 1 << 20  # of mapped rows that are held at a time
_FEWEST = 8  # components that are mapped at a time
_PAIRS = 4096  # pairs whose differences are multiplied at a time

_Floats = NDArray[np.float64]


class SparseForms(NamedTuple):
    """What :class:`~skmetric.linear._from_tuples._forms._dense_forms.Forms` is for arrays.

    Mapped rows would be dense: `under` gives the map in their place, and a block of components is applied at
    a time. Costs are O((n_entries + n_pairs) * n_components), memory is O(n_rows + n_features^2).
    """

    rows: Any  # CSR array (n_rows, n_features)
    pairs: NDArray[np.intp] | None  # (n_pairs, 2)
    map: _Floats | None = None  # (n_mapped, n_features), of rows that are meant mapped

    @property
    def largest(self) -> float:
        return float(abs(self.rows.data).max(initial=0.0))

    @property
    def n_pairs(self) -> int:
        return self.rows.shape[0] if self.pairs is None else len(self.pairs)

    @property
    def n_features(self) -> int:
        return self.rows.shape[1] if self.map is None else len(self.map)

    def scaled(self, factor: float) -> SparseForms:
        return self._replace(rows=self.rows * factor)

    def through(self, components: _Floats) -> SparseForms:
        return self._replace(map=self._composed(components))

    def under(self, components: _Floats) -> _Floats:
        """The map of the rows that `components` make, (n_components, n_features)."""
        return self._composed(np.diag(components) if components.ndim == 1 else components)

    def squares(self, mapped: _Floats) -> _Floats:
        """Squared lengths of the differences under what `under` gave, (n_pairs,)."""
        out = np.zeros(self.n_pairs)
        for part in self._parts(mapped):
            rows = self.rows @ mapped[part].T  # (n_rows, n_part)
            out += Forms(rows, self.pairs).squares(rows)
        return out

    def along(self, directions: _Floats) -> _Floats:
        """Squared differences along each direction, (n_directions, n_pairs)."""
        return squares_of((self.rows @ self._composed(directions).T).T, self.pairs)

    def spread(self, mapped: _Floats, weights: _Floats) -> _Floats:
        """Sum over pairs of weight * (mapped difference) (difference)^T, (n_components, n_features)."""
        weigh = (
            diags_array(weights) if self.pairs is None else laplacian(self.pairs, weights, self.rows.shape[0])
        )
        columns, out = self.rows.T.tocsr(), np.empty((len(mapped), self.rows.shape[1]))
        for part in self._parts(mapped):
            out[part] = (columns @ (weigh @ (self.rows @ mapped[part].T))).T
        return out if self.map is None else out @ self.map.T

    def scatter(self, weights: _Floats) -> _Floats:
        """Sum over pairs of weight * difference difference^T, (n_features, n_features)."""
        kept = np.flatnonzero(weights)
        out = np.zeros((self.rows.shape[1],) * 2)
        for start in range(0, len(kept), _PAIRS):
            part = kept[start : start + _PAIRS]
            gaps = self.rows[part] if self.pairs is None else differences(self.rows, self.pairs[part])
            out += (gaps.T @ (diags_array(weights[part]) @ gaps)).toarray()
        return out if self.map is None else self.map @ out @ self.map.T

    def feature_squares(self) -> _Floats:
        """Sum over pairs of the squared differences of each feature that is not mapped, (n_features,)."""
        gaps = self.rows if self.pairs is None else differences(self.rows, self.pairs)
        return np.asarray((gaps * gaps).sum(axis=0)).ravel()

    def _composed(self, components: _Floats) -> _Floats:
        return components if self.map is None else components @ self.map

    def _parts(self, mapped: _Floats) -> list[slice]:
        width = max(_FEWEST, _ENTRIES // max(self.rows.shape[0], 1))
        return [slice(start, start + width) for start in range(0, len(mapped), width)]


def sparse_forms(rows: csr_array, pairs: NDArray[np.intp]) -> SparseForms:
    """Pairs of sparse rows, in float64: only the rows that occur, or the differences if these are fewer."""
    used, places = np.unique(pairs, return_inverse=True)
    if len(pairs) <= len(used):
        return SparseForms(differences(rows.astype(np.float64), pairs), None)
    rows = rows[used].astype(np.float64)
    # features that all rows have stay sparse about their mean, and keep the digits of their differences
    is_full = np.bincount(rows.indices, minlength=rows.shape[1]) == rows.shape[0]
    means = np.asarray(rows.mean(axis=0)).ravel() * is_full
    centred = csr_array((rows.data - means[rows.indices], rows.indices, rows.indptr), shape=rows.shape)
    return SparseForms(centred, places.reshape(pairs.shape))


def differences(rows: csr_array, pairs: NDArray[np.intp]) -> csr_array:
    """Differences of pairs of sparse rows, (n_pairs, n_features); of equal rows without an entry."""
    gaps = csr_array(rows[pairs[:, 0]] - rows[pairs[:, 1]])
    gaps.eliminate_zeros()
    return gaps
