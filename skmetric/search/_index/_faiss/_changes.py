"""Changes of what a FAISS index holds: each makes a new state beside the old one."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skmetric.search._index._checks import check_dimension
from skmetric.search._index._growing import GrowingArray
from skmetric.search._index._ids import Ids

from ._engine import Engine, Settings, build
from ._held import Held
from ._kept import Kept
from ._recall import sampled_recall
from ._searching import search

_MOST_HIDDEN = 0.25  # share of the entries that may be hidden before the index is built again without them
_GROWTH = 1.25  # of the items, after which recall is measured again
_MEASURED_FROM = 256  # items


def begun(settings: Settings, embeddings: NDArray[np.float32]) -> Held:
    """The empty state, trained."""
    nothing = np.empty(0, dtype=np.int64)
    vectors = Kept(GrowingArray(embeddings[:0])) if settings.keep_vectors else None
    return Held(build(settings, embeddings), Ids(nothing), Ids(nothing), vectors)


def added(settings: Settings, held: Held, ids: NDArray[np.int64], embeddings: NDArray[np.float32]) -> Held:
    held.ids.refuse_used(ids)
    check_dimension(embeddings, held.engine.index.d)
    if not held.engine.is_whole:
        held = rebuilt(settings, held, held.engine.emptied())
    return held._replace(
        serials=held.serials.appended(held.engine.append(embeddings)),
        ids=held.ids.appended(ids),
        vectors=None if held.vectors is None else held.vectors.appended(embeddings),
    )


def without(held: Held, ids: ArrayLike) -> Held:
    kept = np.ones(len(held.ids), dtype=bool)
    kept[held.ids.rows(ids)] = False
    vectors = None if held.vectors is None else held.vectors.without(kept)
    return held._replace(ids=held.ids.kept(kept), serials=held.serials.kept(kept), vectors=vectors)


def tended(settings: Settings, held: Held) -> Held:
    """The state, built again where too much is hidden or too little found."""
    held = held.with_landmarks()
    n_issued = held.engine.n_issued
    if n_issued - len(held.ids) > _MOST_HIDDEN * n_issued:
        held = rebuilt(settings, held, held.engine.emptied())
        n_issued = len(held.ids)
    if held.n_built == 0:  # the first filling
        held = held._replace(n_built=n_issued, n_measured=n_issued)
        return held._replace(recall=_recall(settings, held)) if _is_measured(settings, held) else held
    if not _is_measured(settings, held) or n_issued < _GROWTH * held.n_measured:
        return held
    assert settings.max_recall_loss is not None
    if _recall(settings, held) >= held.recall - settings.max_recall_loss:
        return held._replace(n_measured=n_issued)
    try:
        return rebuilt(settings, held, build(settings, held.kept_vectors()))
    except ValueError:  # too few items to train on
        return rebuilt(settings, held, held.engine.emptied())


def rebuilt(settings: Settings, held: Held, engine: Engine) -> Held:
    """The items in an empty engine."""
    serials = np.empty(0, dtype=np.int64)
    if len(held.ids):
        serials = engine.append(np.ascontiguousarray(held.kept_vectors()))
    held = held._replace(
        engine=engine, serials=Ids(serials), n_built=len(serials), n_measured=len(serials)
    ).with_landmarks()
    return held._replace(recall=_recall(settings, held) if _is_measured(settings, held) else 1.0)


def _is_measured(settings: Settings, held: Held) -> bool:
    is_worth_it = settings.max_recall_loss is not None and settings.factory != "Flat"
    return is_worth_it and held.vectors is not None and len(held.ids) >= _MEASURED_FROM


def _recall(settings: Settings, held: Held) -> float:
    edges = np.searchsorted(held.serials.values, [held.n_built, held.n_measured]).tolist()
    vectors = held.kept_vectors() if held.vectors is None else held.vectors
    return sampled_recall(partial(search, settings, held), vectors, edges)
