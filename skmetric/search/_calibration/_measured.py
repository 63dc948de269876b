"""What an evaluation measures of each query, and the subgroups of queries that it is also told of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from skmetric._checks import join_labels
from skmetric._input._groups import check_subgroups

from ._matchers import Match

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Measured(NamedTuple):
    """Matches of queries, strangers among them."""

    retrieval: Mapping[str, NDArray[Any]]  # scores of each known query, (n_known,), by name
    match: Match
    true: NDArray[Any]  # (n_queries,), codes of classes, -1 for strangers
    classes: NDArray[
        Any
    ]  # (n_queries,), codes of all classes, those of strangers too: units of the intervals
    threshold: float

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether each query is of a class in the gallery."""
        return self.true >= 0

    @property
    def accepted(self) -> NDArray[np.bool_]:
        """Whether the match of each query is accepted."""
        return self.match.distances <= self.threshold

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each query is matched to its class."""
        return self.match.codes == self.true

    def take(self, rows: NDArray[np.intp]) -> Measured:
        """The same of some queries."""
        asked = (np.cumsum(self.known) - 1)[rows[self.known[rows]]]  # places among the known queries
        retrieval = {name: values[asked] for name, values in self.retrieval.items()}
        match = Match(self.match.codes[rows], self.match.distances[rows])
        return Measured(retrieval, match, self.true[rows], self.classes[rows], self.threshold)

    def per_query(self) -> dict[str, NDArray[Any]]:
        """All that is known of each query, (n_queries,), by name."""
        found = {"known": self.known, "right": self.right, "accepted": self.accepted}
        for name, values in self.retrieval.items():
            found[name] = np.full(len(self.true), np.nan)
            found[name][self.known] = values
        return found | {"score": self.match.distances}


class Subgroups(NamedTuple):
    """The subgroup of each query; queries beyond them are in none."""

    values: NDArray[Any]  # (n_queries,)

    @classmethod
    def of(cls, by: Any, by_unknown: Any, n_queries: int, unknown: Any) -> Self | None:
        """Subgroups of known queries and of strangers, checked; None if there are none."""
        if by is None:
            if by_unknown is not None:
                raise ValueError("by_unknown are the subgroups of X_unknown: give by, those of X, too")
            return None
        values = check_subgroups(by, n_queries)
        if by_unknown is None:
            return cls(values)
        if unknown is None:
            raise ValueError("by_unknown are the subgroups of X_unknown, which is missing")
        of_unknown = check_subgroups(by_unknown, len(unknown), "by_unknown")
        return cls(join_labels(values, of_unknown, "by and by_unknown"))

    def rows(self) -> Iterator[tuple[Any, NDArray[np.intp]]]:
        """Each subgroup, in sorted order, with its queries."""
        values, codes = np.unique(self.values, return_inverse=True)
        for code, value in enumerate(values.tolist()):
            yield value, np.flatnonzero(codes == code)
