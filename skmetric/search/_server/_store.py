"""What a server must bring so that an index can be kept on it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric.exceptions import GalleryReplacedError
from skmetric.search._columns._where import Condition
from skmetric.search._index._hits import Hits

from ._columns import Columns, Types

Keys = NDArray[np.int64]
Mode = Literal["add", "upsert", "replace", "start"]


class Items(NamedTuple):
    """What will be stored, checked; without ids the store gives new ones."""

    ids: Keys | None  # (n_items,)
    embeddings: NDArray[np.floating]  # (n_items, n_features)
    columns: Columns  # each (n_items,)
    types: Types


class Opened(NamedTuple):
    """Which table or collection had the name when a gallery was opened, and whose embeddings it holds."""

    number: int | str  # that the server gave it
    fingerprint: str | None  # what `keep_fingerprint` kept


def check_opened(expected: Opened | None, found: Opened, title: str) -> None:
    """Refuse a table that has come under the name since, with embeddings of another embedder."""
    if expected is None or found.number == expected.number or found.fingerprint == expected.fingerprint:
        return
    raise GalleryReplacedError(
        f"{title} has got embeddings of another embedder since it was opened here: nothing was read or "
        "changed. Load the new embedder and open the gallery again: SimilaritySearch.attach(index, embedder)"
    )


class Store(ABC):
    """Requests about one table or collection. Each process and thread has its own connections.

    Ids are the integers of the index. Columns come back in the forms that users get. A filter is a sequence
    of conditions, all of which an item must meet, and ids that it must be among. Calls that send or fetch
    embeddings take what a gallery `expected`: a GalleryReplacedError says that it is there no more.
    """

    address: tuple[str | None, ...]  # what it was opened with
    title: str  # table or collection, and host, for messages

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Dimension of the embeddings; a ValueError if there is no table or collection."""

    @property
    @abstractmethod
    def types(self) -> Types:
        """Columns of labels and metadata, without those that others added; a ValueError as `n_features`."""

    @property
    @abstractmethod
    def opened(self) -> Opened:
        """What is there; a ValueError as `n_features`."""

    @abstractmethod
    def fill(self, items: Items, design: Any, mode: Mode, expected: Opened | None = None) -> None:
        """Store items; what is there not yet is made, with an index over embeddings by the `design`.

        Modes: "add" refuses ids that are in use; "upsert" replaces their items; "replace" refuses others, by
        a KeyError; "start" refuses a store that holds items.
        """

    @abstractmethod
    def describe(self, ids: Keys, columns: Columns, types: Types) -> None:
        """Replace some columns of items, all or none; KeyError if an id is not there."""

    @abstractmethod
    def remove(self, ids: Keys) -> None:
        """Take items out, all or none; KeyError if an id is not there."""

    @abstractmethod
    def look_up(
        self,
        embeddings: NDArray[np.floating],
        k: int,
        names: Sequence[str],
        conditions: Sequence[Condition],
        among: Keys | None,
        options: Any,
        is_ranked: bool,
        expected: Opened | None = None,
    ) -> Hits:
        """Up to `k` hits of each embedding with columns; with `is_ranked` places among all items as ids."""

    @abstractmethod
    def known(self, ids: Keys) -> Keys:
        """Which of the ids there are."""

    @abstractmethod
    def vectors(self, ids: Keys | None, expected: Opened | None = None) -> NDArray[np.float32]:
        """Embeddings in the order of `ids`, or of coming; KeyError if an id is not there."""

    @abstractmethod
    def columns(
        self, ids: Keys | None, names: Sequence[str] | None = None, conditions: Sequence[Condition] = ()
    ) -> tuple[Keys, Columns]:
        """Ids, ascending, and columns; of ids that are there, and pass."""

    @abstractmethod
    def contents(
        self,
        names: Sequence[str],
        with_vectors: bool = True,
        conditions: Sequence[Condition] = (),
        expected: Opened | None = None,
    ) -> tuple[Keys, Columns, NDArray[np.float32] | None]:
        """Ids, columns and embeddings of all items that pass, in the order of the gallery."""

    @abstractmethod
    def tally(self, name: str) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Values of a column, sorted, and the number of items of each."""

    @abstractmethod
    def new_ids(self, n_items: int) -> Keys:
        """Ids that no other process is given."""

    @abstractmethod
    def count(self) -> int:
        """Number of items; 0 if there is no table or collection."""

    @abstractmethod
    def fingerprint(self) -> str | None:
        """Text about the embedder of the items, as `keep_fingerprint` kept it; None if there is none."""

    @abstractmethod
    def keep_fingerprint(self, text: str | None) -> None:
        """Keep a text beside the items, or drop the one kept; do nothing where that is not allowed."""

    @abstractmethod
    def drop(self) -> None:
        """Drop the table or collection."""


class Next(ABC):
    """What takes the place of a table: filled with new embeddings while the old ones serve."""

    @abstractmethod
    def waiting(self, after: int, n: int | None) -> tuple[Keys, list[str]]:
        """Keys above `after`, ascending, and versions of up to `n` items that have no new embedding."""

    @abstractmethod
    def put(self, keys: Keys, versions: list[str], embeddings: NDArray[np.floating]) -> None:
        """Keep new embeddings of items; those that changed since they were `waiting` are left out."""

    @abstractmethod
    def finish(self) -> None:
        """Make the index over the new embeddings."""

    @abstractmethod
    def switch(self) -> bool:
        """Put it in the place of the old table, in one transaction; False if items are waiting."""

    @abstractmethod
    def close(self) -> None:
        """Let another process do the same."""
