"""Items that a query must not find, by id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from skmetric.search._columns._values import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._gallery._gallery import Gallery
    from skmetric.search._index._hits import Hits

    from ._wanted import Keep


class Excluded(NamedTuple):
    """Pairs of a query and an item that is left out of its results."""

    keys: NDArray[np.int64]  # of the items that any query leaves out, ascending; or their rows
    pairs: NDArray[np.int64]  # number of the query times the number of `keys`, plus the place in `keys`
    most: int  # items that one query leaves out

    @classmethod
    def of(cls, gallery: Gallery, exclude: Any, n_queries: int, by_row: bool = False) -> Self:
        """Pairs from ids for all queries, or from a list of ids for each.

        With `by_row` hits have rows for ids.
        """
        lists = listed(exclude) if _is_list(exclude) else [exclude]
        if any(_is_list(ids) or ids is None for ids in lists):
            if len(lists) != n_queries:
                raise ValueError(
                    f"exclude has {len(lists)} lists of ids, and there are {n_queries} queries: give one for "
                    "each, or ids for all"
                )
            ids_of = [[] if ids is None else listed(ids) if _is_list(ids) else [ids] for ids in lists]
        else:
            ids_of = [lists] * n_queries
        named = list(dict.fromkeys(i for ids in ids_of for i in ids))
        held = gallery.keys_of(named, "exclude") if named else np.empty(0, dtype=np.int64)
        key_of = dict(zip(named, (gallery.rows(held) if by_row and named else held).tolist(), strict=True))
        keys = np.array(sorted(key_of.values()), dtype=np.int64)
        place_of = {i: int(np.searchsorted(keys, key)) for i, key in key_of.items()}
        pairs = [query * len(keys) + place_of[i] for query, ids in enumerate(ids_of) for i in ids]
        return cls(keys, np.array(pairs, dtype=np.int64), max(map(len, ids_of), default=0))

    def keep_of(self, rows: NDArray[np.intp]) -> Keep:
        """As `keep`, of hits whose queries are some of the queries, `rows`, by number."""
        return lambda hits: self.keep(hits._replace(queries=rows[hits.queries]))

    def keep(self, hits: Hits) -> NDArray[np.bool_]:
        """Mask of the hits, whose ids are keys, that stay."""
        if not len(self.keys):
            return np.ones(len(hits.ids), dtype=bool)
        place = np.minimum(np.searchsorted(self.keys, hits.ids), len(self.keys) - 1)
        is_named = self.keys[place] == hits.ids
        return ~(is_named & np.isin(hits.queries * len(self.keys) + place, self.pairs))


def _is_list(ids: Any) -> bool:
    return np.iterable(ids) and not isinstance(ids, str | bytes)
