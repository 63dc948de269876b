"""FAISS itself: an index of a factory string, trained, and how it is searched."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from threading import RLock, local
from typing import Any, Protocol, final
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from skmetric._optional import import_optional
from skmetric.search._index._hits import in_order

from ._recall import Landmarks, merged

_N_STARTS = 4  # landmarks from which a search begins
_INSIDE = ("storage", "base_index", "refine_index")  # parts of an index that hold as many entries


class Settings(Protocol):
    """Parameters of a :class:`FaissIndex` that FAISS wants to know."""

    factory: str
    n_probe: int
    ef_search: int
    ef_construction: int
    rescore: int
    keep_vectors: bool
    max_recall_loss: float | None


def load_faiss() -> Any:
    """FAISS, or an error that names the extra."""
    return import_optional("faiss", extra="faiss", purpose="FaissIndex")


@final
class Engine:
    """An index of FAISS's that is trained, and the parameters of its searches.

    Entries get serial numbers, from 0, and none is ever taken out: who uses the engine knows which serials
    count. So a change that is cut short, after which FAISS may hold some of its entries, leaves nothing that
    anybody finds. Threads may write and pickle it at once; searches want it to themselves or among searches.

    Parameters
    ----------
    index : faiss.Index
        Of `build`.
    n_issued : int, default=None
        Serial numbers in use; None is the number of its entries.
    """

    def __init__(self, index: Any, n_issued: int | None = None) -> None:
        faiss = load_faiss()
        self.index = index
        lists, parts = _lists(faiss, index), list(_nested(faiss, index))
        self._n_lists = None if lists is None else lists.nlist
        self._is_transformed = any(type(part).__name__ == "IndexPreTransform" for part in parts)
        self.is_graph: bool = lists is None and hasattr(parts[-1], "hnsw")
        self._counts = [*parts, *(p for part in parts for n in _INSIDE if (p := getattr(part, n, None)))]
        self._latest: tuple[Any, Any] = (None, None)  # (n_probe, ef_search) and what FAISS makes of them
        self._n_used = index.ntotal if n_issued is None else n_issued
        self._changing = RLock()
        self._owner: Any = None  # of the index, if another object of FAISS has it
        _ENGINES.add(self)

    @classmethod
    def of_bytes(cls, data: NDArray[np.uint8], n_issued: int | None = None) -> Engine:
        """The index that :meth:`written` gave."""
        return cls(load_faiss().deserialize_index(data), n_issued)

    def written(self) -> tuple[NDArray[np.uint8], int]:
        """The index as an array of bytes, and its `n_issued`."""
        with self._changing:
            return load_faiss().serialize_index(self.index), self.n_issued

    def __getstate__(self) -> tuple[NDArray[np.uint8], int]:
        return self.written()

    def __setstate__(self, state: Any) -> None:
        data, n_issued = state if isinstance(state, tuple) else (state, None)  # bytes: of a former version
        self.__init__(load_faiss().deserialize_index(data), n_issued)  # type: ignore[misc]

    @property
    def takes_landmarks(self) -> bool:
        """Whether a search can begin where it is told to."""
        return self.is_graph and hasattr(self.index, "search_level_0")

    @property
    def n_issued(self) -> int:
        """Number of serials in use: the next entry gets this one."""
        return self._n_used if self._n_lists is not None else max(part.ntotal for part in self._counts)

    @property
    def is_whole(self) -> bool:
        """Whether entries can be added: not where parts of the index were cut short at different lengths."""
        return self._n_lists is not None or len({part.ntotal for part in self._counts}) == 1

    @property
    def has_lists(self) -> bool:
        """Whether it has inverted lists, whose entries bear their serials."""
        return self._n_lists is not None

    def leaves(self) -> list[Any]:
        """The parts that hold codes of entries themselves."""
        faiss = load_faiss()
        outer = ("index", *_INSIDE)
        inner = [part for part in self._counts if not any(getattr(part, name, None) for name in outer)]
        return [faiss.downcast_index(part) for part in inner]

    def append(self, embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
        """Add entries; returns their serials."""
        with self._changing:
            start = self.n_issued
            serials = np.arange(start, start + len(embeddings))
            self._n_used = start + len(embeddings)  # first: if FAISS is cut short, these are not used again
            if self._n_lists is None:
                self.index.add(embeddings)  # counts them as we do
            else:
                self.index.add_with_ids(embeddings, serials)
        return serials

    def reconstruct(self, serials: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embeddings of entries, as far as their codes tell."""
        return self.index.reconstruct_batch(serials)

    def emptied(self) -> Engine:
        """A copy, trained as this one, without entries."""
        faiss = load_faiss()
        with self._changing:
            try:
                index = faiss.clone_index(self.index)
            except RuntimeError:  # kinds that FAISS cannot clone
                index = faiss.deserialize_index(faiss.serialize_index(self.index))
        index.reset()
        return Engine(index)

    def without_ids(self, ids: NDArray[np.int64]) -> tuple[Engine, NDArray[np.int64]]:
        """An engine of an earlier version, whose entries bear ids, as one of serials, and those."""
        faiss = load_faiss()
        if self._n_lists is not None:  # whose entries bear any serials that are given
            return Engine(self.index, int(ids.max(initial=-1)) + 1), np.array(ids)
        inner = faiss.downcast_index(self.index.index)
        engine = Engine(inner)
        engine._owner = self.index
        return engine, in_order(faiss.vector_to_array(self.index.id_map), ids).astype(np.int64)

    def search(
        self,
        embeddings: NDArray[np.float32],
        k: int,
        settings: Settings,
        among: NDArray[Any] | None = None,
        landmarks: Landmarks | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Squared distances and serials, -1 where nothing more is found.

        Queries for which a landmark tells that a graph lost its way search again from the nearest landmarks.
        Those that found too few look everywhere.
        """
        squares, found = self.ask(embeddings, k, settings.n_probe, settings.ef_search, among)
        if landmarks is not None and among is None:
            to_them = landmarks.squares(embeddings)
            lost = landmarks.missed(to_them, found, squares)
            if len(lost):
                more = self._from_landmarks(embeddings[lost], k, settings.ef_search, landmarks, to_them[lost])
                both = np.hstack([squares[lost], more[0]]), np.hstack([found[lost], more[1]])
                squares[lost], found[lost] = (part[:, :k] for part in merged(*both))
        short = np.flatnonzero(found[:, -1] < 0)
        if len(short):
            squares[short], found[short] = self.ask(embeddings[short], k, None, self.n_issued, among)
        return squares, found

    def _from_landmarks(
        self,
        embeddings: NDArray[np.float32],
        k: int,
        ef_search: int,
        landmarks: Landmarks,
        squares: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """A search of the graph's lowest level, which starts at the landmarks nearest to each query."""
        faiss = load_faiss()
        n_starts = min(_N_STARTS, len(landmarks.serials))
        starts = np.argsort(squares, axis=1)[:, :n_starts]
        to_starts = np.ascontiguousarray(np.take_along_axis(squares, starts, axis=1))
        starts = landmarks.serials[starts].astype(np.int32)  # as FAISS numbers the nodes of a graph
        distances = np.empty((len(embeddings), k), dtype=np.float32)
        found = np.empty((len(embeddings), k), dtype=np.int64)
        arrays = map(faiss.swig_ptr, (starts, to_starts, distances, found))
        self.index.search_level_0(
            len(embeddings),
            faiss.swig_ptr(embeddings),
            k,
            *arrays,
            n_starts,
            2,  # one search from all starts
            self._parameters(None, ef_search),
        )
        return distances, found

    def ask(
        self,
        embeddings: NDArray[np.float32],
        k: int,
        n_probe: int | None,
        ef_search: int,
        among: NDArray[Any] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Squared distances and serials by one search of FAISS; `n_probe` of None is all lists."""
        # faiss.contrib.torch_utils, which pytorch-metric-learning imports, puts another `search` in place
        search = getattr(self.index, "search_numpy", self.index.search)
        if among is not None:
            return search(embeddings, k, params=self._parameters(n_probe, ef_search, among))
        latest, parameters = self._latest
        if latest != (n_probe, ef_search):
            parameters = self._parameters(n_probe, ef_search)
            self._latest = (n_probe, ef_search), parameters
        return search(embeddings, k, params=parameters)

    def _parameters(self, n_probe: int | None, ef_search: int, among: NDArray[Any] | None = None) -> Any:
        """Parameters of a search, as the kind of index takes them."""
        faiss = load_faiss()
        selector = {} if among is None else {"sel": faiss.IDSelectorBatch(among)}
        if self._n_lists is not None:
            wanted = self._n_lists if n_probe is None else min(n_probe, self._n_lists)
            parameters = faiss.SearchParametersIVF(nprobe=wanted, **selector)
        elif self.is_graph:
            parameters = faiss.SearchParametersHNSW(efSearch=ef_search, **selector)
        else:
            return faiss.SearchParameters(**selector) if selector else None
        if self._is_transformed:
            return faiss.SearchParametersPreTransform(index_params=parameters)
        return parameters


def squared_distances(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Squared distances of each query to its own rows of `vectors`, float32, without a copy of these.

    `queries` (n_queries, n_features) and `vectors` are float32, `rows` (n_queries, n_rows) int64; all of them
    in C order. Differences are squared, so small distances keep their digits.
    """
    faiss = load_faiss()
    squares = np.empty(rows.shape, dtype=np.float32)
    arrays = map(faiss.swig_ptr, (squares, queries, vectors, rows))
    faiss.fvec_L2sqr_by_idx(*arrays, queries.shape[1], *rows.shape)
    return squares


def build(settings: Settings, embeddings: NDArray[np.float32]) -> Engine:
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
            if trained is not None and hasattr(trained, "cp"):
                trained.cp.min_points_per_centroid = 1  # FAISS's own warning goes past Python
    if not inner.is_trained:
        _train(inner, settings.factory, lists, embeddings)
    return Engine(inner)


def _train(inner: Any, factory: str, lists: Any, embeddings: NDArray[np.float32]) -> None:
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


def _nested(faiss: Any, index: Any) -> Iterator[Any]:
    """An index and those inside it."""
    while index is not None:
        index = faiss.downcast_index(index)
        yield index
        index = getattr(index, "index", None)


def _lists(faiss: Any, index: Any) -> Any:
    """The inverted lists inside an index, or None."""
    try:
        return faiss.extract_index_ivf(index)
    except RuntimeError:
        return None


_ENGINES: WeakSet[Engine] = WeakSet()
_at_fork = local()  # .locks: those that the thread holds that forks


def _hold_all() -> None:
    """Let changes end before a fork: the child would wait for them forever, over a half-changed index."""
    _at_fork.locks = [engine._changing for engine in list(_ENGINES)]
    for lock in _at_fork.locks:
        lock.acquire()


def _let_go() -> None:
    for lock in _at_fork.locks:
        lock.release()


def _go_on_alone() -> None:
    """Search on one thread: those of OpenMP are not in the child, which would wait for them forever."""
    _let_go()
    if "faiss" in sys.modules and hasattr(sys.modules["faiss"], "omp_set_num_threads"):
        sys.modules["faiss"].omp_set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_all, after_in_parent=_let_go, after_in_child=_go_on_alone)
