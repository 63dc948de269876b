"""Which ranks of a search hold items of the query's class, found without sorting what need not be sorted."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._squares import Search, upper_bounds

_PART = 2**18  # distances that are ranked at a time, so that their keys stay in the cache
_LAST = np.uint64(0x7F800000 << 32)  # infinity, item 0: the key that fills up a row
_INDEX = np.uint64(0xFFFFFFFF)
_PIECES = 8  # of a row, each with its own slack
_SHALLOW = 4  # a ranking of fewer than one in so many ranks is selected, not sorted
_SPARSE = 8  # where fewer than one item in so many is relevant, only their neighbourhoods are sorted


class _Pool(NamedTuple):
    """Items of each query that are sorted, nearest first, and how many are not and yet stand before them."""

    keys: NDArray[np.uint64]  # (n_rows, width): bits of the float32 square, then the item
    before: NDArray[np.intp] | None = None  # (n_rows, width); None: nothing


def block_relevance(
    search: Search,
    rows: NDArray[np.intp],
    codes: NDArray[np.int32],
    codes_gallery: NDArray[np.int32],
    sizes: NDArray[np.intp],
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
    sizes : ndarray of shape (n_classes,)
        Items of each class in the gallery.
    depth : int
        Ranks to give.

    Returns
    -------
    ndarray of shape (n_rows, depth), bool
        In the order of float64 distances, ties in the order of the gallery.
    """
    squares, norms = search.squares(rows)
    relevant = np.zeros((len(rows), depth), dtype=bool)
    step = max(_PART // search.n_gallery, 1)
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        asked = codes[rows[part], None]  # (n_part, 1)
        if _SHALLOW * depth < search.n_gallery:
            pool = _nearest(search, squares[part], norms[part], depth)
        elif _SPARSE * sizes[asked].max() < search.n_gallery:
            pool = _around(search, squares[part], norms[part], codes_gallery == asked)
        else:
            pool = _Pool(_sorted(squares[part], np.arange(search.n_gallery)))
        items = (pool.keys & _INDEX).view(np.intp)
        hits = (codes_gallery[items] == asked) & (pool.keys < _LAST)
        _settle(search, rows[part], norms[part], pool.keys, items, hits)
        if pool.before is None:
            relevant[part] = hits[:, :depth]
        else:
            row, place = np.divmod(np.flatnonzero(hits), hits.shape[1])
            rank = place + pool.before[row, place]
            relevant[part][row[rank < depth], rank[rank < depth]] = True
    return relevant


def _sorted(squares: NDArray[np.float32], items: NDArray[np.intp]) -> NDArray[np.uint64]:
    """Keys in ascending order: by square, ties by item.

    Non-negative floats order like their bits, so bits and item make one integer to sort.
    """
    keys = squares.view(np.uint32).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= items.astype(np.uint64)
    keys.sort(axis=-1)
    return keys


def _chosen(squares: NDArray[np.float32], chosen: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Sorted keys of the chosen items of each query, filled up at infinity: (n_rows, width)."""
    at = np.flatnonzero(chosen)
    ends = np.searchsorted(at, np.arange(1, len(chosen) + 1) * chosen.shape[1])
    counts = np.diff(ends, prepend=0)  # (n_rows,)
    item = at - np.repeat(np.arange(len(chosen)) * chosen.shape[1], counts)
    keys = squares.reshape(-1)[at].view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= item.astype(np.uint64)
    out = np.full((len(chosen), counts.max()), _LAST)
    out[np.arange(out.shape[1]) < counts[:, None]] = keys
    out.sort(axis=1)
    return out


def _nearest(search: Search, squares: NDArray[np.float32], norms: Any, depth: int) -> _Pool:
    """The items that hold the nearest `depth` for sure, and few more."""
    bounds = upper_bounds(squares, depth)
    return _Pool(_chosen(squares, squares <= (bounds + search.slack(norms, bounds))[:, None]))


def _around(search: Search, squares: NDArray[np.float32], norms: Any, relevant: NDArray[np.bool_]) -> _Pool:
    """The relevant items, and what float32 may put on the wrong side of them.

    Bins of equal width give the rank of a bin; only bins that hold or touch a relevant item are sorted. A bin
    is wider than the slack.
    """
    n_rows, n_items = squares.shape
    row, item = np.divmod(np.flatnonzero(relevant), n_items)
    wanted = squares[row, item]
    row, wanted = row[wanted < np.inf], wanted[wanted < np.inf]  # a query itself is at infinity
    top = np.zeros(n_rows, dtype=np.float32)
    np.maximum.at(top, row, wanted)
    slack = np.asarray(search.slack(norms, top), dtype=np.float32)  # (n_rows,)
    width = np.maximum(np.maximum(top / (n_items // 4 + 1), 2 * slack), np.finfo(np.float32).tiny)
    n_bins = n_items // 4 + 4  # up to top + slack; the last one takes all that is farther
    scale = 1 / width
    with np.errstate(over="ignore"):
        bins = np.minimum(squares * scale[:, None], np.float32(n_bins - 1)).astype(np.intp)
    bins += np.arange(0, n_rows * n_bins, n_bins)[:, None]
    counts = np.bincount(bins.reshape(-1), minlength=n_rows * n_bins)
    is_sorted = np.zeros(len(counts), dtype=bool)
    for side in (-1, 0, 1):
        at = np.maximum(wanted + side * slack[row], 0) * scale[row]
        is_sorted[at.astype(np.intp) + row * n_bins] = True
    keys = _chosen(squares, is_sorted[bins])
    counts[is_sorted] = 0
    before = np.cumsum(counts.reshape(n_rows, n_bins), axis=1)
    items = (keys & _INDEX).view(np.intp)
    return _Pool(keys, before.reshape(-1)[np.take_along_axis(bins, items, axis=1)])


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
    close = _is_close(search, norms, keys)
    mixed = close[:, :-1] & (hits[:, 1:] != hits[:, :-1])
    at = np.flatnonzero(mixed)
    if not len(at):
        return
    at += at // mixed.shape[1]  # places in `hits`, which has one column more
    ends = np.flatnonzero(~close)  # of all runs, counted through the rows
    runs = np.unique(np.searchsorted(ends, at))  # that are mixed
    starts = np.where(runs > 0, ends[runs - 1] + 1, 0)
    counts = ends[runs] + 1 - starts
    run = np.repeat(np.arange(len(runs)), counts)
    place = np.arange(len(run)) + np.repeat(starts - (np.cumsum(counts) - counts), counts)
    found = items.reshape(-1)[place]
    exact = search.exact_pairs(rows[place // hits.shape[1]], found)
    flat = hits.reshape(-1)
    flat[place] = flat[place[search.order(exact, found, run)]]


def _is_close(search: Search, norms: NDArray[np.float64], keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether float32 cannot tell an item from the next one of its row, (n_rows, width)."""
    values = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)  # (n_rows, width)
    close = np.zeros(values.shape, dtype=bool)
    last = values.shape[1] - 1
    largest = (norms + search.norm) ** 2  # that a distance can be: a row is at infinity from itself
    cuts = np.unique(np.linspace(0, last, min(_PIECES, last) + 1).astype(int))
    ends = np.minimum(values[:, cuts[1:]], largest[:, None])  # (n_rows, n_pieces)
    slack = np.asarray(search.slack(norms[:, None], ends), dtype=np.float32)
    with np.errstate(invalid="ignore"):  # infinity is last, and close to nothing
        step = values[:, 1:] - values[:, :-1]
        for piece, (start, end) in enumerate(pairwise(cuts)):
            close[:, start:end] = step[:, start:end] <= slack[:, piece, None]
    return close
