"""Which ranks of a search hold items of the query's class, found without sorting what need not be sorted."""

import numpy as np

from skmetric._kernel import ascending, candidates

_HEAD, _LONG_HEAD = 1024, 256  # ranks that are always in the order of float64, in short and long rows
_ALL_BUT_LAST = np.uint32(0xFFFFFFFE)
_SORTED_WHOLE = 2**14  # galleries up to this size are sorted a block at a time


def block_relevance(search, rows, codes, codes_gallery, members, depth):
    """Relevance of the first `depth` ranks of a block of queries.

    Parameters
    ----------
    search : Search
        Queries and gallery.
    rows : ndarray of shape (n_rows,)
        Consecutive queries.
    codes, codes_gallery : ndarray, int32
        Classes of all queries and of the gallery.
    members : list of ndarray
        Indices of each class in the gallery, ascending.
    depth : int
        Ranks to give.

    Returns
    -------
    ndarray of shape (n_rows, depth), bool
        In the order of float64, ties by index, down to rank 256 (1024 in galleries of up to 16,384 rows) or
        the size of the query's class, whichever is more. Further down float32 decides.
    """
    squares, norms = search.squares(rows)
    if search.n_gallery <= _SORTED_WHOLE:
        return _sorted_block(search, rows, squares, norms, codes, codes_gallery, members, depth)
    relevant = np.zeros((len(rows), depth), dtype=bool)
    for out, row, values, norm in zip(relevant, rows, squares, norms, strict=True):
        _long_row(search, row, values, norm, members[codes[row]], codes_gallery == codes[row], out)
    return relevant


def _sorted_block(search, rows, squares, norms, codes, codes_gallery, members, depth):
    """Sort whole rows at once: relevance rides in the last bit of the distance."""
    keys = squares.view(np.uint32) & _ALL_BUT_LAST
    keys |= codes_gallery == codes[rows, None]
    kept = min(depth + 1, search.n_gallery)  # one more, to see a tie across the cut
    if 2 * kept < search.n_gallery:
        keys.partition(kept - 1, axis=1)
    keys = np.ascontiguousarray(keys[:, :kept]) if 2 * kept < search.n_gallery else keys
    keys.sort(axis=1)
    relevant = (keys[:, :kept] & np.uint32(1)).astype(bool)
    keys &= _ALL_BUT_LAST
    head = min(kept, max(_HEAD, *(len(members[code]) for code in np.unique(codes[rows]))))
    values = (
        keys[:, :head].view(np.float32) if head == keys.shape[1] else keys[:, :head].copy().view(np.float32)
    )
    with np.errstate(invalid="ignore"):  # infinity, from a row to itself, is last and close to nothing
        slack = search.slack(norms, np.minimum(values[:, -1], values[:, -2:].min(axis=1)))
        close = np.diff(values, axis=1) <= slack[:, None]
    mixed = close & (relevant[:, 1:head] != relevant[:, : head - 1])
    mixed[:, -1:] |= close[:, -1:]  # what lies behind the cut may differ
    for i in np.flatnonzero(mixed.any(axis=1)):
        top = np.append(values[i, :-1], values[i, -1] + slack[i])
        is_member = codes_gallery == codes[rows[i]]
        _settle_runs(search, rows[i], squares[i], values[i], top, close[i], mixed[i], is_member, relevant[i])
    return relevant[:, :depth]


def _settle_runs(search, row, squares, values, top, close, mixed, is_member, relevant):
    """Order anew, in float64, each run of ranks that float32 cannot tell apart and that mixes classes."""
    ends = np.append(np.flatnonzero(~close), len(close))
    truncated = (squares.view(np.uint32) & _ALL_BUT_LAST).view(np.float32)
    for run in np.unique(np.searchsorted(ends, np.flatnonzero(mixed))):
        first = ends[run - 1] + 1 if run else 0
        found = np.flatnonzero((truncated >= values[first]) & (truncated <= top[ends[run]]))
        order = np.argsort(search.exact_squares(row, found), kind="stable")
        hits = is_member[found[order]]
        relevant[first : first + len(hits)] = hits[: len(relevant) - first]


def _long_row(search, row, squares, norm, members, is_member, out):
    """Rank a long row: an exact head, and behind it only the places of the members that it lacks."""
    head = min(len(out), max(_LONG_HEAD, len(members)))
    found = candidates(search, squares, norm, head)
    found = found[ascending(squares[found])]
    hits = is_member[found]
    _settle(search, row, squares[found], norm, found, hits)
    out[:head] = hits[:head]
    if head == len(out):
        return
    missing = is_member.copy()
    missing[found[:head]] = False
    if search.leaves_self_out:
        missing[row] = False
    places = _places(squares, missing)
    # float32 may place an item of the tail inside the head: move it behind, and those after it if need be
    order = np.arange(len(places))
    places = np.maximum.accumulate(np.maximum(places, head) - order) + order
    out[places[places < len(out)]] = True


def _settle(search, row, values, norm, found, hits):
    """Put `found` and `hits` from float32 order into float64 order where that changes `hits`; in place."""
    close = np.diff(values) <= search.slack(norm, values[-1])
    mixed = close & (hits[1:] != hits[:-1])
    if not mixed.any():
        return
    run = np.concatenate([[0], np.cumsum(~close)])  # items that float32 cannot tell apart share a run
    is_open = np.zeros(run[-1] + 1, dtype=bool)
    is_open[run[1:][mixed]] = True
    at = np.flatnonzero(is_open[run])
    order = np.lexsort((found[at], search.exact_squares(row, found[at]), run[at]))
    found[at], hits[at] = found[at][order], hits[at][order]


def _places(values, is_item):
    """Ranks, ascending, of the items among all values, ties by index, without sorting them all.

    Bins of equal width give the rank of a bin; only bins that hold an item are sorted.
    """
    items = np.flatnonzero(is_item)
    if len(items) == 0:
        return items
    n_bins = len(values) // 4 + 1
    top = values[items].max()
    scale = np.float32(n_bins) / top if top > 0 else np.float32(0)
    bins = (np.minimum(values, 2 * top) * scale).astype(np.intp)  # what is farther than all items: last bins
    counts = np.bincount(bins, minlength=2 * n_bins + 1)
    wanted = np.zeros(len(counts), dtype=bool)
    wanted[bins[items]] = True
    pool = np.flatnonzero(wanted[bins])
    pool = pool[ascending(values[pool])]
    at = np.flatnonzero(is_item[pool])
    # before an item: what the sorted pool puts before it, and earlier bins outside the pool
    counts[wanted] = 0
    return at + np.cumsum(counts)[bins[pool[at]]]
