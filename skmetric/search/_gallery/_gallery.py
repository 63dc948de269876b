"""What a search knows of its items, in memory or on a server: one contract."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from ._labels import LabelColumn

EMPTY = "the gallery is empty: enrol some items"


class Labelled(NamedTuple):
    """Neighbours of queries with the classes of theirs, both (n_queries, k), nearest first."""

    distances: np.ndarray
    codes: np.ndarray
    labels: LabelColumn  # decodes them


class Gallery(ABC):
    """Items under the ids of the user, with labels and metadata, over an index that holds their embeddings.

    A row is the place of an item in the order of enrolment. `k` neighbours are found, or a ValueError says
    why not, where nothing else is said.
    """

    index: object
    has_said_all_accepted = False

    @property
    @abstractmethod
    def has_labels(self):
        """Whether items have labels."""

    @abstractmethod
    def __len__(self):
        """Number of items."""

    @abstractmethod
    def has_column(self, name):
        """Whether items have a column of metadata of that name."""

    @abstractmethod
    def reading(self):
        """A context for calls that are to see one state, as far as other threads of this process go."""

    @abstractmethod
    def add(self, embeddings, ids, labels, metadata):
        """Enrol items, all or none."""

    @abstractmethod
    def update(self, ids, embeddings, labels, metadata):
        """Replace items, all or none; KeyError if an id is unknown."""

    @abstractmethod
    def remove(self, ids):
        """Take items out, all or none; KeyError if an id is unknown."""

    @abstractmethod
    def all_ids(self):
        """Ids, row by row."""

    @abstractmethod
    def all_labels(self):
        """Labels, row by row; None without labels."""

    @abstractmethod
    def classes(self):
        """Labels of the classes that have an item, sorted."""

    @abstractmethod
    def tally(self):
        """Labels that decode and encode classes, and the number of items under each code."""

    @abstractmethod
    def sizes(self):
        """Number of items and of classes, 0 without labels; on a server as it was a little before."""

    @abstractmethod
    def neighbors(self, embeddings, k, where=None):
        """Neighbours with rows for indices."""

    @abstractmethod
    def up_to(self, embeddings, k, where=None):
        """Neighbours with rows for indices; fewer than `k` where there are fewer items."""

    @abstractmethod
    def labelled(self, embeddings, k, where=None, labels=None):
        """Neighbours with their classes, fewer than `k` where there are fewer items.

        Codes are those of the `labels` that :meth:`tally` gave, or of labels of their own.
        """

    @abstractmethod
    def look_up(self, embeddings, k, where=None):
        """Hits under the ids of the user, with "label" and metadata as columns."""

    @abstractmethod
    def in_memory(self):
        """All of it as a gallery in memory: itself, or what is fetched from the server."""

    @abstractmethod
    def describe(self):
        """What a folder is to hold beside `arrays`, as JSON."""

    @abstractmethod
    def arrays(self):
        """All rows as arrays by name."""
