"""FaissIndex: approximate search by FAISS, of a kind that a factory string names."""

import re
from numbers import Integral
from typing import final

import numpy as np

from skmetric._checks import check_matrix
from skmetric._params import Interval, check_params
from skmetric.retrieval import Neighbors, nearest

from ._checks import check_dimension, check_ids, check_k, refuse_columns
from ._faiss_engine import Engine, build, squared_distances
from ._growing import GrowingArray
from ._ids import Ids
from ._index import Index

_COUNT = Interval(Integral, 1, None, closed="left")
_COMPARES_EMBEDDINGS = re.compile(r"(IVF\d+(_HNSW\d+)?,)?Flat|HNSW\d*(,Flat)?")
_MEASURES = re.compile(r"IVF\d+(_HNSW\d+)?,Flat|HNSW\d*(,Flat)?")  # kinds that subtract before they square
_LOW = np.uint64(2**32 - 1)
_FEW = 0.1  # share of the items below which a search among some of them is made exactly


@final
class FaissIndex(Index):
    """Approximate search by FAISS [1]_: graphs, inverted lists and quantisation, for millions of items.

    The embeddings are kept beside FAISS's own structures, and distances of what it finds are computed from
    them, in float32: quantisation costs candidates, not digits. Items are searchable at once. What
    must be trained is trained on the embeddings of the first `add`.

    Parameters
    ----------
    factory : str, default="HNSW32"
        FAISS's description of the index [2]_: "Flat" (exact), "HNSW32" (a graph), "IVF1024,Flat" (inverted
        lists), "SQ8" (8 bits a number), "IVF1024,PQ16" (product quantisation: 16 bytes an item), "PCA64,SQ8".
    n_probe : int, default=16
        Inverted lists that a query looks into, at most all.
    ef_search : int, default=64
        Candidates that a graph search holds; at least k are.
    ef_construction : int, default=40
        Candidates held while a graph is built.
    rescore : int, default=4
        Candidates for each neighbour asked for that a quantised index is asked for; their exact distances
        decide. 1 takes FAISS's own choice.
    keep_vectors : bool, default=True
        Keep the embeddings. Without them distances, and what `vectors` returns, are those of the quantised
        embeddings.

    See Also
    --------
    ExactIndex : Exact, and fast enough for some hundred thousand items.

    Notes
    -----
    Graphs cannot remove items, and say so; inverted lists, flat and quantised ones can. A query for which a
    graph or the lists find too few, as where parts of a graph hang together by no edge, looks everywhere, at
    last among the embeddings. Searches use as many
    threads as OpenMP is allowed. Nothing is random: equal calls give equal indexes.

    References
    ----------
    .. [1] M. Douze et al., "The Faiss library", arXiv:2401.08281, 2024.
    .. [2] https://github.com/facebookresearch/faiss/wiki/The-index-factory

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmetric.search import FaissIndex, SimilaritySearch
    >>> X, y = load_digits(return_X_y=True)
    >>> search = SimilaritySearch(index=FaissIndex("HNSW16")).fit(X[:1000], y[:1000])
    >>> bool(search.score(X[1000:], y[1000:]) > 0.9)
    True
    """

    _parameter_constraints = {
        "factory": [str],
        "n_probe": [_COUNT],
        "ef_search": [_COUNT],
        "ef_construction": [_COUNT],
        "rescore": [_COUNT],
        "keep_vectors": ["boolean"],
    }

    def __init__(
        self,
        factory="HNSW32",
        *,
        n_probe=16,
        ef_search=64,
        ef_construction=40,
        rescore=4,
        keep_vectors=True,
    ):
        self.factory = factory
        self.n_probe = n_probe
        self.ef_search = ef_search
        self.ef_construction = ef_construction
        self.rescore = rescore
        self.keep_vectors = keep_vectors

    def add(self, ids, embeddings, columns=None):
        """Add embeddings under ids that are not in use.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids, each once.
        embeddings : array-like of shape (n_items, n_features)
            Their embeddings; FAISS keeps them in float32.
        columns : None
            Not held here.

        Returns
        -------
        FaissIndex
            The index.

        Raises
        ------
        ImportError
            Without FAISS: the extra ``faiss`` brings it.
        ValueError
            If an id is in use or comes twice, embeddings are not finite or of another dimension, FAISS does
            not know the factory, or there are too few embeddings to train it.
        """
        refuse_columns(self, columns=columns)
        embeddings = _as_float32(embeddings)
        ids = check_ids(ids, len(embeddings))
        if not hasattr(self, "_ids"):
            check_params(self)
            built = build(self, embeddings)
            self._engine, self._ids = built, Ids(ids[:0])
            self._vectors = GrowingArray(embeddings[:0]) if self.keep_vectors else None
        self._ids.refuse_used(ids)
        check_dimension(embeddings, self._engine.index.d)
        self._engine.index.add_with_ids(embeddings, ids)
        self._ids.append(ids)
        if self._vectors is not None:
            self._vectors.append(embeddings)
        return self

    def remove(self, ids):
        """Take items out.

        Parameters
        ----------
        ids : array-like of shape (n_items,), int
            Ids to remove.

        Returns
        -------
        FaissIndex
            The index.

        Raises
        ------
        KeyError
            If an id is not in the index; then nothing is removed.
        NotImplementedError
            If the kind of index cannot remove items.
        """
        ids = np.asarray(ids).ravel().astype(np.int64)
        rows = self._rows(ids)
        try:
            self._engine.index.remove_ids(ids)
        except RuntimeError as error:
            raise NotImplementedError(
                f"FaissIndex(factory={self.factory!r}) cannot remove items: use one of inverted lists, as "
                "'IVF1024,Flat', or fit anew without them"
            ) from error
        kept = np.ones(len(self), dtype=bool)
        kept[rows] = False
        self._ids.keep(kept)
        if self._vectors is not None:
            self._vectors.keep(kept)
        return self

    def query(self, embeddings, k, *, among=None, where=None):
        """Find the nearest items of each embedding, as far as the kind of index finds them.

        Parameters
        ----------
        embeddings : array-like of shape (n_queries, n_features)
            Queries.
        k : int
            Neighbours of each, from 1 to the number of items that are searched.
        among : array-like of int, default=None
            Ids that the search is limited to; None searches all. Few items are searched exactly.
        where : None
            Not held here.

        Returns
        -------
        Neighbors
            Euclidean distances (float64) and ids, both (n_queries, k), nearest first.

        Raises
        ------
        ValueError
            If there is nothing to search, `k` is out of range or embeddings do not fit.
        KeyError
            If an id of `among` is not in the index.
        """
        refuse_columns(self, where=where)
        embeddings = _as_float32(embeddings)
        rows = None if among is None else self._rows(among)
        check_k(k, len(self) if rows is None else len(rows))
        check_dimension(embeddings, self._engine.index.d)
        if rows is not None and self._vectors is not None and len(rows) <= max(_FEW * len(self), 10 * k):
            return self._exactly(embeddings, k, np.sort(rows))
        try:
            neighbors = self._approximately(embeddings, k, rows)
        except RuntimeError as error:
            if rows is None:
                raise
            if self._vectors is not None:  # kinds of index that take no selection
                return self._exactly(embeddings, k, np.sort(rows))
            raise NotImplementedError(
                f"FaissIndex(factory={self.factory!r}) cannot search among some items: use keep_vectors=True"
            ) from error
        short = np.flatnonzero(neighbors.indices[:, -1] < 0)  # parts of a graph that no edge leads to
        if len(short) and self._vectors is not None:
            rows = np.arange(len(self)) if rows is None else np.sort(rows)
            for part, exact in zip(neighbors, self._exactly(embeddings[short], k, rows), strict=True):
                part[short] = exact
        return neighbors

    def vectors(self, ids=None):
        """Return embeddings of items: those that came, or the quantised ones if they are not kept.

        Parameters
        ----------
        ids : array-like of int, default=None
            Which; None gives all, in the order in which they came.

        Returns
        -------
        ndarray of shape (n_items, n_features)
            Read only.

        Raises
        ------
        KeyError
            If an id is not in the index.
        """
        if not hasattr(self, "_ids"):
            raise ValueError("the index is empty: add embeddings first")
        if self._vectors is None:
            wanted = self._ids.values if ids is None else self._ids.values[self._rows(ids)]
            values = self._engine.index.reconstruct_batch(wanted)
        else:
            values = self._vectors.values if ids is None else self._vectors.values[self._rows(ids)]
        values = values.view()
        values.flags.writeable = False
        return values

    def __len__(self):
        return len(self._ids) if hasattr(self, "_ids") else 0

    def _to_arrays(self):
        arrays = {"ids": self._ids.values, "faiss": self._engine.to_bytes()}
        if self._vectors is not None:
            arrays["vectors"] = self._vectors.values
        return self.get_params(), arrays

    @classmethod
    def _of_arrays(cls, content, arrays):
        index = cls(**content)
        index._ids = Ids.of_file(arrays["ids"])
        index._vectors = GrowingArray.of_file(arrays["vectors"]) if "vectors" in arrays else None
        index._engine = Engine.of_bytes(np.array(arrays["faiss"]))
        return index

    def _rows(self, ids):
        if not len(self):
            raise ValueError("the index is empty: add embeddings first")
        return self._ids.rows(ids)

    def _is_quantised(self):
        """Whether FAISS compares codes or projections, and not the embeddings themselves."""
        return _COMPARES_EMBEDDINGS.fullmatch(self.factory) is None

    def _approximately(self, embeddings, k, rows):
        """What FAISS finds, among rows or among all; by distances of the embeddings where they are kept."""
        n_candidates = k * self.rescore if self._is_quantised() else k
        n_candidates = min(n_candidates, len(self if rows is None else rows))
        among = None if rows is None else self._ids.values[rows]
        squares, found = self._engine.search(embeddings, n_candidates, self, among)
        if self._vectors is None or _MEASURES.fullmatch(self.factory):
            return _as_neighbors(squares[:, :k], found[:, :k])
        return self._rescored(embeddings, found, k)

    def _rescored(self, embeddings, found, k):
        """The k nearest of the candidates by their exact distances, ties by the order in which they came."""
        nothing = found < 0
        rows = self._ids.rows(np.where(nothing, self._ids.values[0], found)).reshape(found.shape)
        squares = squared_distances(embeddings, self._vectors.values, rows)
        squares[nothing] = np.inf
        # numbers from 0 order as their bits do: one integer holds square and row (of fewer than 2 ** 32)
        keys = squares.view(np.uint32).astype(np.uint64) << np.uint64(32) | rows.view(np.uint64)
        keys.partition(k - 1, axis=1)
        keys = np.sort(keys[:, :k], axis=1)
        squares = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
        return _as_neighbors(squares, self._ids.values[(keys & _LOW).astype(np.intp)])

    def _exactly(self, embeddings, k, rows):
        distances, found = nearest(embeddings, self._vectors.values[rows], k)
        return Neighbors(distances, self._ids.values[rows[found]])


def _as_neighbors(squares, ids):
    """Distances from squares, which rounding may have taken below 0; those of nothing are infinite."""
    distances = np.sqrt(np.maximum(squares, 0), dtype=np.float64)
    nothing = (ids < 0) | np.isinf(distances)
    if nothing.any():
        distances, ids = np.where(nothing, np.inf, distances), np.where(nothing, -1, ids)
    return Neighbors(distances, ids)


def _as_float32(embeddings):
    embeddings = check_matrix(embeddings, "embeddings")
    return np.ascontiguousarray(embeddings, dtype=np.float32)
