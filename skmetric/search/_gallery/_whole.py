"""All items of a gallery as arrays: what another gallery is started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Whole(NamedTuple):
    """All items of a gallery at one moment, in its order."""

    embeddings: NDArray[Any]  # (n_items, n_features)
    ids: NDArray[Any] | None  # (n_items,); None where they count from 0
    labels: NDArray[Any] | None  # (n_items,); None without labels
    metadata: dict[str, NDArray[Any]]  # each (n_items,)
