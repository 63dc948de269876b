"""One side of a search: embeddings and the classes that they belong to."""

from typing import NamedTuple

import numpy as np


class Side(NamedTuple):
    """Rows with their class codes; queries of a class that is not in the gallery have codes below 0."""

    embeddings: np.ndarray
    codes: np.ndarray
