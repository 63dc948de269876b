"""k-reciprocal re-ranking: items that count each other among their neighbours belong together."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics.pairwise import euclidean_distances

from skmetric._documented import DocumentedMixin
from skmetric._kernel._squares import Gallery
from skmetric._params import Interval, check_params
from skmetric._sklearn import BaseEstimator
from skmetric.retrieval import Neighbors, nearest

Rows: TypeAlias = NDArray[np.floating]  # (n_rows, n_features)

_BLOCK = 2**22  # distances held at a time


class _Encoded(NamedTuple):
    """A gallery and its neighbourhoods: each computed once, and used by all queries until it changes."""

    gallery: Gallery  # as the kernel searches it
    rows: NDArray[np.float64]  # (n_items, n_features)
    norms: NDArray[np.float64]  # (1, n_items), squared
    radius: NDArray[np.float64]  # (n_items,) distance to the k1-th neighbour
    halves: _Halves
    features: sparse.csr_matrix  # (n_items, n_items) Gaussian weights of expanded sets, rows sum to 1
    averaged: sparse.csr_matrix  # (n_items, n_items) mean of `features` over the k2 nearest
    columns: sparse.csc_matrix  # `averaged` by column


class _Halves(NamedTuple):
    """Reciprocal neighbours among the k1 / 2 nearest, the item itself among them."""

    sets: sparse.csr_matrix  # (n_items, n_items)
    holders: sparse.csr_matrix  # transposed: in which sets an item is
    sizes: NDArray[np.float64]  # (n_items,)

    @classmethod
    def of(cls, sets: sparse.csr_matrix) -> _Halves:
        return cls(sets, sets.T.tocsr(), np.asarray(sets.sum(axis=1)).ravel())


class KReciprocal(DocumentedMixin, BaseEstimator):
    """Re-rank neighbours by how much their k-reciprocal neighbourhoods overlap [1]_.

    The new distance is ``(1 - lambda_value) * jaccard + lambda_value * d ** 2 / max(d ** 2)``, in [0, 1]: the
    Jaccard distance of the two neighbourhoods, and the Euclidean one relative to that of the farthest item.

    Parameters
    ----------
    k1 : int, default=20
        Number of neighbours among which reciprocal ones are sought; all, if the gallery has fewer.
    k2 : int, default=6
        Nearest items, the item itself among them, over which neighbourhoods are averaged; 1 for none.
    lambda_value : float, default=0.3
        Weight of the Euclidean distance, from 0 to 1; 1 leaves the order as it is.

    See Also
    --------
    SimilaritySearch : Takes it as ``rerank``.

    Notes
    -----
    A query does not enter the neighbourhoods of the gallery or of other queries, so what it finds does not
    depend on what else is asked in the same call. With all items searched among the others, as by
    ``kneighbors()``, this is the published method. The gallery is encoded once, by a search of all in all and
    O(n_items * k1) memory beside a copy in float64; a query then costs its neighbourhood and one pass through
    the gallery.

    It lifts MAP@R where a class has many items in the gallery; recall@1 may fall.

    References
    ----------
    .. [1] Z. Zhong, L. Zheng, D. Cao, S. Li, "Re-ranking person re-identification with k-reciprocal
       encoding", CVPR 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skmetric.search import KReciprocal, SimilaritySearch
    >>> X = np.array([[0.0], [1.0], [2.0], [2.9], [3.6], [4.2]])
    >>> search = SimilaritySearch(n_neighbors=3, rerank=KReciprocal(k1=2, k2=1)).fit(X)
    >>> distances, rows = search.kneighbors([[1.4]])
    >>> rows
    array([[1, 2, 0]])
    """

    _parameter_constraints = {
        "k1": [Interval(Integral, 1, None, closed="left")],
        "k2": [Interval(Integral, 1, None, closed="left")],
        "lambda_value": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, k1: int = 20, k2: int = 6, lambda_value: float = 0.3) -> None:
        self.k1 = k1
        self.k2 = k2
        self.lambda_value = lambda_value

    def encode(self, embeddings: NDArray[np.floating]) -> Any:
        """Encode the neighbourhoods of a gallery, which `rerank` takes.

        Parameters
        ----------
        embeddings : ndarray of shape (n_items, n_features)
            The gallery, two items or more.

        Returns
        -------
        object
            For `rerank`, with the same embeddings.

        Raises
        ------
        ValueError
            If a parameter is out of range or the gallery has one item.
        """
        check_params(self)
        n_items = len(embeddings)
        if n_items < 2:
            raise ValueError("re-ranking compares neighbourhoods: the gallery needs two items or more")
        k1 = min(self.k1, n_items - 1)
        gallery, rows = Gallery(embeddings), embeddings.astype(np.float64)
        found = nearest(embeddings, k=k1)
        itself = np.arange(n_items)[:, None]
        ranked = np.hstack([itself, found.indices])
        squares = np.hstack([np.zeros((n_items, 1)), found.distances**2])
        reciprocal = _reciprocal(ranked)
        halves = _Halves.of(_reciprocal(ranked[:, : _half(k1) + 1]))
        sets = _expanded(reciprocal, halves)
        features = _weights(sets, rows, rows, _farthest(rows))
        averaged = features
        if self.k2 > 1:
            first = ranked[:, : min(self.k2, ranked.shape[1])]
            averaged = (_indicator(first, n_items) @ features) / first.shape[1]
        averaged = averaged.tocsr()
        norms = np.einsum("ij,ij->i", rows, rows)[None]
        radius = np.sqrt(squares[:, -1])
        return _Encoded(gallery, rows, norms, radius, halves, features, averaged, averaged.tocsc())

    def rerank(
        self,
        encoded: Any,
        embeddings: NDArray[np.floating],
        queries: NDArray[np.floating] | None = None,
        k: int = 1,
    ) -> Neighbors:
        """Nearest items by the new distance.

        Parameters
        ----------
        encoded : object
            Of `encode`.
        embeddings : ndarray of shape (n_items, n_features)
            The gallery.
        queries : ndarray of shape (n_queries, n_features), default=None
            What to look up; None looks up each item among the others, itself left out by identity.
        k : int, default=1
            Neighbours of each query.

        Returns
        -------
        Neighbors
            New distances in [0, 1], ascending, and rows, both (n_queries, k).
        """
        itself = queries is None
        queries = embeddings if queries is None else queries
        distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.intp)
        n_blocks = -(-len(queries) * len(embeddings) // _BLOCK)
        for rows in np.array_split(np.arange(len(queries)), n_blocks):
            block = queries[rows].astype(np.float64)
            squares = euclidean_distances(block, encoded.rows, Y_norm_squared=encoded.norms, squared=True)
            farthest = np.maximum(squares.max(axis=1), np.finfo(float).tiny)
            asked = (
                encoded.averaged[rows] if itself else self._encode_queries(encoded, queries[rows], farthest)
            )
            new = self.lambda_value * squares / farthest[:, None]
            new += (1 - self.lambda_value) * _jaccard(asked, encoded.columns)
            if itself:
                new[np.arange(len(rows)), rows] = np.inf
            first = np.argsort(new, axis=1, kind="stable")[:, :k]
            distances[rows], indices[rows] = np.take_along_axis(new, first, axis=1), first
        return Neighbors(distances, indices)

    def _encode_queries(
        self, encoded: _Encoded, queries: Rows, farthest: NDArray[np.float64]
    ) -> sparse.csr_matrix:
        """Features of queries over the items of the gallery; the weight of the query itself is left out."""
        n_items = len(encoded.rows)
        found = nearest(queries, encoded.gallery, min(self.k1, n_items))
        mutual = found.distances <= encoded.radius[found.indices]
        reciprocal = _indicator(found.indices, n_items, mutual)
        sets = _expanded(reciprocal, encoded.halves)
        features = _weights(sets, queries, encoded.rows, farthest, on_itself=1.0)
        if self.k2 == 1:
            return features
        first = found.indices[:, : self.k2 - 1]
        return ((features + _indicator(first, n_items) @ encoded.features) / (first.shape[1] + 1)).tocsr()


def _half(k: int) -> int:
    return int(np.around(k / 2))


def _indicator(
    indices: NDArray[np.intp], n_columns: int, mask: NDArray[np.bool_] | None = None
) -> sparse.csr_matrix:
    """Sparse rows with 1 at the indices, where the mask allows."""
    rows = np.repeat(np.arange(len(indices)), indices.shape[1])
    columns, values = indices.ravel(), np.ones(indices.size) if mask is None else mask.ravel().astype(float)
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(len(indices), n_columns))
    matrix.eliminate_zeros()
    return matrix


def _reciprocal(ranked: NDArray[np.intp]) -> sparse.csr_matrix:
    """Pairs in which each has the other in its list."""
    lists = _indicator(ranked, len(ranked))
    return lists.multiply(lists.T).tocsr()


def _expanded(reciprocal: sparse.csr_matrix, halves: _Halves) -> sparse.csr_matrix:
    """Sets with those of their members' smaller sets of which more than two thirds are in the set already."""
    shared = (reciprocal @ halves.holders).multiply(reciprocal).tocsr()
    shared.data = (shared.data > 2 / 3 * halves.sizes[shared.indices]).astype(float)
    shared.eliminate_zeros()
    sets = (reciprocal + shared @ halves.sets).tocsr()
    sets.data[:] = 1
    return sets


def _weights(
    sets: sparse.csr_matrix,
    queries: Rows,
    gallery: Rows,
    farthest: NDArray[np.float64],
    on_itself: float = 0.0,
) -> sparse.csr_matrix:
    """Gaussian weights of the members, exp(-d ** 2 / farthest), divided by their sum."""
    sets = sets.tocsr()
    rows = np.repeat(np.arange(sets.shape[0]), np.diff(sets.indptr))
    for part in (slice(start, start + 2**16) for start in range(0, len(rows), 2**16)):
        difference = queries[rows[part]].astype(np.float64) - gallery[sets.indices[part]]
        squares = np.einsum("ij,ij->i", difference, difference)
        sets.data[part] = np.exp(-squares / farthest[rows[part]])
    sums = np.bincount(rows, weights=sets.data, minlength=sets.shape[0]) + on_itself
    sets.data /= sums[rows]
    return sets


def _farthest(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distance of each row to the farthest of all."""
    parts = np.array_split(rows, -(-(len(rows) ** 2) // _BLOCK))
    largest = [euclidean_distances(part, rows, squared=True).max(axis=1) for part in parts]
    return np.maximum(np.concatenate(largest), np.finfo(float).tiny)


def _jaccard(asked: sparse.csr_matrix, columns: sparse.csc_matrix) -> NDArray[np.float64]:
    """Jaccard distances of weighted sets whose rows sum to 1: 1 - m / (2 - m), with m the sum of minima."""
    out = np.empty((asked.shape[0], columns.shape[0]))
    for i in range(asked.shape[0]):
        own = slice(asked.indptr[i], asked.indptr[i + 1])
        others = columns[:, asked.indices[own]]
        minima = np.minimum(others.data, np.repeat(asked.data[own], np.diff(others.indptr)))
        m = np.bincount(others.indices, weights=minima, minlength=columns.shape[0])
        out[i] = 1 - m / (2 - m)
    return out
