"""Matches of queries each of which leaves out some items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from skmetric.search._asked._wanted import Wanted, search_deeper
from skmetric.search._gallery._gallery import Labelled

from ._runners_up import to_another

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._asked._excluded import Excluded
    from skmetric.search._asked._filters import Filtered
    from skmetric.search._calibration._matchers import Match, NeighborMatcher
    from skmetric.search._gallery._gallery import Gallery
    from skmetric.search._gallery._labels import LabelColumn
    from skmetric.search._index._hits import Hits


class SearchWithout(NamedTuple):
    """A search for matches: so deep that enough is found beside what a query leaves out."""

    gallery: Gallery
    matcher: NeighborMatcher
    out: Excluded
    depth: int | None  # neighbours to match by; None also finds the runner-up

    def match(
        self, embeddings: NDArray[Any], part: Filtered
    ) -> tuple[Match, NDArray[np.float64] | None, LabelColumn]:
        """Match the queries of a part, which are some of the embeddings.

        Returns
        -------
        match : Match
            A class, as a code, and a distance of each query.
        runners_up : ndarray of shape (n_rows,), or None
            Distance to the runner-up, infinite without one.
        labels : LabelColumn
            Decodes the codes.
        """
        rows = part.rows
        if self.depth is None:  # the nearest item, and that of the nearest other class
            wanted = Wanted(2, unique_by="label")
        else:
            wanted = Wanted(self.depth)

        def find(at: NDArray[np.intp], depth: int) -> Hits:
            return self.gallery.keyed(embeddings[rows[at]], depth, part.where, ["label"])

        hits = search_deeper(find, len(rows), wanted, self.out.keep_of(rows), self.out.most)
        nothing = np.flatnonzero(np.bincount(hits.queries, minlength=len(rows)) == 0)
        if len(nothing):
            passing = "" if part.where is None else f" that passes where={part.where!r}"
            raise ValueError(
                f"exclude= leaves query {rows[nothing[0]]} no item{passing}: exclude fewer, or leave out the "
                "query"
            )
        found = Labelled.of_hits(wanted.page(hits, len(rows)), len(rows))
        runners_up = to_another(found.distances, found.codes) if self.depth is None else None
        return self.matcher.match(found.distances, found.codes), runners_up, found.labels
