"""How a FAISS index is searched: past hidden entries, among some items, exactly where FAISS finds too few."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from skmetric.retrieval import Neighbors, nearest

from ._engine import Settings, squared_distances
from ._held import Held
from ._kept import Kept

_COMPARES_EMBEDDINGS = re.compile(r"(IVF\d+(_HNSW\d+)?,)?Flat|HNSW\d*(,Flat)?")
_MEASURES = re.compile(r"IVF\d+(_HNSW\d+)?,Flat|HNSW\d*(,Flat)?")  # kinds that subtract before they square
_LOW = np.uint64(2**32 - 1)
_FEW = 0.1  # share of the items below which a search among some of them is made exactly


def search(
    settings: Settings,
    held: Held,
    embeddings: NDArray[np.float32],
    k: int,
    rows: NDArray[np.intp] | None = None,
) -> Neighbors:
    """Neighbours with rows for indices, among some rows or all."""
    n_items = len(held.ids)
    if rows is not None and held.vectors is not None and len(rows) <= max(_FEW * n_items, 10 * k):
        return _exactly(held, embeddings, k, np.sort(rows))
    try:
        neighbors = _approximately(settings, held, embeddings, k, rows)
    except RuntimeError as error:
        if rows is None:
            raise
        if held.vectors is not None:  # kinds of index that take no selection
            return _exactly(held, embeddings, k, np.sort(rows))
        raise NotImplementedError(
            f"FaissIndex(factory={settings.factory!r}) cannot search among some items: use keep_vectors=True"
        ) from error
    short = np.flatnonzero(neighbors.indices[:, -1] < 0)  # parts of a graph that no edge leads to
    if len(short) and held.vectors is not None:
        rows = np.arange(n_items) if rows is None else np.sort(rows)
        exact = _exactly(held, embeddings[short], k, rows)
        neighbors.distances[short], neighbors.indices[short] = exact
    return neighbors


def _is_quantised(settings: Settings) -> bool:
    """Whether FAISS compares codes or projections, and not the embeddings themselves."""
    return _COMPARES_EMBEDDINGS.fullmatch(settings.factory) is None


def _approximately(
    settings: Settings, held: Held, embeddings: NDArray[np.float32], k: int, rows: NDArray[np.intp] | None
) -> Neighbors:
    """What FAISS finds, among rows or among all; by distances of the embeddings where they are kept."""
    n_items = len(held.ids) if rows is None else len(rows)
    n_candidates = min(k * settings.rescore if _is_quantised(settings) else k, n_items)
    if rows is not None:
        among = held.serials.values[rows]
        squares, found = held.engine.search(embeddings, n_candidates, settings, among)
        candidates, known = held.serials.found(found)
    else:
        squares, candidates, known = _past_hidden(settings, held, embeddings, n_candidates)
    if held.vectors is None or _MEASURES.fullmatch(settings.factory):
        return _as_neighbors(squares[:, :k], np.where(known, candidates, -1)[:, :k])
    return _rescored(embeddings, held.vectors, candidates, known, k)


def _past_hidden(
    settings: Settings, held: Held, embeddings: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.bool_]]:
    """Squares, rows and whether there is one, each (n_queries, k): candidates that are not hidden."""
    n_entries, engine = held.engine.n_issued, held.engine
    if n_entries == len(held.ids):
        squares, found = engine.search(embeddings, k, settings, landmarks=held.landmarks)
        return squares, *held.serials.found(found)
    shape = len(embeddings), k
    parts = np.full(shape, np.inf, np.float32), np.zeros(shape, np.intp), np.zeros(shape, bool)
    ahead = settings.ef_search if engine.is_graph else k  # what a graph looks at in any case
    # twice the candidates of a search without hidden entries: those that are hidden may lie between the
    # query and its neighbours, so that the first ones found are not the nearest
    wanted, asked = max(k, 2 * ahead), max(2 * k, ahead)
    # some entries of a graph may be out of reach, so that even all are fewer than wanted
    most = n_entries if held.vectors is None else min(n_entries, max(1000, int(_FEW * n_entries)))
    open_ = np.arange(len(embeddings))
    while len(open_):
        asked = min(asked, n_entries)
        squares, found = engine.search(embeddings[open_], asked, settings, landmarks=held.landmarks)
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


def _exactly(held: Held, embeddings: NDArray[np.float32], k: int, rows: NDArray[np.intp]) -> Neighbors:
    assert held.vectors is not None
    distances, found = nearest(embeddings, held.vectors[rows], k)
    return Neighbors(distances, rows[found])


def _rescored(
    embeddings: NDArray[np.float32],
    vectors: Kept,
    rows: NDArray[np.intp],
    known: NDArray[np.bool_],
    k: int,
) -> Neighbors:
    """The k nearest of the candidates by their exact distances, ties by the order in which they came."""
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    squares = squared_distances(embeddings, *vectors.placed(rows))
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
