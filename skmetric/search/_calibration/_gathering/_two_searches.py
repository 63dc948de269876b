"""Neighbours of queries twice in one pass: in the whole gallery, and with the query's class hidden.

A third time, if asked, with the class hidden too that the second search is matched to; and a fourth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric._kernel._hidden import Hidden
from skmetric._kernel._squares import Gallery, Search, upper_bounds
from skmetric._kernel._threads import map_blocks
from skmetric.search._calibration._matchers import Match
from skmetric.search._gallery._side import Side

from ._bursts import DEPTH
from ._copies import as_stored


class Searches(NamedTuple):
    """Distances and class codes of the nearest items, (n_queries, k), with the own class there and hidden."""

    distances: NDArray
    codes: NDArray
    distances_hidden: NDArray
    codes_hidden: NDArray
    own_distances: NDArray  # (n_queries, DEPTH): to the nearest items of the class
    is_item: NDArray  # (n_queries,), bool: an item of the gallery, which was left out of its own search
    distances_second: NDArray | None = None  # (n_queries, k_second): the class matched then hidden too
    codes_second: NDArray | None = None
    distances_third: NDArray | None = None  # (n_queries,): to the nearest item where the next one is too


def search_twice(
    gallery: Side,
    queries: Side | None,
    k: int,
    match: Callable[[NDArray, NDArray], Match] | None = None,
    k_second: int = 0,
    third: bool = False,
) -> Searches:
    """The `k` nearest items of each query, and the `k` nearest that are of another class.

    With `k_second` the third search comes too: ``match(distances, codes)`` names the class to hide beside the
    own one. So many items must be left where the two largest classes are hidden. With `third` a fourth: the
    distance to the nearest item where the class that is matched then is hidden too, infinite if none is left.

    Both sides are brought into the order of their classes, so that a class is a rectangle in a block of
    squared distances: one product serves both searches. With `queries` None each item is left out by
    identity; so is the item that a query is: the first of its class that has the same numbers. Ties are in
    order of the gallery. `k` items must be left where the largest class is hidden. Where both sides have
    groups, the items of a query's class and group are left out of both searches.
    """
    order = np.argsort(gallery.codes, kind="stable")
    codes = gallery.codes[order]
    rows = gallery.embeddings[order]
    itself = queries is None
    asked_order = order if queries is None else np.argsort(queries.codes, kind="stable")
    asked_codes = codes if queries is None else queries.codes[asked_order]
    if queries is None:
        search = Search(rows)
    else:
        search = Search(as_stored(queries.embeddings, rows)[asked_order], Gallery(rows))
    of_queries = gallery if queries is None else queries
    if gallery.groups is not None and of_queries.groups is not None:
        search.hidden = Hidden.of_class_and_group(
            asked_codes, codes, of_queries.groups[asked_order], gallery.groups[order]
        )
    starts, ends = (np.searchsorted(codes, asked_codes, side=side) for side in ("left", "right"))
    class_starts = np.searchsorted(codes, np.arange(codes[-1] + 2))
    shape = (2 + (k_second > 0), len(asked_codes), k)
    squares, places = np.full(shape, np.inf), np.zeros(shape, dtype=int)
    k_own = max(k, DEPTH) + 1  # one more, since the query itself may be among them
    all_own, is_item = np.full((len(asked_codes), DEPTH), np.inf), np.zeros(len(asked_codes), dtype=bool)
    of_third = np.full(len(asked_codes), np.inf)

    def hide(found, classes):
        for row, code in zip(found, classes, strict=True):
            row[class_starts[code] : class_starts[code + 1]] = np.inf

    def fill(block):
        found, norms = search.squares(block)
        own, own_squares = np.zeros((len(block), k_own), dtype=int), np.full((len(block), k_own), np.inf)
        for part in np.split(np.arange(len(block)), np.flatnonzero(np.diff(asked_codes[block])) + 1):
            inside = slice(starts[block[part[0]]], ends[block[part[0]]])
            if inside.start < inside.stop:
                of_class = found[part[0] : part[-1] + 1, inside]
                nearest = _nearest(search, block[part], of_class, norms[part], k_own, inside.start, order)
                own[part], own_squares[part] = nearest
                of_class[:] = np.inf
        if not itself:
            is_item[block] = own_squares[:, 0] == 0
        ahead = is_item[block]
        own[ahead, :-1], own_squares[ahead, :-1] = own[ahead, 1:], own_squares[ahead, 1:]
        own, own_squares = own[:, :-1], own_squares[:, :-1]
        all_own[block] = own_squares[:, :DEPTH]
        others, other_squares = _nearest(search, block, found, norms, k, 0, order)
        both, both_squares = np.hstack([own, others]), np.hstack([own_squares, other_squares])
        first = np.lexsort((order[both], both_squares), axis=1)[:, :k]
        for kind, where, square in [(0, both, both_squares), (1, others, other_squares)]:
            chosen = first if kind == 0 else np.arange(k)[None]
            squares[kind, block] = np.take_along_axis(square, chosen, axis=1)
            places[kind, block] = np.take_along_axis(where, chosen, axis=1)
        if match is not None and k_second:
            hide(found, match(np.sqrt(other_squares), codes[others]).codes)
            second, second_squares = _nearest(search, block, found, norms, k_second, 0, order)
            places[2, block, :k_second], squares[2, block, :k_second] = second, second_squares
            if third:
                hide(found, match(np.sqrt(second_squares), codes[second]).codes)
                of_third[block] = _nearest(search, block, found, norms, 1, 0, order)[1][:, 0]

    for _ in map_blocks(fill, search.blocks()):
        pass
    back = np.argsort(asked_order)
    distances, found = np.sqrt(squares[:, back]), codes[places[:, back]]
    second: tuple[Any, ...] = (distances[2, :, :k_second], found[2, :, :k_second]) if k_second else ()
    if k_second and third:
        second += (np.sqrt(of_third[back]),)
    return Searches(
        distances[0], found[0], distances[1], found[1], np.sqrt(all_own[back]), is_item[back], *second
    )


def _nearest(search, rows, squares, norms, k, offset, order):
    """Places and exact squared distances of the `k` nearest among `squares`, whose columns begin at `offset`.

    Where there are fewer, place 0 at infinity fills up.
    """
    bounds = upper_bounds(squares, min(k, squares.shape[1]))
    finite = np.where(np.isfinite(bounds), bounds, 0)
    limits = np.where(np.isfinite(bounds), bounds + search.slack(norms, finite), np.finfo(np.float32).max)
    query, column = np.divmod(np.flatnonzero(squares <= limits[:, None]), squares.shape[1])
    place = column + offset
    exact = search.exact_pairs(rows[query], place)
    by_distance = search.order(exact, order[place], query)
    query, place, exact = query[by_distance], place[by_distance], exact[by_distance]
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    kept = rank < k
    places, nearest = np.zeros((len(rows), k), dtype=int), np.full((len(rows), k), np.inf)
    places[query[kept], rank[kept]], nearest[query[kept], rank[kept]] = place[kept], exact[kept]
    return places, nearest
