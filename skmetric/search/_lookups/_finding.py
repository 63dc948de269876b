"""What lookups share: what is wanted of a query, and finding it by filters, pages and distinct values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skmetric.search._asked._combined import Queries, mean_rows
from skmetric.search._asked._filters import by_filter, check_number
from skmetric.search._asked._wanted import Wanted, check_limit, check_offset, joined, merged, search_deeper
from skmetric.search._base import SearchBase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from skmetric.search._asked._filters import Where
    from skmetric.search._asked._wanted import Keep
    from skmetric.search._index._hits import Hits


class Finding(SearchBase):
    """How the lookups of :class:`SimilaritySearch` find items."""

    def _wanted(self, n_neighbors: int | None, offset: int, max_distance: Any, unique_by: Any) -> Wanted:
        """What a call asks for, checked."""
        k, offset = self._count(n_neighbors), check_offset(offset)
        limit = self._limit(max_distance) if isinstance(max_distance, str) else check_limit(max_distance)
        names = [] if unique_by is None else self._gallery.names()
        if unique_by is not None and unique_by not in names:
            have = ", ".join(map(repr, names)) or "none: fit with y or metadata="
            raise ValueError(f"unique_by={unique_by!r} is no column of the gallery; there are {have}")
        return Wanted(k, offset, limit, unique_by)

    def _limit(self, name: str) -> float:
        """The distance of a cutpoint."""
        if self._ranking_options() is not None:
            raise ValueError(
                f"max_distance={name!r} is a Euclidean distance, and rerank, query_expansion and "
                "augment_gallery change distances: give a number, or set these options to None"
            )
        cutpoints = self.calibration_.cutpoints if hasattr(self, "calibration_") else {}
        if name not in cutpoints:
            have = f"has {', '.join(cutpoints)}" if cutpoints else "is missing: call calibrate first"
            raise ValueError(f"max_distance={name!r} is no cutpoint: the calibration {have}")
        self._warn_if_stale()
        return self.calibration_.cutpoints[name]["distance"]

    def _found(
        self,
        embeddings: NDArray[Any],
        wanted: Wanted,
        where: Where,
        among: Any,
        queries: Queries,
        combine: str,
        by_row: bool,
        keep: Keep | None = None,
        spare: int = 0,
    ) -> Hits:
        """Hits of queries, whose ids are rows of the gallery, or else keys for :meth:`Gallery.named`.

        `keep` tells which hits count, of which about `spare` a query will not; it is given the numbers of
        queries.
        """
        n_queries = len(queries.names)
        check_number(where, n_queries)
        of_rows = queries.of_rows
        if combine == "mean" and n_queries < len(of_rows):
            embeddings = mean_rows(embeddings, of_rows, n_queries)
            of_rows = np.arange(n_queries)
        parts = []
        for part in by_filter(self._gallery, where, among, n_queries):
            rows = np.flatnonzero(np.isin(of_rows, part.rows))

            def find(
                at: NDArray[np.intp], depth: int, rows: NDArray[np.intp] = rows, where: Any = part.where
            ) -> Hits:
                return self._hits(embeddings[rows[at]], depth, where, wanted.names, by_row)

            def keeps(hits: Hits, query_of: NDArray[np.intp] = of_rows[rows]) -> NDArray[np.bool_]:
                assert keep is not None
                return keep(hits._replace(queries=query_of[hits.queries]))

            hits = search_deeper(find, len(rows), wanted, None if keep is None else keeps, spare)
            parts.append(hits._replace(queries=rows[hits.queries]))
        hits = joined(parts)
        if n_queries < len(of_rows):
            hits = merged(hits, of_rows, wanted)
        return wanted.page(hits, n_queries)

    def _hits(self, embeddings: NDArray[Any], k: int, where: Any, names: Sequence[str], by_row: bool) -> Hits:
        """Hits by the ranking options, with some columns."""
        if self._ranking_options() is None:
            find = self._gallery.hits if by_row else self._gallery.keyed
            return find(embeddings, k, where, names)
        gallery = self._gallery.in_memory()
        hits = gallery.as_hits(self._find(embeddings, k, where), names)
        return hits if by_row else gallery.with_keys(hits)
