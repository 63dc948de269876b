"""Which ranks of a search hold items of the query's class."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel import Search, upper_bounds

_PART = 2**18  # distances that are ranked at a time, so that their keys stay in the cache
_LAST = np.uint64(np.float32(np.inf).view(np.uint32)) << np.uint64(32)  # key of what fills up a row
_INDEX = np.uint64(0xFFFFFFFF)
_PIECES = 16  # of a row, each with a slack of its own


def block_relevance(
    search: Search,
    rows: NDArray[np.intp],
    codes: NDArray[np.int32],
    codes_gallery: NDArray[np.int32],
    depth: int,
) -> NDArray[np.bool_]:
    """Relevance of the first `depth` ranks of a block of queries.

    Parameters
    ----------
    search : Search
        Queries and gallery.
    rows : ndarray of shape (n_rows,)
        Consecutive queries.
    codes, codes_gallery : ndarray, int32
        Classes of all queries and of the gallery.
    depth : int
        Ranks to give.

    Returns
    -------
    ndarray of shape (n_rows, depth), bool
        In the order of float64 distances, ties in the order of the gallery.
    """
    squares, norms = search.squares(rows)
    relevant = np.empty((len(rows), depth), dtype=bool)
    step = max(_PART // search.n_gallery, 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        keys = _sorted_keys(search, squares[part], norms[part], depth)  # (n_part, width)
        items = (keys & _INDEX).view(np.intp)
        hits = codes_gallery[items] == codes[rows[part], None]
        _settle(search, rows[part], norms[part], keys, items, hits)
        relevant[part] = hits[:, :depth]
    return relevant


def _sorted_keys(search: Search, squares: NDArray[np.float32], norms: Any, depth: int) -> NDArray[np.uint64]:
    """The nearest items of each query for sure, in the order of float32, ties by index, as (n_rows, width).

    Non-negative floats order like their bits, so bits and index make one integer to sort.
    """
    bits = squares.view(np.uint32)
    if 4 * depth > search.n_gallery:
        keys = bits.astype(np.uint64) << np.uint64(32)
        keys |= np.arange(search.n_gallery, dtype=np.uint64)
    else:
        bounds = upper_bounds(squares, depth)
        limits = bounds + search.slack(norms, bounds)
        row, item = np.nonzero(squares <= limits[:, None])
        counts = np.bincount(row, minlength=len(squares))
        keys = np.full((len(squares), counts.max()), _LAST)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        keys[row, place] = (bits[row, item].astype(np.uint64) << np.uint64(32)) | item.astype(np.uint64)
    keys.sort(axis=1)
    return keys


def _settle(
    search: Search,
    rows: NDArray[np.intp],
    norms: NDArray[np.float64],
    keys: NDArray[np.uint64],
    items: NDArray[np.intp],
    hits: NDArray[np.bool_],
) -> None:
    """Put `hits` from the order of float32 into that of float64 where the two may differ; in place.

    Neighbours that float32 cannot tell apart make a run. Only runs that mix hits and others matter.
    """
    if (norms < 0).all():
        return  # exact, and so are the ties
    mixed = hits[:, 1:] != hits[:, :-1]
    values = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)  # (n_rows, width)
    close = np.zeros(values.shape, dtype=bool)  # with the next one; the last of a row is not
    largest = (norms + search.norm) ** 2  # that a distance can be
    width = -(-values.shape[1] // _PIECES)
    with np.errstate(invalid="ignore"):  # infinity, from a row to itself, is last and close to nothing
        for start in range(0, values.shape[1] - 1, width):
            piece = values[:, start : start + width + 1]
            slack = search.slack(norms, np.minimum(piece[:, -1], largest)).astype(np.float32)
            close[:, start : start + piece.shape[1] - 1] = np.diff(piece, axis=1) <= slack[:, None]
    at = np.flatnonzero(np.pad(mixed, ((0, 0), (0, 1))) & close)
    if not len(at):
        return
    ends = np.flatnonzero(~close)  # of all runs, counted through the rows
    runs = np.unique(np.searchsorted(ends, at))  # that are mixed
    starts = np.where(runs > 0, ends[runs - 1] + 1, 0)
    counts = ends[runs] + 1 - starts
    run = np.repeat(np.arange(len(runs)), counts)
    place = np.arange(len(run)) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    found = items.ravel()[place]
    exact = search.exact_pairs(rows[place // hits.shape[1]], found)
    flat = hits.reshape(-1)
    flat[place] = flat[place[search.order(exact, found, run)]]
