"""What indexes are asked: checks that all of them make."""

from numbers import Integral

import numpy as np


def check_ids(ids, n_items):
    """Return ids as int64, or say what is wrong with them."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or len(ids) != n_items:
        raise ValueError(f"ids must be one for each of the {n_items} embeddings; got shape {ids.shape}")
    if ids.dtype.kind not in "iu":
        raise ValueError(f"ids of an index must be integers; got {ids.dtype}")
    if len(ids) and ids.min() < 0:
        raise ValueError(f"ids of an index must be 0 or more; got {ids.min()}")
    unique, counts = np.unique(ids, return_counts=True)
    if len(unique) < len(ids):
        raise ValueError(f"id {unique[counts > 1][0]} comes {counts.max()} times: each item needs its own")
    return ids.astype(np.int64, copy=False)


def check_among(among):
    """Return the ids to search, each once, or say what is wrong with them."""
    among = np.asarray(among).ravel()
    if not len(among):
        raise ValueError("among is empty: no item passes the filter")
    return check_ids(among, len(among))


def clip(k, n_passing):
    """Neighbours to return where a filter leaves `n_passing` items."""
    return min(k, n_passing) if isinstance(k, Integral) else k  # what is no number, the search refuses


def refuse_columns(index, columns):
    """Raise a ValueError if columns are given to an index that keeps none."""
    if columns:
        raise ValueError(f"{type(index).__name__} keeps no columns: SimilaritySearch keeps them beside it")


def refuse_where(index, where):
    """Raise a ValueError if an index that keeps no columns is asked to filter by them."""
    if where is not None:
        raise ValueError(
            f"{type(index).__name__} keeps no columns to filter by: give the ids as among, or ask a "
            "SimilaritySearch, which keeps metadata beside it"
        )
