"""Target neighbours: the nearest rows of the own class, in the space of the features."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from skmetric.linear._descent._centred import Centred

_BLOCK = 1024  # rows of a class whose distances are held at a time


def target_neighbors(rows: Centred, codes: NDArray[np.intp], n_neighbors: int) -> NDArray[np.intp]:
    """Row numbers of the target neighbours, (n_samples, n_neighbors); -1 where a class has fewer.

    Parameters
    ----------
    rows : Centred
        Samples, sorted by class.
    codes : ndarray of shape (n_samples,)
        Class of each.
    n_neighbors : int
        How many are wanted.
    """
    targets = np.full((len(rows), n_neighbors), -1)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(codes)], strict=True):
        members = rows.rows[start:stop]
        k = min(n_neighbors, stop - start - 1)
        for first in range(0, stop - start if k else 0, _BLOCK):
            part = slice(first, min(first + _BLOCK, stop - start))
            squares = _squares(members, part)
            squares[np.arange(len(squares)), np.arange(part.start, part.stop)] = np.inf
            nearest = np.argpartition(squares, k - 1)[:, :k] if k < stop - start - 1 else _others(part, k)
            targets[start + part.start : start + part.stop, :k] = start + nearest
    return targets


def _squares(members: Any, part: slice) -> NDArray[np.float32]:
    """Squared distances of some rows of a class to all of it."""
    norms = np.asarray((members * members).sum(axis=1)).ravel()
    products = members[part] @ members.T
    products = products.toarray() if issparse(products) else products
    return norms[part, None] + norms - 2 * products  # type: ignore[no-any-return]


def _others(part: slice, k: int) -> NDArray[np.intp]:
    """All rows of a class but the row itself, (n_part, k)."""
    columns = np.arange(k)
    own = np.arange(part.start, part.stop)[:, None]
    return columns + (columns >= own)
