"""What a FAISS index holds: the engine, the ids of its entries, the embeddings."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skmetric.search._index._ids import Ids

from ._engine import Engine
from ._erased import erased
from ._kept import Kept
from ._recall import Landmarks


class Held(NamedTuple):
    """What an index holds: replaced as one."""

    engine: Engine
    ids: Ids
    serials: Ids  # of the engine, row by row; its other entries are hidden
    vectors: Kept | None
    n_built: int = 0  # serials that were there when the engine was last built,
    n_measured: int = 0  # and when its recall was last measured
    recall: float = 1.0  # when it was built
    landmarks: Landmarks | None = None

    def with_landmarks(self) -> Held:
        """The state as it can be searched."""
        if not len(self.ids) or not self.engine.takes_landmarks:
            return self._replace(landmarks=None)
        rows = Landmarks.rows(len(self.ids))
        serials = self.serials.values[rows]
        return self._replace(landmarks=Landmarks(serials, self.engine.reconstruct(serials)))

    def kept_vectors(self) -> NDArray[np.float32]:
        """Embeddings row by row, those of the codes where none else are kept."""
        return self.engine.reconstruct(self.serials.values) if self.vectors is None else self.vectors.values

    def without_traces(self) -> Held:
        """The state as it may leave the process: with nothing of items that were taken out."""
        if not len(self.ids):
            return self
        engine, serials = erased(self.engine, self.serials.values)
        if engine is self.engine:
            return self
        n_issued = engine.n_issued
        return self._replace(
            engine=engine,
            serials=Ids(serials),
            n_built=min(self.n_built, n_issued),
            n_measured=min(self.n_measured, n_issued),
        ).with_landmarks()

    def __reduce__(self) -> tuple[Any, ...]:
        return Held, tuple(self.without_traces())


def of_ids(engine: Engine, ids: Ids, vectors: Kept | None) -> Held:
    """The state of an earlier version, whose entries bore the ids of items."""
    engine, serials = engine.without_ids(ids.values)
    n_issued = engine.n_issued
    return Held(engine, ids, Ids(serials), vectors, n_built=n_issued, n_measured=n_issued).with_landmarks()
