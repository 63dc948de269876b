"""Pairs of rows, dense or sparse, ready for computation."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ._forms import Forms, forms_of
from ._sparse_forms import SparseForms, sparse_forms

PairForms: TypeAlias = Forms | SparseForms


def pair_forms(rows: Any, pairs: NDArray[np.intp]) -> PairForms:
    """Pairs of the rows of an array or of a CSR array."""
    return sparse_forms(rows, pairs) if issparse(rows) else forms_of(rows, pairs)
