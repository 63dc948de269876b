"""What a search knows of its items, in memory or on a server: one contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from skmetric.retrieval import Neighbors

from ._labels import LabelColumn
from ._selection import Selection
from ._whole import Whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from skmetric.search._columns._where import Condition
    from skmetric.search._index._hits import Hits
    from skmetric.search._index._index import Index

    from ._memory import MemoryGallery

    Where = Mapping[str, Any] | Selection | None

EMPTY = "the gallery is empty: enrol some items"
NONE_PASSES = "no item of the gallery passes where={where!r}"


class Labelled(NamedTuple):
    """Neighbours of queries with the classes of theirs, both (n_queries, k), nearest first."""

    distances: NDArray[np.float64]
    codes: NDArray[np.integer[Any]]
    labels: LabelColumn  # decodes them

    @classmethod
    def of_hits(cls, hits: Hits, n_queries: int, labels: LabelColumn | None = None) -> Self:
        """Hits with a column "label", as codes of the labels given, or of new ones."""
        if labels is None:
            labels = LabelColumn(hits.columns["label"])
            codes = labels.codes.values
        else:
            codes = labels.encode(hits.columns["label"])
        distances = hits.spread(hits.distances, n_queries, np.inf)
        return cls(distances, hits.spread(codes, n_queries, -1), labels)


class Gallery(ABC):
    """Items under the ids of the user, with labels and metadata, over an index that holds their embeddings.

    A row is the place of an item in the order of enrolment. Searches find what there is: `k` neighbours of
    each query or as many as the gallery, or the filter `where`, leaves. An empty gallery is refused. As
    `where` a gallery also takes a `Selection`: a filter, and the ids that items must be among.
    """

    index: Index
    has_said_all_accepted = False

    @property
    @abstractmethod
    def has_labels(self) -> bool:
        """Whether items have labels."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of items."""

    @abstractmethod
    def has_column(self, name: str) -> bool:
        """Whether items have a column of metadata of that name."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[None]:
        """A context in which no other thread of this process changes the gallery."""

    @abstractmethod
    def add(self, embeddings: NDArray[Any], ids: Any, labels: Any, metadata: Any) -> None:
        """Enrol items, all or none."""

    @abstractmethod
    def update(self, ids: Any, embeddings: NDArray[Any], labels: Any, metadata: Any) -> None:
        """Replace items, all or none; KeyError if an id is unknown."""

    @abstractmethod
    def upsert(self, ids: Any, embeddings: NDArray[Any], labels: Any, metadata: Any) -> None:
        """Replace items whose ids are there, enrol the others, all or none; only where users gave ids."""

    @abstractmethod
    def redescribe(self, ids: Any, metadata: Any) -> None:
        """Replace some columns of metadata of items, all or none; KeyError if an id is unknown."""

    @abstractmethod
    def remove(self, ids: Any) -> None:
        """Take items out, all or none; KeyError if an id is unknown."""

    @abstractmethod
    def all_ids(self) -> NDArray[Any]:
        """Ids, row by row."""

    @abstractmethod
    def all_labels(self) -> NDArray[Any] | None:
        """Labels, row by row; None without labels."""

    @abstractmethod
    def classes(self) -> NDArray[Any]:
        """Labels of the classes that have an item, sorted."""

    @abstractmethod
    def items(self, where: Where = None) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Ids of the items that pass, with "label" and metadata; in the order of ids that were asked for."""

    @abstractmethod
    def conditions(self, where: Any) -> list[Condition]:
        """Conditions of a filter, checked; none without a filter."""

    @abstractmethod
    def names(self) -> list[str]:
        """Columns that a filter can name: "label", and those of metadata."""

    @abstractmethod
    def keys_of(self, ids: Any, named_by: str | None = None) -> NDArray[np.int64]:
        """Key of each item in the index; KeyError if an id is unknown, ValueError if one comes twice.

        The errors name the parameter that asks, if a call asks by which nothing changes.
        """

    def keys_among(self, where: Where) -> NDArray[np.int64] | None:
        """Keys of the ids of a `Selection`; None for a filter alone."""
        return self.keys_of(where.among, where.named_by) if isinstance(where, Selection) else None

    @abstractmethod
    def rows(self, keys: NDArray[Any]) -> NDArray[np.intp]:
        """Row of each key of an item."""

    @abstractmethod
    def vectors_at(self, keys: NDArray[np.int64]) -> NDArray[Any]:
        """Embeddings of items by key."""

    @abstractmethod
    def tally(self) -> tuple[LabelColumn, NDArray[np.integer[Any]]]:
        """Labels that decode and encode classes, and the number of items under each code."""

    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Number of items and of classes, 0 without labels; on a server as it was a little before."""

    @abstractmethod
    def known_sizes(self) -> tuple[int, int] | None:
        """As `sizes`, without asking a server; None if it was not asked yet."""

    @abstractmethod
    def neighbors(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """Neighbours with rows for indices, as wide as `k` or the gallery; -1 at infinity fills up."""

    @abstractmethod
    def up_to(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """As `neighbors`, but no wider than what a filter leaves, maybe nothing."""

    @abstractmethod
    def exactly(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Neighbors:
        """As `up_to`, and nothing is missed where the gallery is in memory, whatever its index."""

    @abstractmethod
    def labelled(
        self, embeddings: NDArray[Any], k: int, where: Where = None, labels: LabelColumn | None = None
    ) -> Labelled:
        """Neighbours with their classes, fewer than `k` where there are fewer items, one at least.

        Codes are those of the `labels` that :meth:`tally` gave; without them, of new labels.
        """

    @abstractmethod
    def of_other_classes(
        self,
        embeddings: NDArray[Any],
        label: Any,
        k: int,
        where: Where = None,
        labels: LabelColumn | None = None,
    ) -> Labelled:
        """As `labelled`, among the items of other classes than that of a label; maybe nothing."""

    @abstractmethod
    def hits(self, embeddings: NDArray[Any], k: int, where: Where = None, names: Sequence[str] = ()) -> Hits:
        """Hits whose ids are rows, with columns that a filter can name; as many as `up_to` finds."""

    @abstractmethod
    def keyed(self, embeddings: NDArray[Any], k: int, where: Where = None, names: Sequence[str] = ()) -> Hits:
        """Hits whose ids are keys, with these columns at least, for :meth:`named`."""

    @abstractmethod
    def named(self, hits: Hits) -> Hits:
        """The hits of :meth:`keyed` under the ids of the user, with "label" and metadata as columns."""

    def look_up(self, embeddings: NDArray[Any], k: int, where: Where = None) -> Hits:
        """Hits under the ids of the user, with "label" and metadata as columns."""
        with self.reading():
            return self.named(self.keyed(embeddings, k, where))

    @abstractmethod
    def whole(self) -> Whole:
        """All items, with embeddings and metadata, at one moment; those of a server are fetched."""

    @abstractmethod
    def in_memory(self) -> MemoryGallery:
        """All of it as a gallery in memory: itself, or what is fetched from the server."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What a folder holds beside `arrays`, as JSON."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All rows as arrays by name."""


def no_neighbors(n_queries: int) -> Neighbors:
    """Neighbours of queries where there is nothing to find, (n_queries, 0)."""
    return Neighbors(np.empty((n_queries, 0)), np.empty((n_queries, 0), dtype=np.intp))


def widened(found: Neighbors, k: int) -> Neighbors:
    """Neighbours, (n_queries, k): the rest of a row is -1 at distance infinity."""
    short = k - found.indices.shape[1]
    if short <= 0:
        return found
    distances = np.pad(found.distances, ((0, 0), (0, short)), constant_values=np.inf)
    return Neighbors(distances, np.pad(found.indices, ((0, 0), (0, short)), constant_values=-1))
