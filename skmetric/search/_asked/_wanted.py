"""Which of the items found a lookup returns: how many, from which on, how near, one of each value."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from skmetric.search._columns._types import concatenated, type_of
from skmetric.search._index._hits import Hits

if TYPE_CHECKING:
    from numpy.typing import NDArray

# hits of some of the rows searched, which are numbered from 0 in them, and of each up to a number
Find: TypeAlias = "Callable[[NDArray[np.intp], int], Hits]"
Keep: TypeAlias = "Callable[[Hits], NDArray[np.bool_]]"

_DEEPER = 4  # times as many hits, where those asked for were not enough


class Wanted(NamedTuple):
    """What a lookup returns of each query: `k` items after the first `offset`, none beyond `limit`.

    With `unique_by` items count that are the nearest of their value in a column; those without a value all
    count.
    """

    k: int
    offset: int = 0
    limit: float = np.inf
    unique_by: str | None = None

    @property
    def depth(self) -> int:
        """Items of each query that must be found."""
        return self.k + self.offset

    @property
    def is_plain(self) -> bool:
        """Whether the `k` nearest items are all that is wanted."""
        return self == Wanted(self.k)

    @property
    def names(self) -> list[str]:
        """Columns that must be known of hits."""
        return [] if self.unique_by is None else [self.unique_by]

    def page(self, hits: Hits, n_queries: int) -> Hits:
        """The items wanted of hits that go deep enough, nearest first, no value twice."""
        ranks = hits.ranks(n_queries)
        return only(hits, (ranks >= self.offset) & (ranks < self.depth) & (hits.distances <= self.limit))

    def distinct(self, hits: Hits) -> Hits:
        """Hits without those whose item or value a nearer hit of the same query has."""
        hits = only(hits, _is_first(hits.queries, hits.ids))
        if self.unique_by is None:
            return hits
        return only(hits, _is_first(hits.queries, _as_codes(hits.columns[self.unique_by])))


def check_offset(offset: object) -> int:
    """The number of items that are passed over."""
    if not isinstance(offset, Integral) or isinstance(offset, bool) or offset < 0:
        raise ValueError(f"offset must be an integer from 0; got {offset!r}")
    return int(offset)


def check_limit(max_distance: object) -> float:
    """The largest distance, infinite for None."""
    if max_distance is None:
        return np.inf
    is_number = isinstance(max_distance, Real) and not isinstance(max_distance, bool)
    if not is_number or not float(max_distance) >= 0:  # type: ignore[arg-type]
        raise ValueError(
            f"max_distance must be a number from 0, or the name of a cutpoint; got {max_distance!r}"
        )
    return float(max_distance)  # type: ignore[arg-type]


def search_deeper(find: Find, n_rows: int, wanted: Wanted, keep: Keep | None = None, spare: int = 0) -> Hits:
    """Hits of rows: so many that `wanted` has what it needs of each, or all that there are.

    Rows of which too few hits are kept, or are of different values, are searched again, each time deeper. The
    first search goes `spare` hits deeper than what is wanted.
    """
    parts, rows, depth = [], np.arange(n_rows), wanted.depth + spare
    while len(rows):
        hits = find(rows, depth)
        n_found = np.bincount(hits.queries, minlength=len(rows))
        numbered = hits._replace(queries=rows[hits.queries])
        kept = wanted.distinct(hits if keep is None else only(hits, keep(numbered)))
        n_kept = np.bincount(kept.queries, minlength=len(rows))
        farthest = np.zeros(len(rows))
        np.maximum.at(farthest, hits.queries, hits.distances)
        is_done = (n_kept >= wanted.depth) | (n_found < depth) | (farthest > wanted.limit)
        done = only(kept, is_done[kept.queries])
        parts.append(done._replace(queries=rows[done.queries]))
        rows, depth = rows[~is_done], _DEEPER * depth
    return joined(parts)


def joined(parts: list[Hits]) -> Hits:
    """Hits of different queries as one, in order of queries."""
    if len(parts) == 1:
        return parts[0]
    queries, ids, distances = (np.concatenate([part[i] for part in parts]) for i in range(3))
    columns = {name: concatenated([part.columns[name] for part in parts]) for name in parts[0].columns}
    return _in_order(Hits(queries, ids, distances, columns), np.argsort(queries, kind="stable"))


def merged(hits: Hits, query_of: NDArray[np.intp], wanted: Wanted) -> Hits:
    """Hits of rows as those of queries, an item at its distance to the nearest row of its query."""
    hits = hits._replace(queries=query_of[hits.queries])
    return wanted.distinct(_in_order(hits, np.lexsort((hits.ids, hits.distances, hits.queries))))


def only(hits: Hits, mask: NDArray[np.bool_]) -> Hits:
    """The hits where the mask is True."""
    return hits if mask.all() else _in_order(hits, np.flatnonzero(mask))


def _in_order(hits: Hits, order: NDArray[np.intp]) -> Hits:
    columns = {name: values[order] for name, values in hits.columns.items()}
    return Hits(hits.queries[order], hits.ids[order], hits.distances[order], columns)


def _is_first(queries: NDArray[np.intp], codes: NDArray[Any]) -> NDArray[np.bool_]:
    """Mask of the hits whose code no hit of the same query has before them."""
    order = np.lexsort((codes, queries))  # stable: of equal ones the first comes first
    is_new = np.ones(len(order), dtype=bool)
    same = (queries[order][1:] == queries[order][:-1]) & (codes[order][1:] == codes[order][:-1])
    is_new[1:] = ~same
    mask = np.empty(len(order), dtype=bool)
    mask[order] = is_new
    return mask


def _as_codes(values: NDArray[Any]) -> NDArray[np.intp]:
    """Values as integers, equal where they are; each missing value gets a new one."""
    codes = np.unique(values, return_inverse=True)[1].reshape(len(values))
    missing = type_of(values.dtype).missing(values)
    return np.where(missing, len(values) + np.arange(len(values)), codes)
