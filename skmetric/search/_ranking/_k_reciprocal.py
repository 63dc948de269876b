"""k-reciprocal re-ranking: items that count each other among their neighbours belong together."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.metrics.pairwise import euclidean_distances

from skmetric._documented import DocumentedMixin
from skmetric._params import Interval, check_params
from skmetric._sklearn import BaseEstimator
from skmetric.retrieval import Neighbors, nearest

_BLOCK = 2**22  # distances held at a time


class _Encoded(NamedTuple):
    """A gallery's neighbourhoods: each computed once, and used by all queries until the gallery changes."""

    radius: np.ndarray  # (n_items,) distance to the k1-th neighbour
    halves: (
        sparse.csr_matrix
    )  # (n_items, n_items) reciprocal neighbours among k1 / 2, the item itself among them
    features: sparse.csr_matrix  # (n_items, n_items) Gaussian weights of expanded sets, rows sum to 1
    averaged: (
        sparse.csr_matrix
    )  # (n_items, n_items) mean of `features` over the k2 nearest, the item among them
    columns: sparse.csc_matrix  # `averaged` by column


class KReciprocal(DocumentedMixin, BaseEstimator):
    """Re-rank neighbours by how much their k-reciprocal neighbourhoods overlap [1]_.

    The new distance is ``(1 - lambda_value) * jaccard + lambda_value * d ** 2 / max(d ** 2)``, in [0, 1]: the
    Jaccard distance of the two neighbourhoods, and the Euclidean one relative to that of the farthest item.

    Parameters
    ----------
    k1 : int, default=20
        Neighbours among which reciprocal ones are sought; a smaller gallery gives what it has.
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
    O(n_items * k1) memory; a query then costs its neighbourhood and one pass through the gallery.

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

    def __init__(self, k1=20, k2=6, lambda_value=0.3):
        self.k1 = k1
        self.k2 = k2
        self.lambda_value = lambda_value

    def encode(self, embeddings):
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
        found = nearest(embeddings, k=k1)
        itself = np.arange(n_items)[:, None]
        ranked = np.hstack([itself, found.indices])
        squares = np.hstack([np.zeros((n_items, 1)), found.distances**2])
        reciprocal = _reciprocal(ranked)
        halves = _reciprocal(ranked[:, : _half(k1) + 1])
        sets = _expanded(reciprocal, halves)
        features = _weights(sets, embeddings, embeddings, _farthest(embeddings, embeddings))
        averaged = features
        if self.k2 > 1:
            first = ranked[:, : min(self.k2, ranked.shape[1])]
            averaged = (_indicator(first, n_items) @ features) / first.shape[1]
        return _Encoded(np.sqrt(squares[:, -1]), halves, features, averaged.tocsr(), averaged.tocsc())

    def rerank(self, encoded, embeddings, queries=None, k=1):
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
        queries = embeddings if itself else queries
        distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.intp)
        n_blocks = -(-len(queries) * len(embeddings) // _BLOCK)
        for rows in np.array_split(np.arange(len(queries)), n_blocks):
            squares = euclidean_distances(
                queries[rows].astype(np.float64), embeddings.astype(np.float64), squared=True
            )
            farthest = np.maximum(squares.max(axis=1), np.finfo(float).tiny)
            asked = (
                encoded.averaged[rows]
                if itself
                else self._encode_queries(encoded, embeddings, queries[rows], farthest)
            )
            new = self.lambda_value * squares / farthest[:, None]
            new += (1 - self.lambda_value) * _jaccard(asked, encoded.columns)
            if itself:
                new[np.arange(len(rows)), rows] = np.inf
            first = np.argsort(new, axis=1, kind="stable")[:, :k]
            distances[rows], indices[rows] = np.take_along_axis(new, first, axis=1), first
        return Neighbors(distances, indices)

    def _encode_queries(self, encoded, embeddings, queries, farthest):
        """Features of queries, in the columns of the gallery; what falls on the query itself is left out."""
        n_items = len(embeddings)
        found = nearest(queries, embeddings, min(self.k1, n_items))
        mutual = found.distances <= encoded.radius[found.indices]
        reciprocal = _indicator(found.indices, n_items, mutual)
        sets = _expanded(reciprocal, encoded.halves)
        features = _weights(sets, queries, embeddings, farthest, on_itself=1.0)
        if self.k2 == 1:
            return features
        first = found.indices[:, : self.k2 - 1]
        return ((features + _indicator(first, n_items) @ encoded.features) / (first.shape[1] + 1)).tocsr()


def _half(k):
    return int(np.around(k / 2))


def _indicator(indices, n_columns, mask=None):
    """Sparse rows with 1 at the indices, where the mask allows."""
    rows = np.repeat(np.arange(len(indices)), indices.shape[1])
    columns, values = indices.ravel(), np.ones(indices.size) if mask is None else mask.ravel().astype(float)
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(len(indices), n_columns))
    matrix.eliminate_zeros()
    return matrix


def _reciprocal(ranked):
    """Pairs in which each has the other in its list."""
    lists = _indicator(ranked, len(ranked))
    return lists.multiply(lists.T).tocsr()


def _expanded(reciprocal, halves):
    """Sets with those of their members' smaller sets of which more than two thirds are in the set already."""
    shared = (reciprocal @ halves.T).multiply(reciprocal).tocsr()
    sizes = np.asarray(halves.sum(axis=1)).ravel()
    shared.data = (shared.data > 2 / 3 * sizes[shared.indices]).astype(float)
    shared.eliminate_zeros()
    sets = (reciprocal + shared @ halves).tocsr()
    sets.data[:] = 1
    return sets


def _weights(sets, queries, gallery, farthest, on_itself=0.0):
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


def _farthest(queries, gallery):
    """Squared distance of each row to the farthest of the gallery."""
    gallery = gallery.astype(np.float64)
    parts = np.array_split(queries.astype(np.float64), -(-len(queries) * len(gallery) // _BLOCK))
    largest = [euclidean_distances(part, gallery, squared=True).max(axis=1) for part in parts]
    return np.maximum(np.concatenate(largest), np.finfo(float).tiny)


def _jaccard(asked, columns):
    """Jaccard distances of weighted sets whose rows sum to 1: 1 - m / (2 - m), with m the sum of minima."""
    out = np.empty((asked.shape[0], columns.shape[0]))
    for i in range(asked.shape[0]):
        own = slice(asked.indptr[i], asked.indptr[i + 1])
        others = columns[:, asked.indices[own]]
        minima = np.minimum(others.data, np.repeat(asked.data[own], np.diff(others.indptr)))
        m = np.bincount(others.indices, weights=minima, minlength=columns.shape[0])
        out[i] = 1 - m / (2 - m)
    return out
