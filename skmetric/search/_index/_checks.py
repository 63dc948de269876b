"""Checks that every index makes of what it is asked."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MOST = np.iinfo(np.int64).max


def check_keys(ids: ArrayLike, n_items: int) -> NDArray[np.int64]:
    """Return ids of an index as int64, or say what is wrong with them."""
    ids = _integers(ids)
    if ids.ndim != 1 or len(ids) != n_items:
        raise ValueError(f"ids must be one for each of the {n_items} embeddings; got shape {ids.shape}")
    if ids.dtype.kind not in "iu":
        raise ValueError(f"ids of an index must be integers; got {ids.dtype}")
    if len(ids) and ids.min() < 0:
        raise ValueError(f"ids of an index must be 0 or more; got {ids.min()}")
    if len(ids) and int(ids.max()) > _MOST:
        raise ValueError(f"ids of an index are 64-bit integers up to {_MOST}; got {ids.max()}")
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise ValueError(f"id {unique[counts > 1][0]} comes {counts.max()} times: each item needs its own")
    return ids.astype(np.int64, copy=False)


def _integers(ids: Any) -> NDArray[Any]:
    """Ids as an array; objects that are all integers, of a nullable column, become integers."""
    array = np.asarray(ids)
    if array.dtype != object or not all(_is_integer(value) for value in array.ravel().tolist()):
        return array
    return np.array(array.tolist())


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_among(among: ArrayLike) -> NDArray[np.int64]:
    """Return the ids to search, each once, or say what is wrong with them."""
    among = _integers(among).ravel()
    if not len(among):
        raise ValueError("among is empty: no item passes the filter, and there is nothing to search")
    return check_keys(among, len(among))


def check_dimension(embeddings: NDArray[Any], n_features: int) -> None:
    """Refuse embeddings of another dimension than those in the index."""
    if embeddings.shape[1] != n_features:
        raise ValueError(
            f"embeddings have {embeddings.shape[1]} dimensions and the index holds {n_features}: "
            "both must come from the same embedder"
        )


def check_k(k: int, n_items: int) -> None:
    """Refuse numbers of neighbours that the items searched cannot give."""
    if not n_items:
        raise ValueError("the index is empty, or no item passes the filter: there is nothing to search")
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k must be an integer from 1; got {k!r}")
    if k > n_items:
        raise ValueError(
            f"k={k} is more than the {n_items} items that are searched: ask for fewer neighbours"
        )


def refuse_columns(index: object, columns: object = None, where: object = None) -> None:
    """Refuse labels and metadata where the index does not hold them."""
    if columns is not None or where is not None:
        raise ValueError(
            f"{type(index).__name__} holds embeddings alone: SimilaritySearch keeps labels and metadata"
        )
