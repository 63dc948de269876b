"""One side of a search: embeddings and the classes that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Side(NamedTuple):
    """Rows with their class codes; queries of a class that is not in the gallery have codes below 0."""

    embeddings: NDArray[Any]  # (n_rows, n_features)
    codes: NDArray[np.integer[Any]]  # (n_rows,)
    groups: NDArray[np.integer[Any]] | None = (
        None  # (n_rows,), codes; the same for the same group on both sides
    )
