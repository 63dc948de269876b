"""FaissIndex: approximate search by FAISS, of a kind that a factory string names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric._checks import check_matrix
from skmetric._params import Interval, check_params
from skmetric.retrieval import Neighbors, nearest

from ._array_files import mapped
from ._checks import check_dimension, check_k, check_keys, refuse_columns
from ._faiss_engine import Engine, build, squared_distances
from ._growing import GrowingArray
from ._ids import Ids
from ._index import Index
from ._recall import Landmarks, sampled_recall

_COUNT = Interval(Integral, 1, None, closed="left")
_COMPARES_EMBEDDINGS = re.compile(r"(IVF\d+(_HNSW\d+)?,)?Flat|HNSW\d*(,Flat)?")
_MEASURES = re.compile(r"IVF\d+(_HNSW\d+)?,Flat|HNSW\d*(,Flat)?")  # kinds that subtract before they square
_LOW = np.uint64(2**32 - 1)
_FEW = 0.1  # share of the items below which a search among some of them is made exactly
_MOST_HIDDEN = 0.25  # share of the entries that may be hidden before the index is built again without them
_GROWTH = 1.25  # of the items, after which recall is measured again
_MEASURED_FROM = 256  # items


class _Held(NamedTuple):
    """What an index holds: replaced as one."""

    engine: Engine
    ids: Ids
    serials: Ids  # of the engine, row by row; its other entries are hidden
    vectors: GrowingArray | None
    n_built: int = 0  # serials that were there when the engine was last built,
    n_measured: int = 0  # and when its recall was last measured
    recall: float = 1.0  # when it was built
    landmarks: Landmarks | None = None

    def with_landmarks(self) -> _Held:
        """The state as it can be searched."""
        if not len(self.ids) or not self.engine.takes_landmarks:
            return self._replace(landmarks=None)
        rows = Landmarks.rows(len(self.ids))
        serials = self.serials.values[rows]
        return self._replace(landmarks=Landmarks(serials, self.engine.reconstruct(serials)))

    def kept_vectors(self) -> NDArray[np.float32]:
        """Embeddings row by row, those of the codes where none else are kept."""
        return self.engine.reconstruct(self.serials.values) if self.vectors is None else self.vectors.values

    def __reduce__(self) -> tuple[Any, ...]:
        return _Held, tuple(self)


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
        embeddings, and recall is not measured.
    max_recall_loss : float or None, default=0.1
        How far recall may fall below what it was when the index was built, before it is built again; None
        lets it fall. See Notes.

    See Also
    --------
    ExactIndex : Exact, and fast enough for some hundred thousand items.

    Notes
    -----
    **Removing.** `remove` and `update` hide what is removed: searches ask FAISS for more candidates and leave
    out the hidden ones. When a quarter of the entries is hidden, the index is built again from the embeddings
    that are left, inside the call that hid the last of them.

    **Growing.** A graph that grows in one region may lose the way to another. So each query of a graph is
    also compared with landmarks, 32 items for each doubling of their number; where one of these belongs to
    the neighbours and was not found, the search is repeated from the nearest landmarks. Codes and lists
    that were trained on the first items may suit later ones badly. So recall@10 is measured on a sample of
    the stored items whenever their number has grown by a quarter, at the cost of an exact search for some
    200 queries. Where it has fallen by more than `max_recall_loss`, the index is trained and built again,
    inside that call
    of `add`, which then takes as long as filling it anew. Where that is too long, use
    ``max_recall_loss=None`` and call `reindex` at a quiet time; do so too where inverted lists become slow
    because new items crowd in a few of them.

    A query for which a graph or the lists find too few looks everywhere, in the end in the embeddings.
    Searches use as many threads as OpenMP is allowed. Nothing is random: equal calls give equal indexes.

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
    >>> round(search.score(X[1000:], y[1000:]), 2)
    0.96
    """

    _parameter_constraints = {
        "factory": [str],
        "n_probe": [_COUNT],
        "ef_search": [_COUNT],
        "ef_construction": [_COUNT],
        "rescore": [_COUNT],
        "keep_vectors": ["boolean"],
        "max_recall_loss": [Interval(Real, 0, 1, closed="both"), None],
    }
    _held: _Held | None = None  # what is held, swapped as one: a change that is cut short has not begun

    def __init__(
        self,
        factory: str = "HNSW32",
        *,
        n_probe: int = 16,
        ef_search: int = 64,
        ef_construction: int = 40,
        rescore: int = 4,
        keep_vectors: bool = True,
        max_recall_loss: float | None = 0.1,
    ) -> None:
        self.factory = factory
        self.n_probe = n_probe
        self.ef_search = ef_search
        self.ef_construction = ef_construction
        self.rescore = rescore
        self.keep_vectors = keep_vectors
        self.max_recall_loss = max_recall_loss

    def add(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: dict[str, NDArray[Any]] | None = None
    ) -> Self:
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
        rows = _as_float32(embeddings)
        keys = check_keys(ids, len(rows))
        held = self._begun(rows) if self._held is None else self._held
        self._held = self._tended(self._added(held, keys, rows))
        return self

    def remove(self, ids: ArrayLike) -> Self:
        self._held = self._tended(self._without(self._opened(), ids))
        return self

    def update(
        self, ids: ArrayLike, embeddings: ArrayLike, columns: dict[str, NDArray[Any]] | None = None
    ) -> Self:
        refuse_columns(self, columns=columns)
        rows = _as_float32(embeddings)
        keys = check_keys(ids, len(rows))
        self._held = self._tended(self._added(self._without(self._opened(), keys), keys, rows))
        return self

    def reindex(self) -> Self:
        """Train and build the index again, as after many items were added or `factory` was changed.

        Returns
        -------
        FaissIndex
            The index, with the same items.

        Raises
        ------
        ValueError
            If it is empty, or has too few items to train on. Then nothing is changed.
        """
        held = self._opened()
        self._held = self._rebuilt(held, build(self, held.kept_vectors()))
        return self

    def query(
        self,
        embeddings: ArrayLike,
        k: int,
        *,
        among: ArrayLike | None = None,
        where: dict[str, Any] | None = None,
    ) -> Neighbors:
        refuse_columns(self, where=where)
        queries = _as_float32(embeddings)
        if self._held is None:
            check_k(k, 0)
        held = self._opened()
        rows = None if among is None else held.ids.rows(among)
        check_k(k, len(held.ids) if rows is None else len(rows))
        check_dimension(queries, held.engine.index.d)
        found = self._search(held, queries, k, rows)
        return found._replace(indices=np.where(found.indices < 0, -1, held.ids.values[found.indices]))

    def vectors(self, ids: ArrayLike | None = None) -> NDArray[np.float32]:
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
        held = self._opened()
        if ids is None:
            values = held.kept_vectors()
        else:
            rows = held.ids.rows(ids)
            values = (
                held.engine.reconstruct(held.serials.values[rows])
                if held.vectors is None
                else held.vectors.values[rows]
            )
        values = values.view()
        values.flags.writeable = False
        return values

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held.ids)

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        held = self._opened()
        data, n_issued = held.engine.written()
        numbers = {"n_built": held.n_built, "n_measured": held.n_measured, "recall": held.recall}
        arrays: dict[str, NDArray[Any]] = {
            "ids": held.ids.values,
            "serials": held.serials.values,
            "faiss": data,
        }
        if held.vectors is not None:
            arrays["vectors"] = held.vectors.values
        return {"params": self.get_params(), "n_issued": n_issued, "built": numbers}, arrays

    @classmethod
    def of_arrays(cls, content: dict[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        is_old = "params" not in content  # of a version whose entries bore ids
        index = cls(**(content if is_old else content["params"]))
        ids = Ids.of_file(arrays["ids"])
        vectors = GrowingArray.of_file(*mapped(arrays, "vectors")) if "vectors" in arrays else None
        data = np.array(arrays["faiss"])
        if is_old:
            index._held = _of_ids(Engine.of_bytes(data), ids, vectors)
        else:
            engine, serials = Engine.of_bytes(data, content["n_issued"]), Ids.of_file(arrays["serials"])
            index._held = _Held(engine, ids, serials, vectors, **content["built"]).with_landmarks()
        return index

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {"max_recall_loss": 0.1, **state}
        if "_engine" in state:  # of a version that kept the parts apart, and whose entries bore ids
            parts = [state.pop(name) for name in ("_engine", "_ids", "_vectors")]
            state["_held"] = _of_ids(*parts)
        super().__setstate__(state)

    def _opened(self) -> _Held:
        if self._held is None:
            raise ValueError("the index is empty: add embeddings first")
        return self._held

    # Changes, each of which makes a new state beside the old one

    def _begun(self, embeddings: NDArray[np.float32]) -> _Held:
        """The empty state, trained."""
        check_params(self)
        nothing = np.empty(0, dtype=np.int64)
        vectors = GrowingArray(embeddings[:0]) if self.keep_vectors else None
        return _Held(build(self, embeddings), Ids(nothing), Ids(nothing), vectors)

    def _added(self, held: _Held, ids: NDArray[np.int64], embeddings: NDArray[np.float32]) -> _Held:
        held.ids.refuse_used(ids)
        check_dimension(embeddings, held.engine.index.d)
        if not held.engine.is_whole:
            held = self._rebuilt(held, held.engine.emptied())
        return held._replace(
            serials=held.serials.appended(held.engine.append(embeddings)),
            ids=held.ids.appended(ids),
            vectors=None if held.vectors is None else held.vectors.appended(embeddings),
        )

    @staticmethod
    def _without(held: _Held, ids: ArrayLike) -> _Held:
        kept = np.ones(len(held.ids), dtype=bool)
        kept[held.ids.rows(ids)] = False
        vectors = None if held.vectors is None else held.vectors.kept(kept)
        return held._replace(ids=held.ids.kept(kept), serials=held.serials.kept(kept), vectors=vectors)

    def _tended(self, held: _Held) -> _Held:
        """The state, built again where too much is hidden or too little found."""
        held = held.with_landmarks()
        n_issued = held.engine.n_issued
        if n_issued - len(held.ids) > _MOST_HIDDEN * n_issued:
            held = self._rebuilt(held, held.engine.emptied())
            n_issued = len(held.ids)
        if held.n_built == 0:  # the first filling
            held = held._replace(n_built=n_issued, n_measured=n_issued)
            return held._replace(recall=self._recall(held)) if self._is_measured(held) else held
        if not self._is_measured(held) or n_issued < _GROWTH * held.n_measured:
            return held
        assert self.max_recall_loss is not None
        if self._recall(held) >= held.recall - self.max_recall_loss:
            return held._replace(n_measured=n_issued)
        try:
            return self._rebuilt(held, build(self, held.kept_vectors()))
        except ValueError:  # too few items to train on
            return self._rebuilt(held, held.engine.emptied())

    def _rebuilt(self, held: _Held, engine: Engine) -> _Held:
        """The items in an empty engine."""
        serials = np.empty(0, dtype=np.int64)
        if len(held.ids):
            serials = engine.append(np.ascontiguousarray(held.kept_vectors()))
        held = held._replace(
            engine=engine, serials=Ids(serials), n_built=len(serials), n_measured=len(serials)
        ).with_landmarks()
        return held._replace(recall=self._recall(held) if self._is_measured(held) else 1.0)

    def _is_measured(self, held: _Held) -> bool:
        is_worth_it = self.max_recall_loss is not None and self.factory != "Flat"
        return is_worth_it and held.vectors is not None and len(held.ids) >= _MEASURED_FROM

    def _recall(self, held: _Held) -> float:
        edges = np.searchsorted(held.serials.values, [held.n_built, held.n_measured]).tolist()
        return sampled_recall(partial(self._search, held), held.kept_vectors(), edges)

    # Searches

    def _search(
        self, held: _Held, embeddings: NDArray[np.float32], k: int, rows: NDArray[np.intp] | None = None
    ) -> Neighbors:
        """Neighbours with rows for indices, among some rows or all."""
        n_items = len(held.ids)
        if rows is not None and held.vectors is not None and len(rows) <= max(_FEW * n_items, 10 * k):
            return self._exactly(held, embeddings, k, np.sort(rows))
        try:
            neighbors = self._approximately(held, embeddings, k, rows)
        except RuntimeError as error:
            if rows is None:
                raise
            if held.vectors is not None:  # kinds of index that take no selection
                return self._exactly(held, embeddings, k, np.sort(rows))
            raise NotImplementedError(
                f"FaissIndex(factory={self.factory!r}) cannot search among some items: use keep_vectors=True"
            ) from error
        short = np.flatnonzero(neighbors.indices[:, -1] < 0)  # parts of a graph that no edge leads to
        if len(short) and held.vectors is not None:
            rows = np.arange(n_items) if rows is None else np.sort(rows)
            exact = self._exactly(held, embeddings[short], k, rows)
            neighbors.distances[short], neighbors.indices[short] = exact
        return neighbors

    def _is_quantised(self) -> bool:
        """Whether FAISS compares codes or projections, and not the embeddings themselves."""
        return _COMPARES_EMBEDDINGS.fullmatch(self.factory) is None

    def _approximately(
        self, held: _Held, embeddings: NDArray[np.float32], k: int, rows: NDArray[np.intp] | None
    ) -> Neighbors:
        """What FAISS finds, among rows or among all; by distances of the embeddings where they are kept."""
        n_items = len(held.ids) if rows is None else len(rows)
        n_candidates = min(k * self.rescore if self._is_quantised() else k, n_items)
        if rows is not None:
            among = held.serials.values[rows]
            squares, found = held.engine.search(embeddings, n_candidates, self, among)
            candidates, known = held.serials.found(found)
        else:
            squares, candidates, known = self._past_hidden(held, embeddings, n_candidates)
        if held.vectors is None or _MEASURES.fullmatch(self.factory):
            return _as_neighbors(squares[:, :k], np.where(known, candidates, -1)[:, :k])
        return _rescored(embeddings, held.vectors.values, candidates, known, k)

    def _past_hidden(
        self, held: _Held, embeddings: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.bool_]]:
        """Squares, rows and whether there is one, each (n_queries, k): candidates that are not hidden."""
        n_entries, engine = held.engine.n_issued, held.engine
        if n_entries == len(held.ids):
            squares, found = engine.search(embeddings, k, self, landmarks=held.landmarks)
            return squares, *held.serials.found(found)
        shape = len(embeddings), k
        parts = np.full(shape, np.inf, np.float32), np.zeros(shape, np.intp), np.zeros(shape, bool)
        ahead = self.ef_search if engine.is_graph else k  # what a graph looks at in any case
        # twice the candidates of a search without hidden entries: those that are hidden may lie between the
        # query and its neighbours, so that the first ones found are not the nearest
        wanted, asked = max(k, 2 * ahead), max(2 * k, ahead)
        # some entries of a graph may be out of reach, so that even all are fewer than wanted
        most = n_entries if held.vectors is None else min(n_entries, max(1000, int(_FEW * n_entries)))
        open_ = np.arange(len(embeddings))
        while len(open_):
            asked = min(asked, n_entries)
            squares, found = engine.search(embeddings[open_], asked, self, landmarks=held.landmarks)
            rows, known = held.serials.found(found)
            first = np.argsort(~known, axis=1, kind="stable")[:, :k]
            parts[0][open_] = np.take_along_axis(squares, first, axis=1)
            parts[1][open_] = np.take_along_axis(rows, first, axis=1)
            parts[2][open_] = np.take_along_axis(known, first, axis=1)
            is_short = known.sum(axis=1) < min(wanted, len(held.ids))
            if asked >= most:  # the rest is found in the embeddings
                if asked == n_entries and held.vectors is not None:
                    parts[2][open_[is_short]] = False
                break
            open_ = open_[is_short]
            asked *= 2
        squares, rows, known = parts
        squares[~known] = np.inf
        return squares, rows, known

    @staticmethod
    def _exactly(held: _Held, embeddings: NDArray[np.float32], k: int, rows: NDArray[np.intp]) -> Neighbors:
        assert held.vectors is not None
        distances, found = nearest(embeddings, held.vectors.values[rows], k)
        return Neighbors(distances, rows[found])


def _of_ids(engine: Engine, ids: Ids, vectors: GrowingArray | None) -> _Held:
    """The state of an earlier version, whose entries bore the ids of items."""
    engine, serials = engine.without_ids(ids.values)
    n_issued = engine.n_issued
    return _Held(engine, ids, Ids(serials), vectors, n_built=n_issued, n_measured=n_issued).with_landmarks()


def _rescored(
    embeddings: NDArray[np.float32],
    vectors: NDArray[np.float32],
    rows: NDArray[np.intp],
    known: NDArray[np.bool_],
    k: int,
) -> Neighbors:
    """The k nearest of the candidates by their exact distances, ties by the order in which they came."""
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    squares = squared_distances(embeddings, vectors, rows)
    squares[~known] = np.inf
    # numbers from 0 order as their bits do: one integer holds square and row (of fewer than 2 ** 32)
    keys = squares.view(np.uint32).astype(np.uint64) << np.uint64(32) | rows.view(np.uint64)
    keys.partition(k - 1, axis=1)
    keys = np.sort(keys[:, :k], axis=1)
    squares = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
    return _as_neighbors(squares, (keys & _LOW).astype(np.intp))


def _as_neighbors(squares: NDArray[np.float32], rows: NDArray[np.intp]) -> Neighbors:
    """Distances from squares, which rounding may have taken below 0; those of nothing are infinite."""
    distances = np.sqrt(np.maximum(squares, 0), dtype=np.float64)
    nothing = (rows < 0) | np.isinf(distances)
    if nothing.any():
        distances, rows = np.where(nothing, np.inf, distances), np.where(nothing, -1, rows)
    return Neighbors(distances, rows)


def _as_float32(embeddings: ArrayLike) -> NDArray[np.float32]:
    checked = check_matrix(embeddings, "embeddings")
    return np.ascontiguousarray(checked, dtype=np.float32)
