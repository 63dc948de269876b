"""FAISS itself: an empty index of a factory string, trained, and the parameters of a search."""

from skmetric._optional import import_optional


def load_faiss():
    """FAISS, or an error that names the extra."""
    return import_optional("faiss", extra="faiss", purpose="FaissIndex")


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
    hnsw = getattr(faiss.downcast_index(inner), "hnsw", None)
    if hnsw is not None:
        hnsw.efConstruction = settings.ef_construction
    lists = _lists(faiss, inner)
    if lists is not None:
        lists.set_direct_map_type(faiss.DirectMap.Hashtable)
    for part in _nested(faiss, inner):
        for trained in (part, getattr(part, "pq", None)):
            if hasattr(trained, "cp"):
                trained.cp.min_points_per_centroid = 1  # FAISS's own warning goes past Python
    if not inner.is_trained:
        _train(inner, settings.factory, lists, embeddings)
    return inner if lists is not None else faiss.IndexIDMap2(inner)


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


def search_parameters(settings, index, selected=None, *, n_probe=None, ef_search=None):
    """Parameters of a search, as its kind of index takes them."""
    faiss = load_faiss()
    selector = {} if selected is None else {"sel": faiss.IDSelectorBatch(selected)}
    lists = _lists(faiss, index)
    if lists is not None:
        wanted = min(n_probe or settings.n_probe, lists.nlist)
        parameters = faiss.SearchParametersIVF(nprobe=wanted, **selector)
        if faiss.downcast_index(index).__class__.__name__ == "IndexPreTransform":
            return faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters
    inner = faiss.downcast_index(index.index)
    if hasattr(inner, "hnsw"):
        return faiss.SearchParametersHNSW(efSearch=ef_search or settings.ef_search, **selector)
    return faiss.SearchParameters(**selector) if selector else None
