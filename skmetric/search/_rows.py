"""Where ids stand among those stored."""

import numpy as np


def rows_of(ids, stored):
    """Position of each id among those stored; KeyError if one is not there."""
    order = None if (stored[1:] > stored[:-1]).all() else np.argsort(stored, kind="stable")
    place = np.searchsorted(stored, ids, sorter=order)
    rows = place if order is None else order[np.minimum(place, len(stored) - 1)]
    missing = place >= len(stored)
    missing[~missing] = stored[rows[~missing]] != ids[~missing]
    if missing.any():
        raise KeyError(f"id {ids[missing][0]} is not in the index")
    return rows
