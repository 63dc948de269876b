"""FAISS itself: an index of a factory string, trained, and how it is searched."""

from typing import final

import numpy as np

from skmetric._optional import import_optional


def load_faiss():
    """FAISS, or an error that names the extra."""
    return import_optional("faiss", extra="faiss", purpose="FaissIndex")


@final
class Engine:
    """An index of FAISS's that is trained and takes ids, and the parameters of its searches.

    Parameters
    ----------
    index : faiss.Index
        Of `build`.
    """

    def __init__(self, index):
        faiss = load_faiss()
        self.index = index
        lists, parts = _lists(faiss, index), list(_nested(faiss, index))
        self._n_lists = None if lists is None else lists.nlist
        self._is_transformed = any(type(part).__name__ == "IndexPreTransform" for part in parts)
        self._is_graph = lists is None and hasattr(parts[-1], "hnsw")
        self._latest = None, None  # (n_probe, ef_search) and what FAISS makes of them

    @classmethod
    def of_bytes(cls, data):
        """The index that `to_bytes` wrote."""
        return cls(load_faiss().deserialize_index(data))

    def to_bytes(self):
        """The index as an array of bytes."""
        return load_faiss().serialize_index(self.index)

    def __getstate__(self):
        return self.to_bytes()

    def __setstate__(self, data):
        self.__init__(load_faiss().deserialize_index(data))

    def search(self, embeddings, k, settings, among=None):
        """Squared distances and ids; queries that found too few look everywhere."""
        squares, found = self.ask(embeddings, k, settings.n_probe, settings.ef_search, among)
        short = np.flatnonzero(found[:, -1] < 0)
        if len(short):
            squares[short], found[short] = self.ask(embeddings[short], k, None, self.index.ntotal, among)
        return squares, found

    def ask(self, embeddings, k, n_probe, ef_search, among=None):
        """Squared distances and ids by one search of FAISS; `n_probe` of None is all lists."""
        # faiss.contrib.torch_utils, which pytorch-metric-learning imports, puts another `search` in place
        search = getattr(self.index, "search_numpy", self.index.search)
        if among is not None:
            return search(embeddings, k, params=self._parameters(n_probe, ef_search, among))
        latest, parameters = self._latest
        if latest != (n_probe, ef_search):
            parameters = self._parameters(n_probe, ef_search)
            self._latest = (n_probe, ef_search), parameters
        return search(embeddings, k, params=parameters)

    def _parameters(self, n_probe, ef_search, among=None):
        """Parameters of a search, as the kind of index takes them."""
        faiss = load_faiss()
        selector = {} if among is None else {"sel": faiss.IDSelectorBatch(among)}
        if self._n_lists is not None:
            wanted = self._n_lists if n_probe is None else min(n_probe, self._n_lists)
            parameters = faiss.SearchParametersIVF(nprobe=wanted, **selector)
        elif self._is_graph:
            parameters = faiss.SearchParametersHNSW(efSearch=ef_search, **selector)
        else:
            return faiss.SearchParameters(**selector) if selector else None
        if self._is_transformed:
            return faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters


def squared_distances(queries, vectors, rows):
    """Squared distances of each query to its own rows of `vectors`, float32, without a copy of these.

    `queries` (n_queries, n_features) and `vectors` are float32, `rows` (n_queries, n_rows) int64; all of them
    in C order. Differences are squared, so small distances keep their digits.
    """
    faiss = load_faiss()
    squares = np.empty(rows.shape, dtype=np.float32)
    arrays = map(faiss.swig_ptr, (squares, queries, vectors, rows))
    faiss.fvec_L2sqr_by_idx(*arrays, queries.shape[1], *rows.shape)
    return squares


def build(settings, embeddings):
    """An empty index, trained on embeddings."""
    faiss = load_faiss()
    try:
        inner = faiss.index_factory(embeddings.shape[1], settings.factory, faiss.METRIC_L2)
    except RuntimeError as error:
        raise ValueError(
            f"FAISS cannot make factory={settings.factory!r} for {embeddings.shape[1]} dimensions: "
            f"{str(error).splitlines()[-1]}"
        ) from None
    lists = _lists(faiss, inner)
    if lists is not None:
        lists.set_direct_map_type(faiss.DirectMap.Hashtable)
    for part in _nested(faiss, inner):
        if hasattr(part, "hnsw"):
            part.hnsw.efConstruction = settings.ef_construction
        for trained in (part, getattr(part, "pq", None)):
            if hasattr(trained, "cp"):
                trained.cp.min_points_per_centroid = 1  # FAISS's own warning goes past Python
    if not inner.is_trained:
        _train(inner, settings.factory, lists, embeddings)
    return Engine(inner if lists is not None else faiss.IndexIDMap2(inner))


def _train(inner, factory, lists, embeddings):
    if lists is not None and len(embeddings) < lists.nlist:
        raise ValueError(
            f"factory={factory!r} has {lists.nlist} inverted lists, and {len(embeddings)} embeddings came "
            f"first, on which it is trained: start with {lists.nlist} or more, better {39 * lists.nlist}, or "
            "name fewer lists"
        )
    try:
        inner.train(embeddings)
    except RuntimeError as error:
        raise ValueError(
            f"factory={factory!r} cannot be trained on the {len(embeddings)} embeddings that came first: "
            f"{str(error).splitlines()[-1]}"
        ) from None


def _nested(faiss, index):
    """An index and those inside it."""
    while index is not None:
        index = faiss.downcast_index(index)
        yield index
        index = getattr(index, "index", None)


def _lists(faiss, index):
    """The inverted lists inside an index, or None."""
    try:
        return faiss.extract_index_ivf(index)
    except RuntimeError:
        return None
