"""A FAISS index in whose bytes nothing is left of the entries that were taken out.

Removing an item only hides its entry, which is quick. A folder or a pickle leaves the process: it must
not have the embedding of somebody who was removed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._engine import Engine, load_faiss

_EF_SEARCH = 64  # candidates in the search for an entry that takes the place of another


def erased(engine: Engine, serials: NDArray[np.int64]) -> tuple[Engine, NDArray[np.int64]]:
    """A copy of an engine with the entries of `serials` alone, and their serials in it.

    Entries of inverted lists are taken out. Those of a graph stay, since its ways lead through them, but get
    the code of their nearest neighbour among `serials`. All others are added to an empty engine.

    Parameters
    ----------
    engine : Engine
        With these entries and perhaps others; it is not changed, and returned itself if there are no others.
    serials : ndarray of shape (n_entries,)
        At least one.
    """
    if engine.index.ntotal == len(serials):
        return engine, serials
    copy = Engine.of_bytes(*engine.written())
    gone = np.setdiff1d(np.arange(copy.n_issued), serials)
    if copy.has_lists and _taken_out(copy, gone):
        return copy, serials
    codes = None if copy.has_lists else _codes(copy)
    if codes is not None:
        instead = _nearest(copy, gone, serials)
        for part in codes:
            part[gone] = part[instead]
        return copy, serials
    empty = engine.emptied()
    return empty, empty.append(np.ascontiguousarray(engine.reconstruct(serials)))


def _taken_out(engine: Engine, gone: NDArray[np.int64]) -> bool:
    """Whether entries could be taken out of inverted lists."""
    try:
        engine.index.remove_ids(load_faiss().IDSelectorArray(gone))
    except RuntimeError:  # kinds that FAISS takes nothing out of
        return False
    return True


def _codes(engine: Engine) -> list[NDArray[np.uint8]] | None:
    """Views of the codes of all entries, for each part that has some; None if one has no plain codes."""
    faiss, views = load_faiss(), []
    for part in engine.leaves():
        if not isinstance(part, faiss.IndexFlatCodes):
            return None
        codes: Any = faiss.rev_swig_ptr(part.codes.data(), part.codes.size())
        views.append(codes.reshape(part.ntotal, -1))
    return views


def _nearest(engine: Engine, gone: NDArray[np.int64], serials: NDArray[np.int64]) -> NDArray[np.int64]:
    """The entry of `serials` that is nearest to each of `gone`, where that matters: in a graph."""
    if not engine.is_graph:
        return np.full(len(gone), serials[0])
    found = engine.ask(engine.reconstruct(gone), 1, None, _EF_SEARCH, among=serials)[1][:, 0]
    return np.where(found < 0, serials[0], found)
